/* From chapters 1, 2, 3, 4, 5, 6, 7, 8 and 9 of The Invisible Janitor; made by make tangle. */
/* internal.h: what the modules of the library share. */
#ifndef JANITOR_INTERNAL_H
#define JANITOR_INTERNAL_H

/* the library has no places of its own */
#undef GC_PLACES
#include "janitor.h"
#include <stdint.h>
#include <string.h>

/* links */
/* A link of a circular list; an empty list is linked to itself. */
typedef struct gc_link {
    struct gc_link *next, *prev;
} gc_link;

static inline void list_init(gc_link *list)
{
    list->next = list->prev = list;
}

static inline void list_append(gc_link *list, gc_link *link)
{
    link->prev = list->prev;
    link->next = list;
    list->prev->next = link;
    list->prev = link;
}

static inline void list_remove(gc_link *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
}

static inline bool list_is_empty(const gc_link *list)
{
    return list->next == list;
}

static inline void list_move(gc_link *list, gc_link *link)
{
    list_remove(link);
    list_append(list, link);
}

/* Append all of one list to another, and leave it empty. */
static inline void list_merge(gc_link *to, gc_link *from)
{
    if (list_is_empty(from))
        return;
    from->next->prev = to->prev;
    from->prev->next = to;
    to->prev->next = from->next;
    to->prev = from->prev;
    list_init(from);
}

/* the head of an object */
/* what is true of a head between calls */
/* Between two calls of the library an object is linked into exactly
 * one list of its heap, unless it is dead: the dead are on none, or
 * on that of the checking build. */
/* Between collections collecting and unreachable are false, and
 * gc_refs means nothing: a tool may use it for marks of its own. */
/* What stands in front of every object. */
typedef struct gc_head {
    _Alignas(max_align_t) gc_link link;
    gc_heap *heap;
    /* a number for the collector */
    uint32_t gc_refs; /* of its references, those not accounted for */
    /* more notes about an object */
    bool dead : 1; /* the checking build keeps the dead */
    bool tracked : 1;
    bool collecting : 1;  /* takes part in the collection */
    bool unreachable : 1; /* and seems to be garbage */
    bool finalized : 1; /* its finalizer has been called */
    bool speaking : 1;  /* and is running, as it dies by its count */
    bool weakref : 1; /* it was made by gc_weakref_new_of */
    bool wanted : 1; /* its referrers are being looked for */
    bool pooled : 1; /* it lies in a pool, or is about to */
} gc_head;

static inline gc_head *head_of(const void *object)
{
    return (gc_head *)(uintptr_t)object - 1;
}

static inline gc_object *object_at(gc_link *link)
{
    return (gc_object *)((gc_head *)link + 1);
}

/* What stands before the head, in a heap that remembers places. */
typedef struct gc_front {
    _Alignas(max_align_t) gc_place place;
} gc_front;

/* the heap */
/* what is true of a heap between calls */
/* Between two collections tracked, unreachable, seen,
 * uncollectable and calling are empty: they are workbenches.
 * During one, what is on them is given to nobody. */
