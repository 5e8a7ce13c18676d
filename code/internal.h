/* From chapters 1, 2, 3, 4, 5, 6, 7, 8 and 10 of The Invisible Janitor; made by make tangle. */
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
#define GC_SLABS /* for the oracle, which is asked about lists too */

/* the note about an object */
/* What is noted about an object, in its slab. */
enum {
    GENERATION = 3,  /* of the tracked */
    PERMANENT = 3,   /* the one that is never collected */
    TRACKED = 4,
    ALIVE = 8,
    IMMORTAL = 16,   /* and not tracked any more */
    COLLECTING = 32, /* takes part in the collection, step by step */
};

typedef struct gc_head {
    uint8_t state;   /* 0: nobody is there, or somebody who dies */
    bool dead : 1;   /* the checking build keeps the dead */
    bool unreachable : 1; /* seems to be garbage */
    bool finalized : 1;   /* its finalizer has been called */
    bool speaking : 1; /* and is running, as it dies by its count */
    bool weakref : 1;  /* it was made by gc_weakref_new_of */
    bool wanted : 1;   /* its referrers are being looked for */
    bool pooled : 1;   /* it lies in a pool, or is about to */
    bool apart : 1;    /* the collector has set it aside */
} gc_head;

/* hide the slots that nobody is in */
#if defined __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
enum { SANITIZED = 1 };
#else
#define ASAN_POISON_MEMORY_REGION(block, size) ((void)0)
#define ASAN_UNPOISON_MEMORY_REGION(block, size) ((void)0)
enum { SANITIZED = 0 };
#endif

enum { REDZONE = 32 * SANITIZED }; /* between two slots */

/* a slab */
enum {
    SLAB_SIZE = 1 << 16, /* slabs begin at multiples of this */
    SLAB_FIRST = 128,    /* where their first slot begins */
    SLOT_GRAIN = 8,      /* sizes up to SLOT_SMALL in such steps */
    SLOT_SMALL = 1024,
    SLOT_COARSE = 128,   /* and the others in such */
    SLOT_LARGEST = 8192, /* what is larger has a slab to itself */
    SMALL_KINDS = SLOT_SMALL / SLOT_GRAIN,
    SLAB_KINDS = SMALL_KINDS
        + (SLOT_LARGEST - SLOT_SMALL) / SLOT_COARSE + 1,
};

/* A row of slots of one size, each with room for an object; after
 * the slots, what is noted about them. */
typedef struct gc_slab {
    gc_heap *heap;
    gc_head *heads;
    uint32_t inverse; /* of the size, times 2^32 */
    uint32_t size;    /* of a slot */
    uint32_t capacity, fresh, used; /* slots; once used; in use */
    uint32_t kind, number;
    void *free;       /* a list of slots that were in use */
    struct gc_slab *next, *prev;
    struct gc_slab *leader; /* of the slabs that came in one block */
    size_t extent;    /* of this slab, in bytes */
    /* of a leader: the block, and how many of its slabs are in use */
    void *block;
    size_t bytes;
    uint32_t parts, busy;
    struct gc_slab *next_leader, *prev_leader;
} gc_slab;

_Static_assert(sizeof(gc_slab) <= SLAB_FIRST, "too large a head");

static inline gc_slab *slab_of(const void *object)
{
    return (gc_slab *)((uintptr_t)object & ~(uintptr_t)(SLAB_SIZE - 1));
}

/* Which slot of its slab an object is in. */
static inline size_t gc_slot_of(const gc_slab *s, const void *object)
{
    uintptr_t offset = (uintptr_t)object - (uintptr_t)s - SLAB_FIRST;

    return (size_t)((uint64_t)offset * s->inverse >> 32);
}

static inline gc_head *head_of(const void *object)
{
    gc_slab *s = slab_of(object);

    return &s->heads[gc_slot_of(s, object)];
}

/* The room before an object, in a heap that remembers places: a
 * multiple of 16. */
enum { GC_FRONT = (sizeof(gc_place) + 15) / 16 * 16 };

