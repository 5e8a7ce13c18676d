/* From chapters 2, 3, 6, 7 and 10 of The Invisible Janitor; made by make tangle. */
/* death.c: counting references, and the death of objects. */
#include "internal.h"
#include <errno.h>

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
    *(ptrdiff_t *)arg += referent != NULL;
}

static void clear_by_type(gc_object *o)
{
    gc_heap *heap = gc_heap_of(o);
    ptrdiff_t visited = 0;

    if (CHECKING)
        o->type->traverse(o, count_visit, &visited);
    heap->given_up = 0;
    o->type->clear(o);
    if (CHECKING && heap->given_up > visited)
        gc_stop(o, "traverse visits %td references, clear gives "
                "up %td", visited, heap->given_up);
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

/* forget weak references, and tell them */
void gc_forget_referent(gc_weakref *ref)
{
    if (ref->referent == NULL)
        return;
    if (ref->prev != NULL)
        ref->prev->next = ref->next;
    else
        *weaklist_of(ref->referent) = ref->next;
    if (ref->next != NULL)
        ref->next->prev = ref->prev;
    ref->referent = NULL;
    ref->next = ref->prev = NULL;
}

void gc_weakref_traverse(void *ref, gc_visit *visit, void *arg)
{
    if (!((gc_weakref *)ref)->telling)
        visit(((gc_weakref *)ref)->closure, arg);
}

void gc_weakref_clear(void *ref)
{
    gc_forget_referent(ref);
    gc_clear_field(&((gc_weakref *)ref)->closure);
}

/* call a callback */
void gc_handle_callback(gc_weakref *ref)
{
    int error = errno;

    ref->callback(ref, ref->closure);
    errno = error;
}

void gc_tell_weakrefs(gc_object *o)
{
    gc_weakref **list = weaklist_of(o), *first, *last = NULL;

    /* forget those that have no callback to be called */
    for (gc_weakref *r = *list, *next; r != NULL; r = next) {
        next = r->next;
        if (r->callback == NULL || r->base.refcount == 0)
            gc_forget_referent(r);
    }
    first = *list;
    *list = NULL;
    for (gc_weakref *r = first; r != NULL; r = r->next) {
        r->referent = NULL;
        r->telling = true;
        gc_incref(r);
        last = r;
    }
    for (gc_weakref *r = first; r != NULL; r = r->next)
        gc_handle_callback(r);
    /* give up the references that were told, the last one first */
    for (gc_weakref *prev; last != NULL; last = prev) {
        prev = last->prev;
        last->next = last->prev = NULL;
        last->callback = NULL;
        gc_clear_field(&last->closure);
        gc_decref(last);
    }
}

void gc_forget_weakrefs(gc_object *o)
{
    if (o->type->weaklist_offset != 0)
        while (*weaklist_of(o) != NULL)
            gc_forget_referent(*weaklist_of(o));
}
/* let an object speak */
/* call a finalizer */
void gc_call_finalizer(void (*finalizer)(void *object), gc_object *o)
{
    int error = errno;

    finalizer(o);
    errno = error;
}

static bool speak(gc_object *o, void (*finalizer)(void *object))
{
    gc_head *head = head_of(o);

    o->refcount = 1;
    gc_adopt(gc_heap_of(o), o);
    head->speaking = true;
    gc_call_finalizer(finalizer, o);
    head->speaking = false;
    if (--o->refcount > 0)
        return true;
    head->state = 0;
    return false;
}

/* The last words of an object that dies by its count. Returns true
 * if it lives after all. */
static bool hear_last_words(gc_object *o)
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
    /* the object has spoken, and dies */
    if (is_weakref(o))
        gc_forget_referent((gc_weakref *)o);
    if (t->weaklist_offset != 0)
        gc_tell_weakrefs(o);
    if (t->legacy_finalize != NULL && speak(o, t->legacy_finalize))
        return true;
    /* forget weak references made in the meantime */
    gc_forget_weakrefs(o);
    return false;
}

/* die */
enum { NESTING_LIMIT = 50 };