struct gc_heap {
    gc_options options;
    size_t count;    /* living objects */
    size_t bytes;    /* held, this struct included */
    gc_link objects; /* the living, oldest first */
    /* the other lists and counts of a heap */
    bool allocating; /* a hook of the allocator has been called */
    unsigned destroying; /* calls of a type's destroy, one in another */
    bool leaving; /* gc_heap_free has begun */
    bool closing; /* and has come so far that no one is born any more */
    gc_link dead; /* only in the checking build */
    unsigned nesting;   /* deaths under way, one inside another */
    gc_link *postponed; /* the dead that wait, the latest first */
    unsigned hushed; /* nobody is born, dies, or collects */
    bool waiting;    /* somebody should have died meanwhile */
    bool shut_down; /* it is closing, and immortality is over */
    gc_link immortal;
    gc_link tracked; /* the objects that may be part of a cycle */
    bool collecting;
    gc_link unreachable; /* the garbage of this collection */
    ptrdiff_t given_up; /* more than made; counted by the checking build */
    struct generation {
        gc_link objects;
        size_t count, threshold;
        gc_stats stats; /* of the collections there have been */
    } generations[GC_GENERATIONS];
    size_t long_lived_total;   /* survivors of the last full collection */
    size_t long_lived_pending; /* of generation 1 since then */
    bool disabled; /* no collection but on request */
    gc_link permanent; /* the generation that is never collected */
    struct registered {
        gc_callback *callback;
        void *context;
    } *callbacks;
    size_t callback_count, callback_room;
    unsigned debug;
    unsigned atoms; /* deaths of atoms under way */
    gc_link seen; /* garbage that was asked for its last words */
    gc_link uncollectable; /* set aside by the collection */
    gc_object **garbage;
    size_t garbage_length, garbage_room;
    bool spoken; /* a finalizer was called in the last collection */
    gc_link calling; /* weak references whose callback is to be called */
    bool late_immortals; /* some are not on the list of the immortal yet */
    gc_finalizer *newest;  /* owned; the beginning of a list */
    gc_finalizer *next_at_exit; /* of those whose turn is to come */
    unsigned selection;    /* at exit: how often they were chosen */
    bool reselect;         /* choose again, for there is a new one */
    unsigned busy; /* hooks that have been called otherwise */
    gc_link lists; /* whose references are not the program's */
    struct free_list {
        void *first; /* a block begins with the address of the next */
        size_t length;
    } free_lists[64]; /* of blocks of 16, 32, ... 1024 bytes */
};

#ifdef GC_CHECK
enum { CHECKING = 1 };
#else
enum { CHECKING = 0 };
#endif

#ifdef GC_STRESS
enum { STRESSED = 1 };
#else
enum { STRESSED = 0 };
#endif
/* what the modules share */
/* from memory.c */
extern const gc_allocator gc_malloc;
void *gc_allocate(gc_heap *heap, size_t size);
void gc_release(gc_heap *heap, void *block, size_t size);

/* A larger array with the same elements, of size bytes each, and
 * room for more; the old one is given back. NULL when out of memory,
 * and then the old one is as it was. */
void *gc_grow(gc_heap *heap, void *array, size_t *room, size_t size);

/* Where an index of so many places, a power of two, has an entry or
 * would have it: the place to look at in this step. */
static inline size_t *gc_probe(size_t *index, size_t places,
                               uint64_t hash, size_t step)
{
    hash = (hash ^ hash >> 32) * 0xd6e8feb86659fd93u;
    hash = (hash ^ hash >> 32) * 0xd6e8feb86659fd93u;
    hash ^= hash >> 32;
    return &index[((size_t)hash + step) & (places - 1)];
}
void *gc_take_block(gc_heap *heap, size_t size);
void gc_give_block(gc_heap *heap, void *block, size_t size);
/* from report.c */
const char *gc_describe(const gc_object *o, char *text, size_t size);
void gc_say(gc_heap *heap, const char *format, ...);
/* Write a text such that it can stand between quotation marks. */
void gc_write_escaped(FILE *out, const char *text);
_Noreturn void gc_stop(const gc_object *o, const char *format, ...);
void gc_check_alive(const void *object, const char *caller);
/* from object.c */
/* A block for an object, all zero but for the heap; the bytes that it
 * takes, all told. */
gc_object *gc_allocate_object(gc_heap *heap, const gc_type *type,
                              size_t length);
void gc_release_object(gc_object *o);
size_t gc_bytes_of(const gc_object *o);
void gc_adopt(gc_heap *heap, gc_object *o);
void gc_finish(gc_object *o);

static inline size_t gc_length(const gc_object *o)
{
    if (o->type->item_size == 0)
        return 0;
    return ((const gc_var_object *)o)->length;
}

/* Call fn for every living object, or for those on one list. It
 * may free that object and no other. */
typedef void gc_object_fn(gc_object *o, void *arg);
void gc_each_object(gc_heap *heap, gc_object_fn *fn, void *arg);
void gc_each_in(gc_link *list, gc_object_fn *fn, void *arg);

