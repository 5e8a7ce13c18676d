/* From chapters 1, 2, 3, 5, 6, 7, 8, 9 and 10 of The Invisible Janitor; made by make tangle. */
/* heap.c: heaps, from the first day to the last. */
#include "internal.h"

/* make a heap */
gc_heap *gc_heap_new(const gc_options *options)
{
    gc_options o = options ? *options : (gc_options) { 0 };
    gc_allocator *a = &o.allocator;

    if (!a->allocate != !a->release)
        return NULL;
    if (!a->allocate)
        *a = gc_malloc;
    gc_heap *heap = a->allocate(a->context, sizeof *heap,
                                _Alignof(gc_heap));
    if (heap == NULL)
        return NULL;
    /* fill in the new heap */
    *heap = (gc_heap) { .options = o, .bytes = sizeof *heap };
    gc_set_threshold(heap, 700, 10, 10);
    list_init(&heap->lists);
    heap->careful = o.stress || o.places;
    return heap;
}

/* close a heap */
/* functions that close a heap */
static bool is_at_work(const gc_heap *heap)
{
    /* a heap may be at work in other ways */
    if (heap->nesting > 0 || heap->hushed > 0)
        return true;
    if (heap->collecting)
        return true;
    if (heap->atoms > 0)
        return true;
    if (heap->busy > 0)
        return true;
    return heap->allocating || heap->leaving || heap->destroying > 0;
}

static void destroy(gc_object *o, void *arg)
{
    (void)arg;
    if (o->type->destroy != NULL)
        o->type->destroy(o);
}

static void free_block(gc_object *o, void *arg)
{
    (void)arg;
    gc_release_object(o);
}

/* report a leak */
enum { LEAKS_SHOWN = 10 };

static void report_leak(gc_object *o, void *arg)
{
    gc_heap *heap = gc_heap_of(o);
    gc_place place = gc_get_place(o);
    size_t *shown = arg;
    char text[80], line[16];

    if (++*shown > LEAKS_SHOWN)
        return;
    gc_describe(o, text, sizeof text);
    if (place.file != NULL)
        gc_say(heap, "leaked: %s, made at %s%s", text, place.file,
               gc_line_of(place, line));
    else
        gc_say(heap, "leaked: %s", text);
}

enum { LAST_COLLECTIONS = 100 };

static void collect_the_rest(gc_heap *heap)
{
    for (int i = 0; i < LAST_COLLECTIONS; i++)
        if (gc_collect(heap) == 0 && !heap->spoken)
            return;
}

static void tell_of_leak(gc_object *o, void *arg)
{
    gc_options *options = arg;
    gc_place place = gc_get_place(o);
    gc_leak leak = { o, place.file, place.line, gc_bytes_of(o),
                     o->refcount };

    options->on_leak(&leak, options->leak_context);
}

static void report_rows(gc_heap *heap)
{
    gc_snapshot *s = gc_take_snapshot(heap);
    char line[16];

    for (size_t i = 0; s && i < s->length && i < LEAKS_SHOWN; i++) {
        const gc_tally *t = &s->rows[i];

        if (t->place.file != NULL)
            gc_say(heap, "leaked: in all %td %s, %td bytes, made at "
                   "%s%s", t->objects, t->type->name, t->bytes,
                   t->place.file, gc_line_of(t->place, line));
        else
            gc_say(heap, "leaked: in all %td %s, %td bytes",
                   t->objects, t->type->name, t->bytes);
    }
    gc_snapshot_free(s);
}

/* close a heap in two steps */
static void bury_the_rest(gc_heap *heap, size_t leaked)
{
    heap->closing = true;
    heap->careful++;
    /* report what is still alive */
    size_t shown = 0;
    gc_each_object(heap, report_leak, &shown);
    if (leaked > LEAKS_SHOWN) {
        gc_say(heap, "leaked: and %zu more", leaked - LEAKS_SHOWN);
        report_rows(heap);
    }
    if (heap->options.on_leak != NULL)
        gc_each_object(heap, tell_of_leak, &heap->options);
    gc_each_object(heap, destroy, NULL);
    gc_each_object(heap, free_block, NULL);
}

static void give_back_heap(gc_heap *heap)
{
    /* give back what else the heap holds */
    if (heap->callbacks != NULL)
        gc_release(heap, heap->callbacks,
                   heap->callback_room * sizeof *heap->callbacks);
    if (heap->garbage != NULL)
        gc_release(heap, heap->garbage,
                   heap->garbage_room * sizeof *heap->garbage);
    gc_clear_free_lists(heap);
    gc_release_slabs(heap);
    gc_allocator a = heap->options.allocator;
    a.release(a.context, heap, sizeof *heap);
}

size_t gc_heap_free(gc_heap *heap)
{
    if (heap == NULL)
        return 0;
    /* refuse to close a heap that is at work */
    if (is_at_work(heap)) {
        gc_say(heap, "gc: a heap cannot be closed by what it calls");
        return SIZE_MAX;
    }
    heap->leaving = true;
    /* tidy up before the heap closes */
    gc_exit_finalizers(heap);
    gc_end_immortality(heap);
    gc_unfreeze(heap);
    collect_the_rest(heap);
    if (gc_give_up_garbage(heap))
        collect_the_rest(heap);
    size_t leaked = heap->count;
    bury_the_rest(heap, leaked);
    give_back_heap(heap);
    return leaked;
}

/* ask how large a heap is */
size_t gc_heap_count(const gc_heap *heap)
{
    return heap->count;
}

size_t gc_heap_bytes(const gc_heap *heap)
{
    return heap->bytes;
}