static void die(gc_object *o)
{
    /* let the object have its last words */
    if (hear_last_words(o))
        return;
    gc_clear_references(o);
    /* check that it holds nothing any more */
    if (CHECKING) {
        ptrdiff_t held = 0;

        gc_traverse(o, count_visit, &held);
        if (held > 0)
            gc_stop(o, "holds %td references in its grave", held);
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
    uint32_t index = gc_index_of(heap, o);

    heap->tables.refs[index] = heap->postponed;
    heap->postponed = index + 1;
}

static void bury_postponed(gc_heap *heap)
{
    uint32_t first;

    heap->nesting++;
    while ((first = heap->postponed) != 0) {
        heap->postponed = heap->tables.refs[first - 1];
        bury(heap, gc_object_at(heap, first - 1));
    }
    heap->nesting--;
}

static bool is_atom(const gc_object *o)
{
    /* some others pass for atoms */
    if (is_weakref(o) && o->type->size == sizeof(gc_weakref))
        return true;
    return !has_references(o->type);
}

/* let an atom die */
static void let_atom_die(gc_heap *heap, gc_object *o)
{
    if (heap->atoms >= NESTING_LIMIT) {
        postpone(heap, o);
        return;
    }
    heap->atoms++;
    die(o);
    heap->atoms--;
}
static void leave_the_living(gc_object *o)
{
    gc_head *head = head_of(o);

    /* the dying take no part in a collection */
    if (CHECKING && head->speaking)
        gc_stop(o, "given up by its own finalizer");
    head->state = 0;
    gc_heap_of(o)->unreachable -= head->unreachable;
    head->unreachable = head->apart = false;
    if (is_weakref(o) && o->type->finalize == NULL)
        gc_forget_referent((gc_weakref *)o);
}

static void die_with_care(gc_heap *heap, gc_object *o)
{
    /* nobody dies while the heap is hushed */
    if (heap->hushed > 0) {
        heap->waiting = true;
        return;
    }
    /* begin to count what is given up */
    ptrdiff_t given_up = heap->given_up;
    leave_the_living(o);
    if (is_atom(o))
        let_atom_die(heap, o);
    else if (heap->nesting >= NESTING_LIMIT)
        postpone(heap, o);
    else
        bury(heap, o);
    if (heap->nesting == 0)
        bury_postponed(heap);
    /* go on counting where we were */
    heap->given_up = given_up;
}

/* die without a word */
/* Nobody has anything to say when such an object dies; those who
 * refer to it weakly may. */
static bool is_plain(const gc_type *t)
{
    return !CHECKING
        && ((uintptr_t)t->destroy | (uintptr_t)t->finalize
            | (uintptr_t)t->traverse | (uintptr_t)t->legacy_finalize
            | t->item_refs) == 0;
}

/* How deep we are is in heap->nesting only while it can be seen. */
static void die_deeper(gc_heap *heap, gc_object *o, unsigned depth)
{
    unsigned nesting = heap->nesting;

    heap->nesting = depth;
    gc_dealloc(o);
    heap->nesting = nesting;
}

static void tell_of_plain(gc_heap *heap, gc_object *o, unsigned depth)
{
    unsigned nesting = heap->nesting;
    bool atom = o->type->fields == NULL;

    heap->nesting = atom ? depth - 1 : depth;
    heap->atoms += atom;
    gc_tell_weakrefs(o);
    gc_forget_weakrefs(o);
    heap->atoms -= atom;
    heap->nesting = nesting;
}

static void leave_plainly(gc_heap *heap, gc_object *o, unsigned depth)
{
    gc_head *head = head_of(o);

    head->state = 0;
    if (head->unreachable)
        heap->unreachable--, head->unreachable = false;
    if (o->type->weaklist_offset != 0 && *weaklist_of(o) != NULL)
        tell_of_plain(heap, o, depth);
}

static void finish_plainly(gc_heap *heap, gc_object *o, bool counted)
{
    size_t *young = &heap->generations[0].count;

    heap->count--;
    if (counted && *young > 0)
        --*young;
    gc_give_slot(slab_of(o), (char *)o - gc_front_of(heap));
}

static void die_plainly(gc_heap *heap, gc_object *o, unsigned depth)
{
    leave_plainly(heap, o, depth);
    for (const gc_field *f = o->type->fields; f && f->name; f++) {
        gc_object *child = load((char *)o + f->offset);

        if (child == NULL || --child->refcount > 0)
            continue;
        if (depth < NESTING_LIMIT && is_plain(child->type))
            die_plainly(heap, child, depth + 1);
        else
            die_deeper(heap, child, depth);
    }
    finish_plainly(heap, o, o->type->fields != NULL);
}

static void die_as_weakref(gc_heap *heap, gc_weakref *ref)
{
    leave_plainly(heap, &ref->base, 0);
    head_of(ref)->apart = false;
    gc_forget_referent(ref);
    heap->atoms++;
    gc_xdecref(ref->closure);
    heap->atoms--;
    finish_plainly(heap, &ref->base, true);
}

static bool is_mere_weakref(const gc_type *t)
{
    return !CHECKING && t->traverse == gc_weakref_traverse
        && t->clear == gc_weakref_clear && t->fields == NULL
        && t->size == sizeof(gc_weakref)
        && ((uintptr_t)t->destroy | (uintptr_t)t->finalize
            | (uintptr_t)t->legacy_finalize | t->weaklist_offset
            | t->item_size) == 0;
}

static bool may_be_plain(const gc_heap *heap)
{
    return heap->nesting + heap->atoms < NESTING_LIMIT
        && heap->careful == 0;
}

void gc_dealloc(void *object)
{
    gc_heap *heap = slab_of(object)->heap;
    gc_object *o = object;

    if (may_be_plain(heap) && is_plain(o->type))
        die_plainly(heap, o, heap->nesting + 1);
    else if (may_be_plain(heap) && is_mere_weakref(o->type))
        die_as_weakref(heap, object);
    else if (!heap->closing)
        die_with_care(heap, o);
    if (heap->nesting == 0 && heap->postponed != 0
        && heap->hushed == 0 && !heap->closing)
        bury_postponed(heap);
}

void gc_hush(gc_heap *heap)
{
    heap->hushed++;
    heap->careful++;
}

static void postpone_if_dead(gc_object *o, void *heap)
{
    if (o->refcount > 0)
        return;
    leave_the_living(o);
    postpone(heap, o);
}

void gc_unhush(gc_heap *heap)
{
    heap->careful--;
    if (--heap->hushed > 0 || heap->closing)
        return;
    if (heap->waiting)
        gc_each_object(heap, postpone_if_dead, heap);
    heap->waiting = false;
    if (heap->nesting == 0)
        bury_postponed(heap);
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
    if (gc_is_immortal(o) || heap->shut_down)
        return;
    o->refcount += immortality;
    /* stop tracking an immortal object */
    if (heap->collecting || heap->hushed > 0) {
        heap->late_immortals = true;
        return;
    }
    head_of(o)->state = ALIVE | IMMORTAL;
}

static void make_mortal(gc_object *o, void *heap)
{
    if (!(head_of(o)->state & IMMORTAL))
        return;
    gc_adopt(heap, o);
    /* check that it was not given up too often */
    if (CHECKING && o->refcount < immortality)
        gc_stop(o, "immortal, but given up more often than taken");
    o->refcount = o->refcount > immortality
        ? o->refcount - immortality : 0;
    if (o->refcount == 0)
        gc_dealloc(o);
}

void gc_end_immortality(gc_heap *heap)
{
    heap->shut_down = true;
    /* gather the immortal from other lists */
    gc_gather_immortals(heap);
    gc_hush(heap);
    gc_each_object(heap, make_mortal, heap);
    gc_unhush(heap);
}

static void note_if_immortal(gc_object *o, void *heap)
{
    (void)heap;
    if (gc_is_immortal(o))
        head_of(o)->state = ALIVE | IMMORTAL;
}

void gc_gather_immortals(gc_heap *heap)
{
    if (!heap->late_immortals)
        return;
    heap->late_immortals = false;
    gc_each_at_home(heap, note_if_immortal, heap);
}

/* check the counts */
#ifdef GC_CHECK
void gc_check_incref(const void *object)
{
    gc_check_alive(object, "gc_incref");
    if (gc_refcount(object) == 0)
        gc_stop(object, "gc_incref of a dying object");
    /* note that a reference was made */
    gc_heap_of(object)->given_up--;
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