/* the heap */
/* the tables of a heap */
/* What the collector has to know of a slab: 16 bytes, so that what
 * it looks up again and again is close together. */
struct gc_known {
    uintptr_t first;  /* the address of its first slot; 0: none */
    uint32_t base, inverse;
};

/* A slab by its number, in the order of their bases. */
struct gc_row {
    char *first; /* where its first object is; NULL: it is gone */
    uint32_t base, size;
};

struct gc_tables {
    struct gc_known *known; /* by address */
    size_t mask;            /* of their number, a power of two */
    struct gc_row *rows;
    size_t slabs, slab_room, gaps;
    uint8_t *youngest; /* a slab's objects are not of younger ones */
    bool *touched;     /* in this collection */
    bool *settled;     /* all that is in it is of the oldest */
    uint32_t *refs;    /* a number for each slot: gc_refs, or marks */
    uint64_t *zero;    /* a bit for each slot: may be garbage */
    uint32_t *numbers; /* for each 64 slots the number of their slab */
    size_t slots, slot_room;
    void *block;
    size_t bytes;
};

/* What the types of the objects in a collection have. */
enum { IMMUTABLE = 1, NOT_PLAIN = 2 };

/* A set of objects, told by their state. */
struct gc_set {
    uint8_t mask, least, span;
};

/* what is true of a heap between calls */
/* Between two collections nobody is collecting, unreachable or apart,
 * no slab is touched, and calling is empty. During one, those who are
 * unreachable or apart are given to nobody. */
struct gc_heap {
    gc_options options;
    size_t count;    /* living objects */
    size_t bytes;    /* held, this struct included */
    /* the other lists and counts of a heap */
    bool allocating; /* a hook of the allocator has been called */
    unsigned destroying; /* calls of a type's destroy, one in another */
    bool leaving; /* gc_heap_free has begun */
    bool closing; /* and has come so far that no one is born any more */
    unsigned nesting;   /* deaths under way, one inside another */
    uint32_t postponed; /* the dead that wait: index + 1 of the latest */
    unsigned hushed; /* nobody is born, dies, or collects */
    bool waiting;    /* somebody should have died meanwhile */
    bool shut_down; /* it is closing, and immortality is over */
    bool collecting;
    ptrdiff_t given_up; /* more than made; counted by the checking build */
    struct generation {
        size_t count, threshold;
        gc_stats stats; /* of the collections there have been */
    } generations[GC_GENERATIONS];
    size_t long_lived_total;   /* survivors of the last full collection */
    size_t long_lived_pending; /* of generation 1 since then */
    bool disabled; /* no collection but on request */

    struct registered {
        gc_callback *callback;
        void *context;
    } *callbacks;
    size_t callback_count, callback_room;
    unsigned debug;
    unsigned atoms; /* deaths of atoms under way */
    gc_object **garbage;
    size_t garbage_length, garbage_room;
    bool spoken; /* a finalizer was called in the last collection */
    bool late_immortals; /* some are not known as immortal yet */
    gc_weakref *calling, *last_calling; /* callbacks to be called */
    unsigned busy; /* hooks that have been called otherwise */
    gc_finalizer *newest;  /* owned; the beginning of a list */
    gc_finalizer *next_at_exit; /* of those whose turn is to come */
    unsigned selection;    /* at exit: how often they were chosen */
    bool reselect;         /* choose again, for there is a new one */
    gc_link lists; /* whose references are not the program's */