/* The object that the field at this address refers to, or NULL. */
static inline gc_object *load(const void *field)
{
    gc_object *o;

    memcpy(&o, field, sizeof o);
    return o;
}

static inline bool has_references(const gc_type *type)
{
    /* a type may have references that only it knows */
    if (type->traverse != NULL)
        return true;
    return type->fields != NULL || type->item_refs;
}

static inline uint32_t saturated(size_t refcount)
{
    return refcount < UINT32_MAX ? (uint32_t)refcount : UINT32_MAX;
}

size_t gc_list_size(const gc_link *list);

/* Call visit for each reference that an object holds. */
static inline void gc_traverse(gc_object *o, gc_visit *visit, void *arg)
{
    const gc_type *t = o->type;

    for (const gc_field *f = t->fields; f && f->name; f++)
        visit(load((char *)o + f->offset), arg);
    if (t->item_refs)
        for (size_t i = gc_length(o); i-- > 0;)
            visit(load((gc_object **)gc_items(o) + i), arg);
    if (t->traverse != NULL)
        t->traverse(o, visit, arg);
}

/* The beginning of the list of the weak references to an object. */
static inline gc_weakref **weaklist_of(gc_object *o)
{
    return (void *)((char *)o + o->type->weaklist_offset);
}

/* The same for those that no collection is working with. */
void gc_each_at_home(gc_heap *heap, gc_object_fn *fn, void *arg);

/* The room in front of a head, and the place that is noted there. */
static inline size_t gc_front_of(const gc_heap *heap)
{
    return heap->options.places ? sizeof(gc_front) : 0;
}

static inline gc_place *gc_place_of(const gc_object *o)
{
    return &((gc_front *)(void *)head_of(o) - 1)->place;
}

/* Writes a colon and the line, if there is one; returns the text. */
const char *gc_line_of(gc_place place, char text[16]);

/* from death.c */
/* While the heap is hushed, hooks that should only look can do no
 * harm: nobody is born, and whoever would die waits until the end. */
void gc_hush(gc_heap *heap);
void gc_unhush(gc_heap *heap);
/* Give up every reference that an object holds. */
void gc_clear_references(gc_object *o);
void gc_end_immortality(gc_heap *heap);
void gc_call_finalizer(void (*finalizer)(void *object), gc_object *o);

static inline bool is_weakref(const gc_object *o)
{
    return head_of(o)->weakref;
}

void gc_forget_referent(gc_weakref *ref);
void gc_forget_weakrefs(gc_object *o);
void gc_tell_weakrefs(gc_object *o);
void gc_handle_callback(gc_weakref *ref);
void gc_gather_immortals(gc_heap *heap);

/* from cycles.c */
size_t gc_collect_main(gc_heap *heap, int g);
/* from generations.c */
/* Count a birth, and collect if it is time. */
void gc_count_new(gc_heap *heap);

/* from control.c */
void gc_invoke_callbacks(gc_heap *heap, const char *phase,
                         const gc_info *info);
void gc_report_start(gc_heap *heap, int g);
void gc_report_stop(gc_heap *heap, const gc_info *info);

/* from finalize.c */
/* Phases of a collection: let the unreachable speak
 * (returns whether any did); set aside what cannot be freed, and
 * keep it. */
bool gc_finalize_garbage(gc_heap *heap);
void gc_move_legacy_finalizers(gc_heap *heap);
size_t gc_handle_legacy_finalizers(gc_heap *heap, gc_link *older);
bool gc_garbage_append(gc_heap *heap, gc_object *o);
bool gc_give_up_garbage(gc_heap *heap); /* was it saved? */

/* More phases: clear all weak references to the
 * garbage and in it; call the callbacks of those that live (returns
 * how many were freed by it). */
void gc_clear_weakrefs(gc_heap *heap);
size_t gc_handle_callbacks(gc_heap *heap, gc_link *older);

/* from weakref.c */
void gc_exit_finalizers(gc_heap *heap);
#endif
