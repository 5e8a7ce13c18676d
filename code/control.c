/* From chapters 5, 6 and 10 of The Invisible Janitor; made by make tangle. */
/* control.c: having a word with the collector. */
#include "internal.h"

/* switch collections on and off */
void gc_enable(gc_heap *heap)
{
    heap->disabled = false;
}

void gc_disable(gc_heap *heap)
{
    heap->disabled = true;
}

bool gc_is_enabled(const gc_heap *heap)
{
    return !heap->disabled;
}
/* freeze and unfreeze */
typedef struct moving {
    int least, most, to; /* generations */
} moving;

static void move_generation(gc_object *o, void *arg)
{
    gc_head *head = head_of(o);
    const moving *m = arg;
    int g = head->state & GENERATION;

    if (!(head->state & TRACKED) || g < m->least || g > m->most)
        return;
    head->state = (uint8_t)(ALIVE | TRACKED | m->to);
    if (m->to < GC_GENERATIONS)
        gc_heap_of(o)->tables.youngest[slab_of(o)->number] = 0;
}

void gc_freeze(gc_heap *heap)
{
    moving m = { 0, GC_GENERATIONS - 1, PERMANENT };

    if (heap->hushed > 0 || heap->closing)
        return;
    gc_each_at_home(heap, move_generation, &m);
    for (int g = 0; g < GC_GENERATIONS; g++)
        heap->generations[g].count = 0;
}

void gc_unfreeze(gc_heap *heap)
{
    moving m = { PERMANENT, PERMANENT, GC_GENERATIONS - 1 };

    if (heap->hushed == 0 && !heap->closing)
        gc_each_at_home(heap, move_generation, &m);
}

size_t gc_get_freeze_count(const gc_heap *heap)
{
    return gc_size_of((gc_heap *)(uintptr_t)heap, PERMANENT);
}

/* add and remove callbacks */
static bool make_room(gc_heap *heap)
{
    void *larger;

    if (heap->callback_count < heap->callback_room)
        return true;
    larger = gc_grow(heap, heap->callbacks, &heap->callback_room,
                     sizeof *heap->callbacks);
    if (larger != NULL)
        heap->callbacks = larger;
    return larger != NULL;
}

bool gc_add_callback(gc_heap *heap, gc_callback *callback,
                     void *context)
{
    if (!make_room(heap))
        return false;
    heap->callbacks[heap->callback_count++] =
        (struct registered) { callback, context };
    return true;
}

bool gc_remove_callback(gc_heap *heap, gc_callback *callback,
                        void *context)
{
    struct registered *r = heap->callbacks;
    size_t i = 0;

    while (i < heap->callback_count
           && !(r[i].callback == callback && r[i].context == context))
        i++;
    if (i == heap->callback_count)
        return false;
    heap->callback_count--;
    memmove(r + i, r + i + 1, (heap->callback_count - i) * sizeof *r);
    return true;
}

void gc_invoke_callbacks(gc_heap *heap, const char *phase,
                         const gc_info *info)
{
    for (size_t i = 0; i < heap->callback_count; i++) {
        struct registered r = heap->callbacks[i];

        r.callback(heap, phase, info, r.context);
    }
}

/* set the debug flags */
void gc_set_debug(gc_heap *heap, unsigned flags)
{
    heap->debug = flags;
}

unsigned gc_get_debug(const gc_heap *heap)
{
    return heap->debug;
}

void gc_set_sink(gc_heap *heap, gc_sink sink)
{
    heap->options.sink = sink;
}
/* say what a collection does */
void gc_report_start(gc_heap *heap, int g)
{
    size_t size[GC_GENERATIONS];

    if (!(heap->debug & GC_DEBUG_STATS))
        return;
    for (int i = 0; i < GC_GENERATIONS; i++)
        size[i] = gc_size_of(heap, i);
    gc_say(heap, "gc: collecting generation %d...", g);
    gc_say(heap, "gc: objects in each generation: %zu %zu %zu",
           size[0], size[1], size[2]);
    gc_say(heap, "gc: objects in permanent generation: %zu",
           gc_get_freeze_count(heap));
}

void gc_report_stop(gc_heap *heap, const gc_info *info)
{
    if (heap->debug & GC_DEBUG_STATS)
        /* say how it ended */
        gc_say(heap, "gc: done, %zu unreachable, %zu uncollectable",
               info->collected + info->uncollectable, info->uncollectable);
}