    struct gc_kind {
        gc_slab *roomy; /* those with a slot to give */
        size_t slabs;
    } kinds[SLAB_KINDS];
    gc_slab *leaders;  /* the first slab of each block */
    gc_slab *spare;    /* slabs for any kind */
    size_t spares;
    unsigned careful; /* births and deaths are to be looked at */
    bool poor; /* the allocator has said no, and no whole slab since */
    struct gc_tables tables;
    struct gc_set set; /* what is collected */
    size_t unreachable, collected; /* how many: the garbage; the rest */
    unsigned features; /* of the types in it */
    bool set_aside; /* some of the garbage is not to be collected */
    bool heavy; /* somebody in it has very many references */
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
void *gc_allocate_aligned(gc_heap *heap, size_t size,
                          size_t alignment);
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

/* From pages.c: a block for free, on large pages if it is large. */
void *gc_take_pages(size_t size, size_t alignment);

/* the place before an object */
/* The room in front of an object, and the place that is noted there. */
static inline size_t gc_front_of(const gc_heap *heap)
{
    return heap->options.places ? GC_FRONT : 0;
}

static inline gc_place *gc_place_of(const gc_object *o)
{
    return (gc_place *)((uintptr_t)o - GC_FRONT);
}

/* from slab.c */
static inline void *gc_slot_at(const gc_slab *s, size_t i)
{
    return (char *)(uintptr_t)s + SLAB_FIRST + i * s->size;
}

static inline size_t gc_round_up(size_t size, size_t step)
{
    return (size + step - 1) / step * step;
}

/* A slot for so many bytes, to be aligned if that is asked for. */
void *gc_take_slot(gc_heap *heap, size_t size, bool aligned);
void gc_nobody_is_in(gc_slab *s);

void gc_tidy_tables(gc_heap *heap);
void gc_release_slabs(gc_heap *heap);
void gc_bulk_release(gc_heap *heap, size_t number);

/* What is known of an object's slab; NULL if it is another heap's.
 * The place to look at first is usually the right one. */
const struct gc_known *gc_search_known(const struct gc_known *known,
                                       size_t mask, const void *object);

static inline const struct gc_known *gc_known_of(
    const struct gc_known *known, size_t mask, const void *object)
{
    const struct gc_known *k =
        &known[(uintptr_t)object / SLAB_SIZE & mask];

    return (uintptr_t)object - k->first < SLAB_SIZE - SLAB_FIRST
        ? k : gc_search_known(known, mask, object);
}

static inline uint32_t gc_index_by(const struct gc_known *k,
                                   const void *object)
{
    uintptr_t offset = (uintptr_t)object - k->first;

    return k->base + (uint32_t)((uint64_t)offset * k->inverse >> 32);
}

/* No place in the tables. */
static const uint32_t SLOT_NOWHERE = UINT32_MAX;

/* Where the tables have an object; SLOT_NOWHERE if they do not. */
static inline uint32_t gc_index_of(const gc_heap *heap,
                                   const void *object)
{
    const struct gc_known *k = gc_known_of(heap->tables.known,
                                           heap->tables.mask, object);

    return k != NULL ? gc_index_by(k, object) : SLOT_NOWHERE;
}

static inline gc_object *gc_object_at(const gc_heap *heap,
                                      uint32_t index)
{
    const struct gc_tables *t = &heap->tables;
    const struct gc_row *r = &t->rows[t->numbers[index / 64]];

    return (gc_object *)(void *)(r->first
        + (size_t)(index - r->base) * r->size);
}

static inline void gc_push_slab(gc_slab **list, gc_slab *s)
{
    s->prev = NULL;
    s->next = *list;
    if (*list != NULL)
        (*list)->prev = s;
    *list = s;
}

static inline void gc_unlink_slab(gc_slab **list, gc_slab *s)
{
    if (s->prev != NULL)
        s->prev->next = s->next;
    else
        *list = s->next;
    if (s->next != NULL)
        s->next->prev = s->prev;
}

/* A slot of a slab that has one. */
static inline void *gc_take_from(gc_slab *s)
{
    void *slot = s->free;

    if (slot == NULL || (SANITIZED && s->fresh < s->capacity)) {
        slot = gc_slot_at(s, s->fresh++);
        ASAN_UNPOISON_MEMORY_REGION(slot, s->size - REDZONE);
    } else {
        ASAN_UNPOISON_MEMORY_REGION(slot, s->size - REDZONE);
        memcpy(&s->free, slot, sizeof s->free);
    }
    s->used++;
    if (s->free == NULL && s->fresh == s->capacity)
        gc_unlink_slab(&s->heap->kinds[s->kind].roomy, s);
    return slot;
}

/* Its way back. */
static inline void gc_give_slot(gc_slab *s, void *slot)
{
    memcpy(slot, &s->free, sizeof s->free);
    s->free = slot;
    ASAN_POISON_MEMORY_REGION(slot, s->size);
    if (s->used-- == s->capacity && s->kind > 0)
        gc_push_slab(&s->heap->kinds[s->kind].roomy, s);
    if (s->used == 0)
        gc_nobody_is_in(s);
}

static inline bool gc_test_bit(const uint64_t *bits, uint32_t i)
{
    return bits[i / 64] >> i % 64 & 1;
}

/* The number that the tables keep for an object of this heap. */
static inline uint32_t *gc_refs_of(const gc_object *o)
{
    gc_heap *heap = slab_of(o)->heap;

    return &heap->tables.refs[gc_index_of(heap, o)];
}

/* Set a block to zero, which is not much, as a rule. */
static inline void gc_wipe(char *block, size_t size)
{
    if (size > 128 || size < 16) {
        memset(block, 0, size);
    } else if (size > 64) {
        memset(block, 0, 64);
        memset(block + size - 64, 0, 64);
    } else if (size > 32) {
        memset(block, 0, 32);
        memset(block + size - 32, 0, 32);
    } else {
        memset(block, 0, 16);
        memset(block + size - 16, 0, 16);
    }
}

/* from report.c */
const char *gc_describe(const gc_object *o, char *text, size_t size);
void gc_say(gc_heap *heap, const char *format, ...);
/* Write a text such that it can stand between quotation marks. */
void gc_write_escaped(FILE *out, const char *text);
_Noreturn void gc_stop(const gc_object *o, const char *format, ...);
void gc_check_alive(const void *object, const char *caller);
/* from object.c */
/* from object.c: a block for an object, all zero but for the heap; the
 * bytes that it takes, all told */
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

/* Call fn for every living object, for those that are garbage, or
 * for those of one generation that are not. */
typedef void gc_object_fn(gc_object *o, void *arg);
void gc_each_object(gc_heap *heap, gc_object_fn *fn, void *arg);
void gc_each_unreachable(gc_heap *heap, gc_object_fn *fn, void *arg);
void gc_each_of(gc_heap *heap, int g, gc_object_fn *fn, void *arg);
size_t gc_size_of(gc_heap *heap, int g);

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

static inline uint32_t saturated(size_t refcount)
{
    return refcount < UINT32_MAX ? (uint32_t)refcount : UINT32_MAX;
}

/* The beginning of the list of the weak references to an object. */
static inline gc_weakref **weaklist_of(gc_object *o)
{
    return (void *)((char *)o + o->type->weaklist_offset);
}

/* The same for those that no collection is working with. */
void gc_each_at_home(gc_heap *heap, gc_object_fn *fn, void *arg);

/* Writes a colon and the line, if there is one; returns the text. */
const char *gc_line_of(gc_place place, char text[16]);

void gc_keep(gc_object *o, int g);

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
/* From finalize.c, phases of a collection: let the unreachable speak
 * (returns whether any did); set aside what cannot be freed, and
 * keep it. */
bool gc_finalize_garbage(gc_heap *heap);
bool gc_move_legacy_finalizers(gc_heap *heap);
size_t gc_handle_legacy_finalizers(gc_heap *heap, int older);
bool gc_garbage_append(gc_heap *heap, gc_object *o);
bool gc_give_up_garbage(gc_heap *heap); /* was it saved? */

/* From finalize.c, more phases: clear all weak references to the
 * garbage and in it; call the callbacks of those that live (returns
 * how many were freed by it). */
void gc_clear_weakrefs(gc_heap *heap);
size_t gc_handle_callbacks(gc_heap *heap, int older);

/* from weakref.c */
void gc_exit_finalizers(gc_heap *heap);
#endif
