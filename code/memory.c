/* From chapters 1, 5 and 9 of The Invisible Janitor; made by make tangle. */
/* memory.c: where memory comes from, and the account of it. */
#include "internal.h"
#include <stdlib.h>

/* take memory and give it back */
static void *allocate(void *context, size_t size, size_t alignment)
{
    (void)context, (void)alignment;
    return malloc(size);
}

static void release(void *context, void *block, size_t size)
{
    (void)context, (void)size;
    free(block);
}

const gc_allocator gc_malloc = { allocate, release, NULL };

void *gc_allocate(gc_heap *heap, size_t size)
{
    gc_allocator *a = &heap->options.allocator;

    /* refuse whoever calls from within the allocator */
    if (heap->allocating)
        return NULL;
    heap->allocating = true;
    void *block = a->allocate(a->context, size,
                              _Alignof(max_align_t));
    heap->allocating = false;
    if (block != NULL)
        heap->bytes += size;
    return block;
}

void gc_release(gc_heap *heap, void *block, size_t size)
{
    gc_allocator *a = &heap->options.allocator;
    bool allocating = heap->allocating;

    heap->bytes -= size;
    heap->allocating = true;
    a->release(a->context, block, size);
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

/* take blocks from free lists and put them there */
enum { STEP = 16, LARGEST = 64 * STEP };

/* The free list for blocks of a size, which is rounded up; NULL if
 * there is none. */
static struct free_list *list_for(gc_heap *heap, size_t *size)
{
    if (CHECKING || heap->options.free_blocks == 0 || *size > LARGEST)
        return NULL;
    *size = (*size + STEP - 1) / STEP * STEP;
    return &heap->free_lists[*size / STEP - 1];
}

void *gc_take_block(gc_heap *heap, size_t size)
{
    struct free_list *list = list_for(heap, &size);
    void *block;

    if (list == NULL || list->first == NULL) {
        block = gc_allocate(heap, size);
        if (block == NULL && gc_clear_free_lists(heap) > 0)
            block = gc_allocate(heap, size);
        return block;
    }
    block = list->first;
    memcpy(&list->first, block, sizeof list->first);
    list->length--;
    return block;
}

void gc_give_block(gc_heap *heap, void *block, size_t size)
{
    struct free_list *list = list_for(heap, &size);

    if (list == NULL || list->length >= heap->options.free_blocks) {
        gc_release(heap, block, size);
        return;
    }
    memcpy(block, &list->first, sizeof list->first);
    list->first = block;
    list->length++;
}

size_t gc_clear_free_lists(gc_heap *heap)
{
    size_t number = 0;

    for (size_t i = 0; i < LARGEST / STEP; i++) {
        struct free_list *list = &heap->free_lists[i];
        void *block;

        while ((block = list->first) != NULL) {
            memcpy(&list->first, block, sizeof list->first);
            gc_release(heap, block, (i + 1) * STEP);
            number++;
        }
        list->length = 0;
    }
    return number;
}
