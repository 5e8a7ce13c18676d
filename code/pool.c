/* From chapter 9 of The Invisible Janitor; made by make tangle. */
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
    size_t *index; /* twice as many: by address, number + 1 */
};

static size_t bytes_of(size_t size)
{
    return size * (sizeof(slot) + 3 * sizeof(size_t));
}

/* Where the index has the number of an object, or would have it. */
static size_t *index_of(const gc_pool *pool, const void *object)
{
    size_t i = ((uintptr_t)object >> 4) * 0x9E3779B1u, *at;

    for (i ^= i >> 15;; i++) {
        at = &pool->index[i % (2 * pool->room)];
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
    while (left > 0)
        gc_decref(pool->slots[--left].object);
}

static void pool_destroy(void *object)
{
    gc_pool *pool = object;

    if (pool->slots != NULL)
        gc_release(gc_heap_of(pool), pool->slots,
                   bytes_of(pool->room));
}

static const gc_type pool_type = {
    .name = "pool", .size = sizeof(gc_pool),
    .traverse = pool_traverse, .clear = pool_clear,
    .destroy = pool_destroy,
};

/* make a pool */
static bool fill_pool(gc_pool *pool, const gc_type *type, size_t size)
{
    gc_heap *heap = gc_heap_of(pool);

    for (size_t i = 0; i < size; i++) {
        gc_object *o = gc_new(heap, type);

        if (o == NULL)
            return false;
        pool->slots[i].object = o;
        *index_of(pool, o) = i + 1;
        pool->size++;
        pool->in[pool->available++] = i;
    }
    return true;
}

gc_pool *gc_pool_new(gc_heap *heap, const gc_type *type, size_t size)
{
    gc_pool *pool;
    char *block;

    if (size > PTRDIFF_MAX / bytes_of(1)
        || (pool = gc_new(heap, &pool_type)) == NULL)
        return NULL;
    pool->room = size;
    block = size > 0 ? gc_allocate(heap, bytes_of(size)) : NULL;
    if (block != NULL) {
        memset(block, 0, bytes_of(size));
        pool->slots = (void *)block;
        pool->in = (void *)(block + size * sizeof(slot));
        pool->index = pool->in + size;
    }
    if (size > 0 && (block == NULL || !fill_pool(pool, type, size))) {
        gc_decref(pool);
        return NULL;
    }
    return pool;
}

/* get and release */
void *gc_pool_get(gc_pool *pool)
{
    slot *p;

    if (pool->available == 0)
        return NULL;
    p = &pool->slots[pool->in[--pool->available]];
    p->out = true;
    /* track it again, if it was not looked at any more */
    gc_object *o = p->object;
    if (has_references(o->type) && !gc_is_tracked(o)
        && !gc_is_immortal(o)) {
        list_remove(&head_of(o)->link);
        gc_adopt(gc_heap_of(o), o);
    }
    return gc_new_ref(p->object);
}

enum gc_pool_result gc_pool_release(gc_pool *pool, void *object)
{
    size_t number = pool->size > 0 ? *index_of(pool, object) : 0;
    slot *p = number > 0 ? &pool->slots[number - 1] : NULL;

    if (p == NULL)
        return GC_POOL_NOT_OURS;
    if (!p->out)
        return GC_POOL_NOT_OUT;
    if (gc_refcount(object) != 2)
        return GC_POOL_STILL_USED;
    gc_incref(pool);
    p->out = false;
    /* make it forget, and be forgotten */
    gc_object *o = object;

    if (o->type->weaklist_offset != 0)
        gc_clear_weakrefs(o);
    gc_clear_references(o);
    bool used = p->out = gc_refcount(object) != 2;
    if (!used) {
        pool->in[pool->available++] = number - 1;
        gc_decref(object);
    }
    gc_decref(pool);
    return used ? GC_POOL_STILL_USED : GC_POOL_RELEASED;
}

size_t gc_pool_size(const gc_pool *pool)
{
    return pool->size;
}

size_t gc_pool_available(const gc_pool *pool)
{
    return pool->available;
}
