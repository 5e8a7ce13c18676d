/* From chapters 6, 7 and 8 of The Invisible Janitor; made by make tangle. */
/* finalize.c: last words, and what cannot be freed. */
#include "internal.h"
#include <errno.h>

/* call a finalizer */
static void call(void (*finalizer)(void *object), gc_object *o)
{
    int error = errno;

    finalizer(o);
    errno = error;
}

static void each_garbage(gc_heap *heap, gc_object_fn *fn, void *arg)
{
    gc_link *lists[] = { &heap->unreachable, &heap->seen };

    for (int i = 0; i < 2; i++)
        for (gc_link *l = lists[i]->next; l != lists[i]; l = l->next)
            fn(object_at(l), arg);
}

static void note_count(gc_object *o, void *arg)
{
    (void)arg;
    head_of(o)->gc_refs = saturated(o->refcount);
}

static void report_given(gc_object *o, void *finalized)
{
    char one[70], other[70];

    if (o->refcount > head_of(o)->gc_refs)
        gc_say(head_of(o)->heap,
               "gc: <%s> got a reference from the finalizer of <%s>",
               gc_describe(o, one, sizeof one),
               gc_describe(finalized, other, sizeof other));
}

/* speak */
static bool speak(gc_object *o, void (*finalizer)(void *object))
{
    gc_head *head = head_of(o);

    o->refcount = 1;
    gc_adopt(head->heap, o);
    head->speaking = true;
    call(finalizer, o);
    head->speaking = false;
    if (--o->refcount > 0)
        return true;
    list_remove(&head->link);
    head->tracked = false;
    return false;
}

/* hear the last words of an object */
bool gc_last_words(gc_object *o)
{
    const gc_type *t = o->type;
    gc_head *head = head_of(o);

    if (t->finalize != NULL && !head->finalized) {
        bool lives = speak(o, t->finalize);

        /* note that it has spoken */
        head->finalized = has_references(t);
        if (lives)
            return true;
    }
    /* do what else is done before an object dies */
    /* tell those who refer to it weakly */
    if (t->weaklist_offset != 0)
        gc_clear_weakrefs(o);
    if (t->legacy_finalize != NULL && speak(o, t->legacy_finalize))
        return true;
    /* forget weak references made in the meantime */
    gc_forget_weakrefs(o);
    return false;
}

/* run the finalizers of a list */
bool gc_finalize_garbage(gc_heap *heap)
{
    gc_link *list = &heap->unreachable;
    bool spoken = false;

    while (!list_is_empty(list)) {
        gc_head *head = (gc_head *)list->next;
        gc_object *o = object_at(&head->link);

        list_move(&heap->seen, &head->link);
        if (o->type->finalize == NULL || head->finalized)
            continue;
        head->finalized = spoken = true;
        /* let it speak, and live meanwhile */
        bool watched = heap->debug & GC_DEBUG_RESURRECTED;
        gc_incref(o);
        if (watched)
            each_garbage(heap, note_count, NULL);
        call(o->type->finalize, o);
        if (watched)
            each_garbage(heap, report_given, o);
        gc_decref(o);
    }
    list_merge(list, &heap->seen);
    return spoken;
}

/* set aside what legacy finalizers reach */
static void set_aside(gc_head *head, gc_link *list)
{
    head->collecting = head->unreachable = false;
    list_move(list, &head->link);
}

static void visit_set_aside(void *referent, void *list)
{
    gc_head *head = referent != NULL ? head_of(referent) : NULL;

    if (head != NULL && head->unreachable)
        set_aside(head, list);
}

void gc_move_legacy_finalizers(gc_heap *heap)
{
    gc_link *from = &heap->unreachable, *to = &heap->uncollectable;

    for (gc_link *l = from->next, *next; l != from; l = next) {
        next = l->next;
        if (object_at(l)->type->legacy_finalize != NULL)
            set_aside((gc_head *)l, to);
    }
    for (gc_link *l = to->next; l != to; l = l->next)
        gc_traverse(object_at(l), visit_set_aside, to);
}

/* keep a list of garbage */
size_t gc_garbage_length(const gc_heap *heap)
{
    return heap->garbage_length;
}

void *gc_garbage_item(const gc_heap *heap, size_t i)
{
    return i < heap->garbage_length ? heap->garbage[i] : NULL;
}

void *gc_garbage_pop(gc_heap *heap)
{
    if (heap->garbage_length == 0)
        return NULL;
    return heap->garbage[--heap->garbage_length];
}

void gc_garbage_clear(gc_heap *heap)
{
    gc_object **garbage = heap->garbage;
    size_t length = heap->garbage_length, room = heap->garbage_room;

    heap->garbage = NULL;
    heap->garbage_length = heap->garbage_room = 0;
    while (length > 0)
        gc_decref(garbage[--length]);
    if (garbage != NULL)
        gc_release(heap, garbage, room * sizeof *garbage);
}

bool gc_garbage_append(gc_heap *heap, gc_object *o)
{
    if (heap->garbage_length == heap->garbage_room) {
        void *larger = gc_grow(heap, heap->garbage,
            &heap->garbage_room, sizeof *heap->garbage);

        if (larger == NULL)
            return false;
        heap->garbage = larger;
    }
    heap->garbage[heap->garbage_length++] = gc_new_ref(o);
    return true;
}

size_t gc_handle_legacy_finalizers(gc_heap *heap, gc_link *older)
{
    gc_link *list = &heap->uncollectable;
    size_t number = 0;

    for (gc_link *l = list->next; l != list; l = l->next, number++) {
        gc_object *o = object_at(l);

        /* report an uncollectable object */
        char text[80];
        if (heap->debug & GC_DEBUG_UNCOLLECTABLE)
            gc_say(heap, "gc: uncollectable <%s>",
                   gc_describe(o, text, sizeof text));
        if (o->type->legacy_finalize || heap->debug & GC_DEBUG_SAVEALL)
            gc_garbage_append(heap, o);
    }
    list_merge(older, list);
    return number;
}

/* report an error that nobody can be told */
void gc_write_unraisable(const void *object, const char *error)
{
    char text[80];

    gc_say(gc_heap_of(object), "gc: error ignored in <%s>: %s",
           gc_describe(object, text, sizeof text), error);
}

/* give up the garbage when the heap closes */
static void report_garbage(gc_heap *heap)
{
    bool list = heap->debug & GC_DEBUG_UNCOLLECTABLE;
    char text[80];

    gc_say(heap, "gc: %zu uncollectable objects at shutdown%s",
           heap->garbage_length,
           list ? "" : "; GC_DEBUG_UNCOLLECTABLE lists them");
    for (size_t i = 0; list && i < heap->garbage_length; i++)
        gc_say(heap, "gc: uncollectable <%s>",
               gc_describe(heap->garbage[i], text, sizeof text));
}

void gc_give_up_garbage(gc_heap *heap)
{
    bool saved = heap->debug & GC_DEBUG_SAVEALL;

    if (heap->garbage_length > 0 && !saved)
        report_garbage(heap);
    heap->debug &= ~(unsigned)GC_DEBUG_SAVEALL;
    gc_garbage_clear(heap);
    if (saved)
        gc_collect(heap);
}
