/* From chapters 1, 2, 3, 4, 5, 6, 7, 8 and 9 of The Invisible Janitor; made by make tangle. */
/* janitor.h: objects that clean up after themselves. */
#ifndef JANITOR_H
#define JANITOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* begin what is C even in C++ */
#ifdef __cplusplus
extern "C" {
#endif

/* the types of the interface */
/* A heap is opaque; a type is described below. */
typedef struct gc_heap gc_heap;
typedef struct gc_type gc_type;
/* other types that are mentioned early */
typedef struct gc_leak gc_leak;

/* The first member of every object's struct. Read it as you like;
 * only the library writes to it. */
typedef struct gc_object {
    /* how many references there are to the object */
    size_t refcount;
    const gc_type *type;
} gc_object;

/* A field of an object's struct that holds a reference to another
 * object, or NULL. A list of fields ends with GC_END. */
typedef struct gc_field {
    const char *name;
    size_t offset; /* in bytes, from the start of the object */
} gc_field;

/* The entry for a member of a struct, and the end of the list. */
#define GC_FIELD(type, member) { #member, offsetof(type, member) }
#define GC_END { NULL, 0 }

/* what a traversal calls */
/* What traverse calls for each reference, a function of the
 * library. */
typedef void gc_visit(void *referent, void *arg);

/* What the objects of one kind have in common. Types are constant
 * and may serve many heaps. What is left out is zero. */
struct gc_type {
    const char *name;       /* one word */
    size_t size;            /* of an object, in bytes */
    const gc_field *fields; /* its references; NULL: it has none */
    /* what else a type may say */
    /* Give back what is not an object; look into no other object. It
     * may do anything else. */
    void (*destroy)(void *object);
    /* Write a word or two about the object, as Python's repr does. It may
     * look and not touch; any reference of the object may be NULL. */
    void (*repr)(const void *object, char *text, size_t size);
    size_t item_size; /* of each item, in bytes; 0: no items */
    bool item_refs;   /* the items are references */
    /* For references that are neither in fields nor items, both or none:
     * call visit once for each (NULL does no harm); give each up.
     * traverse may look and not touch, clear may do anything. */
    void (*traverse)(void *object, gc_visit *visit, void *arg);
    void (*clear)(void *object);
    bool immutable; /* fields and items, once set, stay as they are */
    /* Called once, before the object dies, while all that it refers to
     * is whole. It may do anything: even make a reference to the object,
     * which then lives. As __del__. */
    void (*finalize)(void *object);
    /* The old kind, as tp_del: called each time the object dies by its
     * count. It may do anything. The collector frees neither the object
     * nor what it refers to. */
    void (*legacy_finalize)(void *object);
    /* The offset of a member of type gc_weakref *, in which the library
     * keeps the weak references to the object; 0: there can be none. */
    size_t weaklist_offset;
    /* As __eq__ and __hash__. NULL: by identity. The first is not asked
     * about one and the same object; the second returns false if the
     * object cannot be hashed. Equal objects have equal hashes. They
     * may do anything. */
    bool (*equal)(void *object, void *other);
    bool (*hash)(void *object, size_t *hash);
    /* How many bytes it owns beside itself that were taken from its heap,
     * as __sizeof__ knows them. It may look and not touch. NULL: none. */
    size_t (*owned_bytes)(const void *object);
};

/* where a heap gets its memory */
/* Where a heap gets its memory. allocate returns NULL when there
 * is none; release is told the size that was asked for. They may
 * look and not touch. */
typedef struct gc_allocator {
    void *(*allocate)(void *context, size_t size, size_t alignment);
    void (*release)(void *context, void *block, size_t size);
    void *context;
} gc_allocator;

/* Where a heap's messages go: a line at a time, without '\n'. It may
 * look and not touch. */
typedef struct gc_sink {
    void (*write)(void *context, const char *line);
    void *context;
} gc_sink;

/* What a heap is made with. All zero is a good choice. */
typedef struct gc_options {
    gc_allocator allocator; /* zero: malloc and free */
    gc_sink sink;           /* zero: silence */
    /* more options */
    /* Called after each phase of a collection. It may look and not touch;
     * to dump the heap is allowed. NULL: nothing is called. */
    void (*on_phase)(gc_heap *heap, const char *phase, void *context);
    void *phase_context;
    /* Collect whenever a tracked object is made, to find mistakes. */
    bool stress;
    /* Remember for every object where it was made: sixteen bytes each.
     * The program has to be compiled with GC_PLACES. */
    bool places;
    /* Called for each leaked object when the heap closes, before any of
     * them is destroyed. It may look and ask. NULL: nothing is called. */
    void (*on_leak)(const gc_leak *leak, void *context);
    void *leak_context;
    /* How many blocks of dead objects to keep for new ones, of each
     * size up to a kilobyte. 0: none. The checking build keeps none. */
    size_t free_blocks;
} gc_options;

/* The first member of an object that ends in an array of items. The
 * array begins type->size bytes after the object does, which is
 * all that can be said of its alignment. */
typedef struct gc_var_object {
    gc_object base;
    size_t length; /* in items; read it only */
} gc_var_object;

/* For the functions below only. */
void gc_dealloc(void *object);
/* declare the checks of the counts */
#ifdef GC_CHECK
void gc_check_incref(const void *object);
void gc_check_decref(const void *object);
#else
static inline void gc_check_incref(const void *o) { (void)o; }
static inline void gc_check_decref(const void *o) { (void)o; }
#endif

/* The number of generations. The youngest is generation 0. */
enum { GC_GENERATIONS = 3 };

/* What has been done for a generation, as in gc.get_stats(). */
typedef struct gc_stats {
    size_t collections;
    size_t collected; /* objects, in all of them */
    /* what else is told of past collections */
    size_t uncollectable;
} gc_stats;

/* What a callback is told of a collection. At its start nothing
 * has been collected yet. */
typedef struct gc_info {
    int generation;
    size_t collected; /* objects */
    /* what else is told of a collection */
    size_t uncollectable;
} gc_info;

/* phase is "start" or "stop". It may do anything but collect: that
 * finds nothing. As the members of Python's gc.callbacks. */
typedef void gc_callback(gc_heap *heap, const char *phase,
                         const gc_info *info, void *context);

/* A dictionary that refers weakly to its keys or to its values. */
typedef struct gc_weakdict gc_weakdict;

typedef struct gc_weakref gc_weakref;

/* What is called when the referent of ref has died. It may do
 * anything. The closure is what gc_weakref_new was given. */
typedef void gc_weakref_callback(gc_weakref *ref, void *closure);

/* An object that refers to another one, its referent, and does not
 * keep it alive. Its members are the library's; it is declared here
 * to be the first member of structs that add some of their own. */
struct gc_weakref {
    gc_object base;
    gc_object *referent;     /* NULL when it is dead */
    gc_weakref *next, *prev; /* others to the same referent */
    gc_weakref_callback *callback;
    gc_object *closure; /* owned */
    size_t hash;        /* of the referent, if it was asked for */
    bool hashed;
    bool telling; /* its callback is called, or is about to be */
};

/* A function that waits for the death of an object. */
typedef struct gc_finalizer gc_finalizer;

/* A place in the source of a program. */
typedef struct gc_place {
    const char *file; /* NULL: not known */
    int line;         /* 0: there are no lines there */
} gc_place;

/* What is told of an object that was leaked. */
struct gc_leak {
    const void *object; /* to be looked at, and not touched */
    const char *file;   /* where it was made; NULL: not known */
    int line;
    size_t bytes, refcount;
};

/* heaps */
/* Make a heap; NULL for options stands for all zero. Returns NULL
 * when out of memory, or when half an allocator is given. A heap is
 * used by one thread at a time; a program may have many heaps. An
 * object refers to objects of its own heap alone. */
gc_heap *gc_heap_new(const gc_options *options);

/* Close a heap. What is still alive then is leaked: it is reported to
 * the sink, its destroy is called, its memory freed. Returns how
 * many objects that were. Closing NULL does nothing. From within a
 * function that the heap has called it cannot be closed: SIZE_MAX is
 * returned then, nothing is done, and the sink is told. */
size_t gc_heap_free(gc_heap *heap);

/* How many objects are alive in the heap. */
size_t gc_heap_count(const gc_heap *heap);

/* How many bytes the heap holds, for itself and for its objects, as
 * asked of the allocator; with the dead, in the checking build. */
size_t gc_heap_bytes(const gc_heap *heap);

/* A write for a sink whose context is a FILE *. */
void gc_write_line(void *file, const char *line);

/* objects */
/* Make an object with every field zero; the caller owns it. Returns
 * NULL when out of memory, and while the heap closes; the heap is
 * then as it was. */
void *gc_new(gc_heap *heap, const gc_type *type);

/* The heap that an object lives in. */
gc_heap *gc_heap_of(const void *object);

/* Make an object of a type with items: length of them, all zero;
 * otherwise like gc_new. NULL also if there are too many of them, and
 * if the type has no items and length is not 0. */
void *gc_new_var(gc_heap *heap, const gc_type *type, size_t length);

/* The first item of an object whose type has items. */
void *gc_items(const void *object);

/* What is wrong with a type, in words; NULL if nothing is. */
const char *gc_type_error(const gc_type *type);

/* Are two objects equal, as == in Python? The type of the first that
 * has an opinion is asked. It may run any code. */
bool gc_equal(void *object, void *other);

/* The hash of an object; false if it cannot be hashed. */
bool gc_hash(void *object, size_t *hash);

/* Give the blocks on the free lists back to the allocator; returns
 * how many. Every full collection does it. */
size_t gc_clear_free_lists(gc_heap *heap);

/* A fixed number of objects, made once and used again and again. */
typedef struct gc_pool gc_pool;

/* Make a pool of objects of one type; the caller owns it. NULL when
 * out of memory. As the article's ObjectPool(size). */
gc_pool *gc_pool_new(gc_heap *heap, const gc_type *type, size_t size);

/* Take an object out of the pool. The reference is the caller's, to
 * be handed back with gc_pool_release. NULL if all are out, in a hook
 * that may only look, and while the heap closes. Allocates nothing. */
void *gc_pool_get(gc_pool *pool);

/* As gc_pool_new, and note the place in the pool and its objects. */
gc_pool *gc_pool_new_at(gc_heap *heap, const gc_type *type, size_t size,
                        gc_place place);

/* Hand an object back. Its references are given up; to those who refer
 * to it weakly it has died; whatever else is in it stays. Then it is in
 * the pool again, unless code that ran meanwhile has taken a reference
 * to it: it is theirs then, and out until they release it. If it was
 * not released it is still the caller's, and nothing has changed. */
enum gc_pool_result {
    GC_POOL_RELEASED,
    GC_POOL_NOT_OURS,  /* it is not of this pool */
    GC_POOL_NOT_OUT,   /* it was released before */
    GC_POOL_STILL_USED /* someone else has a reference to it */
};
enum gc_pool_result gc_pool_release(gc_pool *pool, void *object);

/* How many objects the pool has, and how many are not out. */
size_t gc_pool_size(const gc_pool *pool);
size_t gc_pool_available(const gc_pool *pool);
/* references */
/* Note that there is one reference more to the object. */
static inline void gc_incref(void *object)
{
    gc_check_incref(object);
    ((gc_object *)object)->refcount++;
}

/* Give up a reference of one's own. The last one to do so frees the
 * object, and whatever only that object kept alive. */
static inline void gc_decref(void *object)
{
    gc_check_decref(object);
    if (--((gc_object *)object)->refcount == 0)
        gc_dealloc(object);
}

/* The same, if there is an object: for NULL it does nothing. */
static inline void gc_xincref(void *object)
{
    if (object != NULL)
        gc_incref(object);
}

/* The same, if there is an object. */
static inline void gc_xdecref(void *object)
{
    if (object != NULL)
        gc_decref(object);
}

/* Count a new reference and return it, to be stored somewhere. */
static inline void *gc_new_ref(void *object)
{
    gc_incref(object);
    return object;
}

/* How many references there are, as Python's sys.getrefcount (which
 * counts its own argument too, and so says one more). */
static inline size_t gc_refcount(const void *object)
{
    return ((const gc_object *)object)->refcount;
}

/* Make the field at this address refer to value, borrowed, which
 * may be NULL, and give up what it referred to before. */
void gc_set_field(void *field, void *value);

/* Make it refer to nothing. */
void gc_clear_field(void *field);

/* Keep an object alive until its heap is closed. Its references then
 * still count: what it refers to also lives that long. From now on
 * its gc_refcount is 2^62 more. */
void gc_make_immortal(void *object);
bool gc_is_immortal(const void *object);

/* Report an error that nobody can be told, in a finalizer or a
 * callback, to the sink. As PyErr_WriteUnraisable. */
void gc_write_unraisable(const void *object, const char *error);

/* collection */
/* Is the object one that the collector looks at? As gc.is_tracked. */
bool gc_is_tracked(const void *object);

/* Find the tracked objects that the program cannot reach any more
 * and free them. Returns how many were found; 0 when called from
 * within a collection, or while the heap closes. Works when there is
 * no memory left. As gc.collect(). */
size_t gc_collect(gc_heap *heap);

/* The counts of the generations, as gc.get_count(). */
void gc_get_count(const gc_heap *heap, size_t count[GC_GENERATIONS]);

/* Their thresholds, as gc.get_threshold() and gc.set_threshold(). A
 * threshold of 0 for generation 0 turns automatic collection off. */
void gc_get_threshold(const gc_heap *heap,
                      size_t threshold[GC_GENERATIONS]);
void gc_set_threshold(gc_heap *heap, size_t threshold0,
                      size_t threshold1, size_t threshold2);

/* Collect a generation and all younger ones. Returns how many objects
 * were found, or -1 if there is no such generation. gc_collect is the
 * same for the oldest. As gc.collect(generation). */
ptrdiff_t gc_collect_generation(gc_heap *heap, int generation);

/* The statistics of each generation, as gc.get_stats(). */
void gc_get_stats(const gc_heap *heap, gc_stats stats[GC_GENERATIONS]);

/* Collect by itself, or only when told to, as gc.enable() and
 * gc.disable(). What dies by its count dies in either case, and
 * gc_collect works. A new heap is enabled. */
void gc_enable(gc_heap *heap);
void gc_disable(gc_heap *heap);

/* As gc.isenabled(). */
bool gc_is_enabled(const gc_heap *heap);

/* Put all tracked objects where no collection looks at them, and put
 * them back into the oldest generation; how many are there. As
 * gc.freeze(), gc.unfreeze() and gc.get_freeze_count(). */
void gc_freeze(gc_heap *heap);
void gc_unfreeze(gc_heap *heap);
size_t gc_get_freeze_count(const gc_heap *heap);

/* Have callback called before and after every collection, after
 * those registered earlier. The last collection is the one in which
 * the heap closes. Returns false when out of memory. */
bool gc_add_callback(gc_heap *heap, gc_callback *callback,
                     void *context);

/* Undo the earliest gc_add_callback of this pair; false if there is
 * none. Both may be called from within a callback. */
bool gc_remove_callback(gc_heap *heap, gc_callback *callback,
                        void *context);

/* What a collection says to the heap's sink, as gc.set_debug() and
 * gc.get_debug(). The flags are combined with |. */
enum {
    GC_DEBUG_STATS = 1,       /* how much there was, and was found */
    GC_DEBUG_COLLECTABLE = 2, /* each object that is collected */
    /* more debug flags */
    GC_DEBUG_UNCOLLECTABLE = 4, /* each that cannot be */
    GC_DEBUG_SAVEALL = 32,      /* free nothing: to the garbage list */
    GC_DEBUG_LEAK = 2 | 4 | 32,
    GC_DEBUG_RESURRECTED = 64, /* whom a finalizer gave a reference to */
};
void gc_set_debug(gc_heap *heap, unsigned flags);
unsigned gc_get_debug(const gc_heap *heap);

/* Send the heap's messages elsewhere from now on; all zero for
 * nowhere. Python has no such function: it writes to stderr. */
void gc_set_sink(gc_heap *heap, gc_sink sink);

/* Has the finalizer of the object been called? Never true for
 * a type without references. As gc.is_finalized(object). */
bool gc_is_finalized(const void *object);

/* The garbage list, as gc.garbage: objects that were found to be
 * unreachable and could not be freed, or that GC_DEBUG_SAVEALL kept.
 * The list owns a reference to each. An item is borrowed. What is
 * popped, the latest, is owned; NULL if the list is empty. */
size_t gc_garbage_length(const gc_heap *heap);
void *gc_garbage_item(const gc_heap *heap, size_t i);
void *gc_garbage_pop(gc_heap *heap);

/* Give up all the references of the garbage list. */
void gc_garbage_clear(gc_heap *heap);

/* weak references */
/* Make a weak reference to an object; the caller owns it. Without a
 * callback it is shared: there is one for each object. The closure,
 * which may be NULL, is borrowed, and counted. Returns NULL when out
 * of memory, or if no weak reference to the object can be made. As
 * weakref.ref(object, callback). */
gc_weakref *gc_weakref_new(void *object, gc_weakref_callback *callback,
                           void *closure);

/* The referent, as a reference of one's own; NULL if it is dead. As
 * calling a weakref.ref. */
void *gc_weakref_get(const gc_weakref *ref);

/* The same for a type of one's own, whose struct begins with a
 * gc_weakref, and whose traverse and clear are those below or call
 * them; its equal and hash may be those below. Never shared. NULL also
 * if the type cannot be one. As deriving a class from weakref.ref. */
void *gc_weakref_new_of(const gc_type *type, void *object,
                        gc_weakref_callback *callback, void *closure);
void gc_weakref_traverse(void *ref, gc_visit *visit, void *arg);
void gc_weakref_clear(void *ref);
bool gc_weakref_equal(void *ref, void *other);
bool gc_weakref_hash(void *ref, size_t *hash);
extern const gc_type gc_weakref_type, gc_proxy_type;

/* Have function called with arg when the object has died, or
 * when the heap closes: the latest first, before anything else is
 * done, without collections. It is called once, and may do anything.
 * The heap owns what is returned until then: take a reference to keep
 * it longer. NULL when out of memory, if there can be no weak reference
 * to the object, and when the heap has done this part of its closing.
 * As weakref.finalize. */
gc_finalizer *gc_finalize(void *object, void (*function)(void *arg),
                          void *arg);

/* Call the function now, or never; false if it was called already, or
 * is never to be. */
bool gc_finalizer_call(gc_finalizer *f);
bool gc_finalizer_detach(gc_finalizer *f);

/* Is the function still to be called? The object that it waits for,
 * owned; NULL if not. */
bool gc_finalizer_is_alive(const gc_finalizer *f);
void *gc_finalizer_peek(const gc_finalizer *f);

/* Is it to be called when the heap closes? At first it is. */
void gc_finalizer_set_atexit(gc_finalizer *f, bool atexit);

/* The callback of a reference; NULL if it has none, or is dead. */
gc_weakref_callback *gc_weakref_get_callback(const gc_weakref *ref);

/* How many weak references and proxies to an object there are; write
 * the first room of them, borrowed, to refs. As
 * weakref.getweakrefcount and weakref.getweakrefs. */
size_t gc_getweakrefcount(void *object);
size_t gc_getweakrefs(void *object, gc_weakref **refs, size_t room);

/* As gc_weakref_new, but a proxy, as weakref.proxy: it is used by
 * calling a function with its referent, which is kept alive for that
 * time. It may do anything. False if the referent is dead: Python's
 * ReferenceError. A proxy cannot be hashed. */
gc_weakref *gc_proxy_new(void *object, gc_weakref_callback *callback,
                         void *closure);
bool gc_proxy_call(gc_weakref *proxy,
                   void (*function)(void *object, void *arg),
                   void *arg);
bool gc_is_proxy(const void *object);
/* weak dictionaries */
/* Make a dictionary, as WeakValueDictionary and WeakKeyDictionary,
 * or a set, as WeakSet; the caller owns it. An entry goes when the
 * value, or the key, dies. NULL when out of memory. */
gc_weakdict *gc_weakvaluedict_new(gc_heap *heap);
gc_weakdict *gc_weakkeydict_new(gc_heap *heap);
gc_weakdict *gc_weakset_new(gc_heap *heap);

/* Set, look up, take out. Keys and values are borrowed; those that
 * are returned are owned, and NULL if there is no such entry. False
 * or NULL also when out of memory, if the key cannot be hashed, or if
 * there can be no weak reference to what is to be held weakly. */
bool gc_weakdict_set(gc_weakdict *d, void *key, void *value);
void *gc_weakdict_get(gc_weakdict *d, void *key);
bool gc_weakdict_contains(gc_weakdict *d, void *key);
bool gc_weakdict_delete(gc_weakdict *d, void *key);
void *gc_weakdict_pop(gc_weakdict *d, void *key);

/* The value of the key, set to value if it had none. */
void *gc_weakdict_setdefault(gc_weakdict *d, void *key, void *value);

/* Take out the latest entry: key and value are owned. False if there
 * is none. value may be NULL, for a set. */
bool gc_weakdict_popitem(gc_weakdict *d, void **key, void **value);

/* Set all that is in the other one; false when out of memory. Remove
 * all entries. How many there are. */
bool gc_weakdict_update(gc_weakdict *d, gc_weakdict *other);
void gc_weakdict_clear(gc_weakdict *d);
size_t gc_weakdict_len(const gc_weakdict *d);

/* Go through the entries, in the order in which they were set:
 *     for (gc_weakdict_begin(&it, d); gc_weakdict_next(&it);) ...
 *     gc_weakdict_end(&it);
 * The key and the value at hand live until the next step. Entries may
 * come and go meanwhile; those that come may be met or not. */
typedef struct gc_weakdict_iter {
    gc_weakdict *dict;
    size_t position;
    void *key, *value;
} gc_weakdict_iter;
void gc_weakdict_begin(gc_weakdict_iter *it, gc_weakdict *d);
bool gc_weakdict_next(gc_weakdict_iter *it);
void gc_weakdict_end(gc_weakdict_iter *it);

/* Put an object into a set: gc_weakdict_set without a value. */
static inline bool gc_weakset_add(gc_weakdict *set, void *object)
{
    return gc_weakdict_set(set, object, NULL);
}

/* Take the latest object out of a set, owned; NULL if there is none. */
static inline void *gc_weakset_pop(gc_weakdict *set)
{
    void *object;

    return gc_weakdict_popitem(set, &object, NULL) ? object : NULL;
}

/* leak hunting */
/* A list of objects, filled by the functions below; all zero to
 * begin with. It owns a reference to each. These references are known
 * to the heap, so that they are not taken for the program's own. What
 * a list held before is given up when it has been filled anew. It may
 * be moved; of two copies one is to be given back. */
typedef struct gc_objects {
    gc_object **items;
    size_t length;
} gc_objects;

/* Give back what a list holds; it is as it was to begin with. All
 * lists are to be given back before the heap is closed. */
void gc_objects_free(gc_objects *list);

/* The tracked objects of a generation; of all three for -1, but not
 * the frozen. False when out of memory, or if there is no such
 * generation; the list is then empty. As gc.get_objects(). */
bool gc_get_objects(gc_heap *heap, int generation, gc_objects *list);

/* The objects that the given ones refer to, once for each reference,
 * and the tracked objects that refer to any of them. False when out of
 * memory. As gc.get_referents(*objs), gc.get_referrers(*objs). */
bool gc_get_referents(void *const objects[], size_t number,
                      gc_objects *list);
bool gc_get_referrers(void *const objects[], size_t number,
                      gc_objects *list);

/* At most limit living objects of the types of this name, tracked
 * or not. False when out of memory. As objgraph.by_type(name). */
bool gc_by_type(gc_heap *heap, const char *name, size_t limit,
                gc_objects *list);

/* As gc_new and gc_new_var, and note the place in the object, if the
 * heap was made with the option places. Where GC_PLACES is defined
 * before janitor.h is included, gc_new does it by itself, and so do
 * the other functions that make objects; the place is GC_HERE. */
void *gc_new_at(gc_heap *heap, const gc_type *type, size_t length,
                gc_place place);

/* Note the place in an object that has none, and return the object,
 * which may be NULL. */
void *gc_note_place(void *object, gc_place place);

/* Where the object was made. As
 * tracemalloc.get_object_traceback(object), one line deep. */
gc_place gc_get_place(const void *object);

/* As gc_finalize, and note the place. */
gc_finalizer *gc_finalize_at(void *object, void (*function)(void *arg),
                             void *arg, gc_place place);

/* A row of a snapshot: objects of one type, made at one place. In a
 * difference the numbers may be negative. */
typedef struct gc_tally {
    const gc_type *type;
    gc_place place;
    ptrdiff_t objects, bytes; /* bytes with all that belongs to them */
} gc_tally;

/* A table of all living objects; the rows with the most bytes come
 * first. Its memory comes from the heap's allocator, is not counted
 * among the heap's bytes, and may be used when the heap is gone. */
typedef struct gc_snapshot {
    gc_tally *rows;
    size_t length, room;
    gc_allocator allocator;
    size_t *index; /* the library's */
} gc_snapshot;

/* Take a snapshot; add up the rows of each type; subtract one from
 * another, leaving out what has not changed. The result is the
 * caller's, to be freed. NULL when out of memory. As
 * tracemalloc.take_snapshot() and Snapshot.compare_to(). */
gc_snapshot *gc_take_snapshot(gc_heap *heap);
gc_snapshot *gc_snapshot_by_type(const gc_snapshot *s);
gc_snapshot *gc_snapshot_compare(const gc_snapshot *before,
                                 const gc_snapshot *after);
void gc_snapshot_free(gc_snapshot *s);

/* Print the first limit rows. */
void gc_snapshot_print(const gc_snapshot *s, size_t limit, FILE *out);

/* Why is an object alive? The shortest way from an object that is
 * held from outside to this one, which comes last; empty if there is
 * none, since it is garbage. And in which cycle is it? A shortest
 * one, with the object at both ends; empty if there is none. False
 * when out of memory, and during a collection. */
bool gc_find_chain(void *object, gc_objects *chain);
bool gc_find_cycle(void *object, gc_objects *cycle);

/* Write a chain down, a line for each object, with the names of the
 * fields by which one refers to the next. */
void gc_print_chain(const gc_objects *chain, FILE *out);

/* Write a drawing of an object and its neighbours for Graphviz: all
 * that are at most steps references away from it, in either
 * direction, the nearest first, and no more than limit objects.
 * As objgraph's show_refs and show_backrefs. False when out of
 * memory, and during a collection. */
bool gc_draw(void *object, unsigned steps, size_t limit, FILE *out);

/* pictures */
/* A variable of the program, by name, and the object it refers to. */
typedef struct gc_variable {
    const char *name;
    const void *object;
} gc_variable;

/* Write the heap to out: a line for each object, reference and
 * variable. The variables end with { NULL, NULL }, or are NULL. False
 * when out of memory; then nothing is written. */
bool gc_dump(gc_heap *heap, const gc_variable *variables, FILE *out);
/* let gc_new know its place */
#ifdef GC_PLACES
/* make a place in C++ */
#ifdef __cplusplus
#define GC_HERE (gc_place { __FILE__, __LINE__ })
#endif
#ifndef GC_HERE
#define GC_HERE ((gc_place) { __FILE__, __LINE__ })
#endif
#define gc_new(heap, type) gc_new_at(heap, type, 0, GC_HERE)
#define gc_new_var(heap, type, length) \
    gc_new_at(heap, type, length, GC_HERE)
/* let other functions know their places */
#define GC_PLACED(type, call) ((type *)gc_note_place(call, GC_HERE))
#define gc_weakref_new(object, callback, closure) GC_PLACED( \
    gc_weakref, gc_weakref_new(object, callback, closure))
#define gc_proxy_new(object, callback, closure) GC_PLACED( \
    gc_weakref, gc_proxy_new(object, callback, closure))
#define gc_weakref_new_of(type, object, callback, closure) GC_PLACED( \
    void, gc_weakref_new_of(type, object, callback, closure))
#define gc_finalize(object, function, arg) \
    gc_finalize_at(object, function, arg, GC_HERE)
#define gc_weakvaluedict_new(heap) GC_PLACED( \
    gc_weakdict, gc_weakvaluedict_new(heap))
#define gc_weakkeydict_new(heap) GC_PLACED( \
    gc_weakdict, gc_weakkeydict_new(heap))
#define gc_weakset_new(heap) GC_PLACED( \
    gc_weakdict, gc_weakset_new(heap))
#define gc_pool_new(heap, type, size) \
    gc_pool_new_at(heap, type, size, GC_HERE)
#endif

/* end what is C even in C++ */
#ifdef __cplusplus
}
#endif
#endif
