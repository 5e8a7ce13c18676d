/* From chapters 4 and 5 of The Invisible Janitor; made by make tangle. */
/* generations.c: when to collect, and how much. */
#include "internal.h"

/* counts and thresholds */
void gc_get_count(const gc_heap *heap, size_t count[GC_GENERATIONS])
{
    for (int g = 0; g < GC_GENERATIONS; g++)
        count[g] = heap->generations[g].count;
}

void gc_get_threshold(const gc_heap *heap,
                      size_t threshold[GC_GENERATIONS])
{
    for (int g = 0; g < GC_GENERATIONS; g++)
        threshold[g] = heap->generations[g].threshold;
}

void gc_set_threshold(gc_heap *heap, size_t threshold0,
                      size_t threshold1, size_t threshold2)
{
    heap->generations[0].threshold = threshold0;
    heap->generations[1].threshold = threshold1;
    heap->generations[2].threshold = threshold2;
}

void gc_get_stats(const gc_heap *heap, gc_stats stats[GC_GENERATIONS])
{
    for (int g = 0; g < GC_GENERATIONS; g++)
        stats[g] = heap->generations[g].stats;
}

/* collect what is due */
static void collect_the_oldest_due(gc_heap *heap)
{
    for (int g = GC_GENERATIONS - 1; g >= 0; g--) {
        struct generation *gen = &heap->generations[g];

        if (gen->count <= gen->threshold)
            continue;
        /* skip the oldest generation, if it would not pay */
        if (g == GC_GENERATIONS - 1
            && heap->long_lived_pending < heap->long_lived_total / 4)
            continue;
        gc_collect_main(heap, g);
        return;
    }
}

/* count a new object, and collect when it is time */
void gc_count_new(gc_heap *heap)
{
    struct generation *young = &heap->generations[0];

    young->count++;
    /* under stress, collect at once */
    if (heap->options.stress || STRESSED)
        gc_collect_main(heap, GC_GENERATIONS - 1);
    /* is the collector disabled? */
    if (heap->disabled)
        return;
    if (young->count > young->threshold && young->threshold > 0
        && !heap->collecting)
        collect_the_oldest_due(heap);
}
