/* From chapters 6, 8 and 10 of The Invisible Janitor; made by make tangle. */
/* finalize.c: the last words of garbage, and what cannot be freed. */
#include "internal.h"

/* compare the counts of the garbage */
static void note_count(gc_object *o, void *arg)
{
    (void)arg;
    *gc_refs_of(o) = saturated(o->refcount);
}

static void report_given(gc_object *o, size_t count, const char *who)
{
    char text[70];

    if (count > *gc_refs_of(o))
        gc_say(gc_heap_of(o), "gc: <%s> got a reference from %s",
               gc_describe(o, text, sizeof text), who);
    *gc_refs_of(o) = saturated(count);
}

static void visit_given(void *referent, void *who)
{
    gc_object *o = referent;

    if (o != NULL && head_of(o)->unreachable)
        report_given(o, o->refcount, who);
}

static void report_given_by(gc_object *o)
{
    gc_heap *heap = gc_heap_of(o);
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
    gc_each_unreachable(heap, report_each, who);
    gc_unhush(heap);
}

/* run the finalizers of a list */
static void finalize_one(gc_object *o, void *arg)
{
    gc_heap *heap = gc_heap_of(o);
    bool watched = heap->debug & GC_DEBUG_RESURRECTED;

    if (o->type->finalize == NULL || head_of(o)->finalized)
        return;
    head_of(o)->finalized = *(bool *)arg = true;
    /* let it speak, and live meanwhile */
    gc_incref(o);
    gc_call_finalizer(o->type->finalize, o);
    if (watched)
        report_given_by(o);
    gc_decref(o);
}

bool gc_finalize_garbage(gc_heap *heap)
{
    bool spoken = false, watched = heap->debug & GC_DEBUG_RESURRECTED;

    if (!(heap->features & NOT_PLAIN))
        return false;
    if (watched)
        gc_each_unreachable(heap, note_count, NULL);
    gc_each_unreachable(heap, finalize_one, &spoken);
    if (watched)
        report_all_given(heap);
    return spoken;
}

/* set aside what legacy finalizers reach */
/* Who is set aside waits, in the numbers of the tables, until what it
 * refers to has been set aside too. */
static void set_aside(gc_object *o, uint32_t *waiting)
{
    gc_heap *heap = gc_heap_of(o);
    gc_head *head = head_of(o);

    head->state &= (uint8_t)~COLLECTING;
    head->unreachable = false;
    head->apart = true;
    heap->unreachable--;
    *gc_refs_of(o) = *waiting;
    *waiting = gc_index_of(heap, o) + 1;
}

static void visit_set_aside(void *referent, void *waiting)
{
    if (referent != NULL && head_of(referent)->unreachable)
        set_aside(referent, waiting);
}

static void set_legacy_aside(gc_object *o, void *waiting)
{
    if (o->type->legacy_finalize != NULL)
        set_aside(o, waiting);
}

bool gc_move_legacy_finalizers(gc_heap *heap)
{
    uint32_t waiting = 0;

    heap->set_aside = false;
    if (!(heap->features & NOT_PLAIN))
        return false;
    gc_each_unreachable(heap, set_legacy_aside, &waiting);
    heap->set_aside = waiting > 0;
    while (waiting > 0) {
        gc_object *o = gc_object_at(heap, waiting - 1);

        waiting = *gc_refs_of(o);
        gc_traverse(o, visit_set_aside, &waiting);
    }
    return heap->set_aside;
}

/* tell weak references of a collection */
static void call_later(gc_heap *heap, gc_weakref *ref)
{
    gc_incref(ref);
    head_of(ref)->apart = true;
    ref->next = NULL;
    if (heap->calling != NULL)
        heap->last_calling->next = ref;
    else
        heap->calling = ref;
    heap->last_calling = ref;
}

static void clear_references_to(gc_object *o)
{
    gc_weakref *r;

    while ((r = *weaklist_of(o)) != NULL) {
        gc_forget_referent(r);
        if (r->callback == NULL || head_of(r)->unreachable
            || r->base.refcount == 0)
            continue;
        call_later(gc_heap_of(r), r);
    }
}

static void clear_weakrefs_of(gc_object *o, void *arg)
{
    (void)arg;
    if (is_weakref(o))
        gc_forget_referent((gc_weakref *)o);
    if (o->type->weaklist_offset != 0)
        clear_references_to(o);
}

void gc_clear_weakrefs(gc_heap *heap)
{
    if (heap->features & NOT_PLAIN)
        gc_each_unreachable(heap, clear_weakrefs_of, NULL);
}

size_t gc_handle_callbacks(gc_heap *heap, int older)
{
    gc_weakref *ref;
    size_t freed = 0;

    while ((ref = heap->calling) != NULL) {
        /* call the first, and see whether it survives */
        gc_handle_callback(ref);
        heap->calling = ref->next;
        ref->next = NULL;
        if (ref->base.refcount == 1)
            freed++;
        else if (gc_is_tracked(ref))
            gc_keep(&ref->base, older);
        else
            head_of(ref)->apart = false;
        gc_decref(ref);
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

typedef struct uncollectable {
    int older;
    size_t number;
} uncollectable;

static void handle_legacy(gc_object *o, void *arg)
{
    gc_heap *heap = gc_heap_of(o);
    uncollectable *u = arg;

    if (!head_of(o)->apart)
        return;
    u->number++;
    /* report an uncollectable object */
    char text[80];
    if (heap->debug & GC_DEBUG_UNCOLLECTABLE)
        gc_say(heap, "gc: uncollectable <%s>",
               gc_describe(o, text, sizeof text));
    if (o->type->legacy_finalize || heap->debug & GC_DEBUG_SAVEALL)
        gc_garbage_append(heap, o);
    gc_keep(o, u->older);
}

size_t gc_handle_legacy_finalizers(gc_heap *heap, int older)
{
    uncollectable u = { older, 0 };

    if (!heap->set_aside)
        return 0;
    gc_hush(heap);
    gc_each_object(heap, handle_legacy, &u);
    gc_unhush(heap);
    return u.number;
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
