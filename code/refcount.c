/* From chapters 2, 3, 6 and 7 of The Invisible Janitor; made by make tangle. */
/* refcount.c: counting references, and the death of objects. */
#include "internal.h"

/* replace a reference */
void gc_set_field(void *field, void *value)
{
    gc_object *old = load(field);

    gc_xincref(value);
    memcpy(field, &value, sizeof value);
    gc_xdecref(old);
}

void gc_clear_field(void *field)
{
    gc_set_field(field, NULL);
}

/* hold a type to its word */
static void count_visit(void *referent, void *arg)
{
    *(size_t *)arg += referent != NULL;
}

static void clear_by_type(gc_object *o)
{
    gc_heap *heap = gc_heap_of(o);
    size_t visited = 0;

    if (CHECKING)
        o->type->traverse(o, count_visit, &visited);
    heap->given_up = 0;
    o->type->clear(o);
    if (CHECKING && heap->given_up != visited)
        gc_stop(o, "traverse visits %zu references, clear gives "
                "up %zu", visited, heap->given_up);
}

/* give up the references of an object */
void gc_clear_references(gc_object *o)
{
    const gc_type *t = o->type;

    for (const gc_field *f = t->fields; f && f->name; f++)
        gc_clear_field((char *)o + f->offset);
    if (t->item_refs)
        for (size_t i = gc_length(o); i-- > 0;)
            gc_clear_field((gc_object **)gc_items(o) + i);
    /* let the type clear what only it knows */
    if (t->clear != NULL)
        clear_by_type(o);
}

/* die */
enum { NESTING_LIMIT = 50 };

static void die(gc_object *o)
{
    /* let the object have its last words */
    if (gc_last_words(o))
        return;
    gc_clear_references(o);
    /* check that it holds nothing any more */
    if (CHECKING) {
        size_t held = 0;

        gc_traverse(o, count_visit, &held);
        if (held > 0)
            gc_stop(o, "holds %zu references in its grave", held);
    }
    gc_finish(o);
}

static void bury(gc_heap *heap, gc_object *o)
{
    heap->nesting++;
    die(o);
    heap->nesting--;
}

static void postpone(gc_heap *heap, gc_object *o)
{
    head_of(o)->link.next = heap->postponed;
    heap->postponed = &head_of(o)->link;
}

static void bury_postponed(gc_heap *heap)
{
    gc_link *first;

    heap->nesting++;
    while ((first = heap->postponed) != NULL) {
        heap->postponed = first->next;
        bury(heap, object_at(first));
    }
    heap->nesting--;
}

static bool dies_at_once(const gc_object *o)
{
    /* let others die at once */
    if (o->type == &gc_weakref_type || o->type == &gc_proxy_type) {
        const gc_object *closure = ((const gc_weakref *)o)->closure;

        return closure == NULL || !is_weakref(closure);
    }
    return !has_references(o->type);
}

void gc_dealloc(void *object)
{
    gc_heap *heap = gc_heap_of(object);
    gc_object *o = object;

    if (heap->closing)
        return;
    list_remove(&head_of(o)->link);
    /* begin to count what is given up */
    size_t given_up = heap->given_up;
    /* the dying take no part in a collection */
    if (CHECKING && head_of(o)->speaking)
        gc_stop(o, "given up by its own finalizer");
    head_of(o)->tracked = false;
    head_of(o)->collecting = head_of(o)->unreachable = false;
    if (is_weakref(o))
        gc_weakref_forget(o);
    if (dies_at_once(o))
        die(o);
    else if (heap->nesting >= NESTING_LIMIT)
        postpone(heap, o);
    else
        bury(heap, o);
    if (heap->nesting == 0)
        bury_postponed(heap);
    /* go on counting where we were */
    heap->given_up = given_up;
}

/* live for ever */
static const size_t immortality = SIZE_MAX / 4 + 1;

bool gc_is_immortal(const void *object)
{
    return gc_refcount(object) >= immortality / 2;
}

void gc_make_immortal(void *object)
{
    gc_object *o = object;
    gc_heap *heap = gc_heap_of(object);

    gc_check_incref(o);
    if (gc_is_immortal(o))
        return;
    o->refcount += immortality;
    /* stop tracking an immortal object */
    head_of(o)->tracked = false;
    head_of(o)->collecting = head_of(o)->unreachable = false;
    list_move(&heap->immortal, &head_of(o)->link);
}

void gc_end_immortality(gc_heap *heap)
{
    while (!list_is_empty(&heap->immortal)) {
        gc_object *o = object_at(heap->immortal.next);

        list_remove(&head_of(o)->link);
        gc_adopt(heap, o);
        /* check that it was not given up too often */
        if (CHECKING && o->refcount < immortality)
            gc_stop(o, "immortal, but given up more often than taken");
        o->refcount = o->refcount > immortality
            ? o->refcount - immortality : 0;
        if (o->refcount == 0)
            gc_dealloc(o);
    }
}

/* check the counts */
#ifdef GC_CHECK
void gc_check_incref(const void *object)
{
    gc_check_alive(object, "gc_incref");
    if (gc_refcount(object) == 0)
        gc_stop(object, "gc_incref of a dying object");
}

void gc_check_decref(const void *object)
{
    gc_check_alive(object, "gc_decref");
    if (gc_refcount(object) == 0)
        gc_stop(object, "gc_decref below zero");
    /* note that a reference was given up */
    gc_heap_of(object)->given_up++;
}
#endif
