/* From chapters 9 and 10 of The Invisible Janitor; made by make tangle. */
/* pool.c: objects that are used again. */
#include "internal.h"

/* the layout of a pool */
typedef struct slot {
    gc_object *object;
    bool out;
} slot;

struct gc_pool {
    gc_object base;
    size_t size, available, room;
    slot *slots;
    size_t *in;    /* the numbers of those that are in: a stack */
    size_t *index; /* by address, number + 1 */
    size_t places; /* of the index: a power of two, at most half full */
};

static size_t bytes_of(size_t room, size_t places)
{
    return room * (sizeof(slot) + sizeof(size_t))
        + places * sizeof(size_t);
}

/* Where the index has the number of an object, or would have it. */
static size_t *index_of(const gc_pool *pool, const void *object)
{
    size_t *at;

    for (size_t step = 0;; step++) {
        at = gc_probe(pool->index, pool->places,
                      (uintptr_t)object >> 4, step);
        if (*at == 0 || pool->slots[*at - 1].object == object)
            return at;
    }
}

/* the type of pools */
static void pool_traverse(void *object, gc_visit *visit, void *arg)
{
    gc_pool *pool = object;

    for (size_t i = 0; i < pool->size; i++)
        visit(pool->slots[i].object, arg);
}

static void pool_clear(void *object)
{
    gc_pool *pool = object;
    size_t left = pool->size;

    pool->size = pool->available = 0;
    while (left > 0) {
        gc_object *o = pool->slots[--left].object;

        head_of(o)->pooled = false;
        gc_decref(o);
    }
}

static void pool_destroy(void *object)
{
    gc_pool *pool = object;

    if (pool->slots != NULL)
        gc_release(gc_heap_of(pool), pool->slots,
                   bytes_of(pool->room, pool->places));
}

static size_t pool_bytes(const void *object)
{
    const gc_pool *pool = object;

    return bytes_of(pool->room, pool->places);
}

static const gc_type pool_type = {
    .name = "pool", .size = sizeof(gc_pool),
    .traverse = pool_traverse, .clear = pool_clear,
    .destroy = pool_destroy, .owned_bytes = pool_bytes,
};

/* lay out the tables of a pool */
static bool lay_out(gc_pool *pool, size_t room)
{
    size_t places = 2;

    while (places < 2 * room)
        places *= 2;
    char *block = gc_allocate(gc_heap_of(pool), bytes_of(room, places));
    if (block == NULL)
        return false;
    memset(block, 0, bytes_of(room, places));
    pool->room = room;
    pool->places = places;
    pool->slots = (void *)block;
    pool->in = (void *)(block + room * sizeof(slot));
    pool->index = pool->in + room;
    return true;
}

/* make a pool */
static bool fill_pool(gc_pool *pool, const gc_type *type, size_t size)
{
    gc_heap *heap = gc_heap_of(pool);

    for (size_t i = 0; i < size; i++) {
        gc_object *o = gc_new(heap, type);

        if (o == NULL)
            return false;
        pool->slots[i].object = o;
        head_of(o)->pooled = true;
        *index_of(pool, o) = i + 1;
        pool->size++;
        pool->in[pool->available++] = i;
    }
    return true;
}

gc_pool *gc_pool_new(gc_heap *heap, const gc_type *type, size_t size)
{
    gc_pool *pool;

    if (size > PTRDIFF_MAX / bytes_of(1, 8)
        || (pool = gc_new(heap, &pool_type)) == NULL)
        return NULL;
    if (size > 0 && !(lay_out(pool, size)
                      && fill_pool(pool, type, size))) {
        gc_decref(pool);
        return NULL;
    }
    return pool;
}

gc_pool *gc_pool_new_at(gc_heap *heap, const gc_type *type, size_t size,
                        gc_place place)
{
    gc_pool *pool = gc_pool_new(heap, type, size);

    for (size_t i = 0; pool != NULL && i < pool->size; i++)
        gc_note_place(pool->slots[i].object, place);
    return gc_note_place(pool, place);
}

/* get and release */
void *gc_pool_get(gc_pool *pool)
{
    gc_heap *heap = gc_heap_of(pool);

    if (heap->hushed > 0 || heap->closing)
        return NULL;
    while (pool->available > 0) {
        slot *p = &pool->slots[pool->in[--pool->available]];
        gc_object *o = p->object;

        p->out = true;
        head_of(o)->pooled = false;
        if (gc_refcount(o) > 1)
            continue;
        /* track it again, if it was not looked at any more */
        if (has_references(o->type) && !gc_is_tracked(o))
            gc_adopt(heap, o);
        return gc_new_ref(o);
    }
    return NULL;
}

enum gc_pool_result gc_pool_release(gc_pool *pool, void *object)
{
    size_t number = pool->size > 0 ? *index_of(pool, object) : 0;
    slot *p = number > 0 ? &pool->slots[number - 1] : NULL;

    if (p == NULL)
        return GC_POOL_NOT_OURS;
    if (!p->out)
        return GC_POOL_NOT_OUT;
    if (gc_refcount(object) > 2)
        return GC_POOL_STILL_USED;
    /* take back what was dropped */
    if (gc_refcount(object) == 1)
        gc_incref(object);
    gc_incref(pool);
    p->out = false;
    /* make it forget, and be forgotten */
    gc_object *o = object;

    head_of(o)->pooled = true;
    gc_heap_of(o)->busy++;
    if (o->type->weaklist_offset != 0)
        gc_tell_weakrefs(o);
    gc_clear_references(o);
    gc_heap_of(o)->busy--;
    bool taken = p->out = gc_refcount(object) != 2;
    if (!taken && pool->size > 0)
        pool->in[pool->available++] = number - 1;
    head_of(o)->pooled = !taken && pool->size > 0;
    gc_decref(object);
    gc_decref(pool);
    return GC_POOL_RELEASED;
}

size_t gc_pool_size(const gc_pool *pool)
{
    return pool->size;
}

size_t gc_pool_available(const gc_pool *pool)
{
    return pool->available;
}
