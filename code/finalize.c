/* From chapters 6, 7 and 8 of The Invisible Janitor; made by make tangle. */
/* finalize.c: the last words of garbage, and what cannot be freed. */
#include "internal.h"

/* compare the counts of the garbage */
static void note_count(gc_object *o, void *arg)
{
    (void)arg;
    head_of(o)->gc_refs = saturated(o->refcount);
}

static void report_given(gc_object *o, size_t count, const char *who)
{
    char text[70];

    if (count > head_of(o)->gc_refs)
        gc_say(head_of(o)->heap, "gc: <%s> got a reference from %s",
               gc_describe(o, text, sizeof text), who);
    head_of(o)->gc_refs = saturated(count);
}

static void visit_given(void *referent, void *who)
{
    gc_object *o = referent;

    if (o != NULL && head_of(o)->unreachable)
        report_given(o, o->refcount, who);
}

static void report_given_by(gc_object *o)
{
    gc_heap *heap = head_of(o)->heap;
    char who[100] = "the finalizer of <";
    size_t length = strlen(who);

    gc_hush(heap);
    gc_describe(o, who + length, sizeof who - length - 2);
    strcat(who, ">");
    report_given(o, o->refcount - 1, who);
    head_of(o)->unreachable = false; /* it has been seen to */
    gc_traverse(o, visit_given, who);
    head_of(o)->unreachable = true;
    gc_unhush(heap);
}

static void report_each(gc_object *o, void *who)
{
    report_given(o, o->refcount, who);
}

static void report_all_given(gc_heap *heap)
{
    char who[] = "a finalizer";

    gc_hush(heap);
    gc_each_in(&heap->unreachable, report_each, who);
    gc_unhush(heap);
}

/* run the finalizers of a list */
bool gc_finalize_garbage(gc_heap *heap)
{
    gc_link *list = &heap->unreachable;
    bool spoken = false, watched = heap->debug & GC_DEBUG_RESURRECTED;

    if (watched)
        gc_each_in(list, note_count, NULL);
    while (!list_is_empty(list)) {
        gc_head *head = (gc_head *)list->next;
        gc_object *o = object_at(&head->link);

        list_move(&heap->seen, &head->link);
        if (o->type->finalize == NULL || head->finalized)
            continue;
        head->finalized = spoken = true;
        /* let it speak, and live meanwhile */
        gc_incref(o);
        gc_call_finalizer(o->type->finalize, o);
        if (watched)
            report_given_by(o);
        gc_decref(o);
    }
    list_merge(list, &heap->seen);
    if (watched)
        report_all_given(heap);
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

/* tell weak references of a collection */
static void clear_references_to(gc_object *o, gc_link *calling)
{
    gc_weakref *r;

    while ((r = *weaklist_of(o)) != NULL) {
        gc_forget_referent(r);
        if (r->callback == NULL || head_of(r)->unreachable
            || r->base.refcount == 0)
            continue;
        gc_incref(r);
        list_move(calling, &head_of(r)->link);
    }
}

void gc_clear_weakrefs(gc_heap *heap)
{
    gc_link *list = &heap->unreachable;

    for (gc_link *l = list->next; l != list; l = l->next) {
        if (is_weakref(object_at(l)))
            gc_forget_referent((gc_weakref *)object_at(l));
        if (object_at(l)->type->weaklist_offset != 0)
            clear_references_to(object_at(l), &heap->calling);
    }
}

size_t gc_handle_callbacks(gc_heap *heap, gc_link *older)
{
    gc_link *calling = &heap->calling;
    size_t freed = 0;

    while (!list_is_empty(calling)) {
        /* call the first, and see whether it survives */
        gc_link *l = calling->next;
        gc_object *ref = object_at(l);

        gc_handle_callback((gc_weakref *)ref);
        gc_decref(ref);
        if (calling->next != l)
            freed++;
        else
            list_move(head_of(ref)->tracked ? older : &heap->immortal, l);
    }
    return freed;
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

    gc_hush(heap);
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
    gc_unhush(heap);
    return number;
}

/* report an error that nobody can be told */
void gc_write_unraisable(const void *object, const char *error)
{
    gc_heap *heap = gc_heap_of(object);
    char text[80];

    gc_hush(heap);
    gc_say(heap, "gc: error ignored in <%s>: %s",
           gc_describe(object, text, sizeof text), error);
    gc_unhush(heap);
}

/* give up the garbage when the heap closes */
static void report_garbage(gc_heap *heap)
{
    bool list = heap->debug & GC_DEBUG_UNCOLLECTABLE;
    char text[80];

    gc_hush(heap);
    gc_say(heap, "gc: %zu uncollectable objects at shutdown%s",
           heap->garbage_length,
           list ? "" : "; GC_DEBUG_UNCOLLECTABLE lists them");
    for (size_t i = 0; list && i < heap->garbage_length; i++)
        gc_say(heap, "gc: uncollectable <%s>",
               gc_describe(heap->garbage[i], text, sizeof text));
    gc_unhush(heap);
}

bool gc_give_up_garbage(gc_heap *heap)
{
    bool saved = heap->debug & GC_DEBUG_SAVEALL;

    if (heap->garbage_length > 0 && !saved)
        report_garbage(heap);
    heap->debug &= ~(unsigned)GC_DEBUG_SAVEALL;
    gc_garbage_clear(heap);
    return saved;
}
