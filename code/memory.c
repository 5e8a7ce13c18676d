/* From chapters 1 and 10 of The Invisible Janitor; made by make tangle. */
/* memory.c: where memory comes from, and the account of it. */
#include "internal.h"
#include <stdlib.h>

/* take memory and give it back */
static void *allocate(void *context, size_t size, size_t alignment)
{
    (void)context;
    if (alignment <= _Alignof(max_align_t))
        return malloc(size);
    return gc_take_pages(size, alignment);
}

static void release(void *context, void *block, size_t size)
{
    (void)context, (void)size;
    free(block);
}

const gc_allocator gc_malloc = { allocate, release, NULL };

void *gc_allocate_aligned(gc_heap *heap, size_t size,
                          size_t alignment)
{
    gc_allocator *a = &heap->options.allocator;

    /* refuse whoever calls from within the allocator */
    if (heap->allocating)
        return NULL;
    heap->allocating = true;
    heap->careful++;
    void *block = a->allocate(a->context, size, alignment);
    heap->careful--;
    heap->allocating = false;
    heap->poor |= block == NULL;
    if (block != NULL)
        heap->bytes += size;
    return block;
}

void *gc_allocate(gc_heap *heap, size_t size)
{
    return gc_allocate_aligned(heap, size, _Alignof(max_align_t));
}

void gc_release(gc_heap *heap, void *block, size_t size)
{
    gc_allocator *a = &heap->options.allocator;
    bool allocating = heap->allocating;

    heap->bytes -= size;
    heap->allocating = true;
    heap->careful++;
    a->release(a->context, block, size);
    heap->careful--;
    heap->allocating = allocating;
}

void *gc_grow(gc_heap *heap, void *array, size_t *room, size_t size)
{
    size_t more = 2 * *room + 4;
    void *larger = gc_allocate(heap, more * size);

    if (larger == NULL)
        return NULL;
    if (array != NULL) {
        memcpy(larger, array, *room * size);
        gc_release(heap, array, *room * size);
    }
    *room = more;
    return larger;
}
