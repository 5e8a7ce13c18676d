/* From chapter 4 of The Invisible Janitor; made by make tangle. */
/* test_generations.c: the tests of Chapter 4. */
#include "support.h"

/* tests of generations */
static void skip_under_stress(gc_heap *heap)
{
    (void)heap;
    /* not under stress */
    #ifdef GC_STRESS
    gc_heap_free(heap);
    skip();
    #endif
}

static void assert_counts(gc_heap *heap, size_t count0, size_t count1,
                          size_t count2)
{
    size_t count[GC_GENERATIONS];

    gc_get_count(heap, count);
    assert_int_equal(count[0], count0);
    assert_int_equal(count[1], count1);
    assert_int_equal(count[2], count2);
}

static void test_collect_generations(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);

    (void)state;
    skip_under_stress(heap);
    node *n = new_node(heap, "n");
    assert_counts(heap, 1, 0, 0);
    gc_decref(new_node(heap, "m"));
    assert_counts(heap, 1, 0, 0);
    assert_int_equal(gc_collect(heap), 0);
    assert_counts(heap, 0, 0, 0);
    assert_int_equal(gc_collect_generation(heap, 0), 0);
    assert_counts(heap, 0, 1, 0);
    assert_int_equal(gc_collect_generation(heap, 1), 0);
    assert_counts(heap, 0, 0, 1);
    gc_decref(n);
    assert_counts(heap, 0, 0, 1);
    gc_heap_free(heap);
}

static void test_no_such_generation(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    node *n = new_node(heap, "n");

    (void)state;
    n->left = n;
    assert_int_equal(gc_collect_generation(heap, -1), -1);
    assert_int_equal(gc_collect_generation(heap, 3), -1);
    assert_int_equal(gc_heap_count(heap), 1);
    assert_int_equal(gc_collect_generation(heap, 2), 1);
    gc_heap_free(heap);
}

static void test_old_garbage_stays(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    node *n = new_node(heap, "n");

    (void)state;
    skip_under_stress(heap);
    assert_int_equal(gc_collect_generation(heap, 0), 0);
    n->left = n;
    assert_int_equal(gc_collect_generation(heap, 0), 0);
    assert_int_equal(gc_collect_generation(heap, 1), 1);
    n = new_node(heap, "n");
    assert_int_equal(gc_collect_generation(heap, 1), 0);
    n->left = n;
    assert_int_equal(gc_collect_generation(heap, 1), 0);
    assert_int_equal(gc_collect_generation(heap, 2), 1);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_ring_across_generations(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    node *old = new_node(heap, "old");

    (void)state;
    skip_under_stress(heap);
    gc_collect_generation(heap, 0);
    old->left = new_node(heap, "young");
    old->left->left = old;
    assert_int_equal(gc_collect_generation(heap, 0), 0);
    assert_int_equal(gc_collect_generation(heap, 1), 2);
    assert_int_equal(gc_heap_free(heap), 0);
}

static size_t collections(gc_heap *heap, int generation)
{
    gc_stats stats[GC_GENERATIONS];

    gc_get_stats(heap, stats);
    return stats[generation].collections;
}

static void make_rings(gc_heap *heap, size_t number)
{
    for (size_t i = 0; i < number; i++) {
        node *n = new_node(heap, "n");
        n->left = n;
    }
}

static void test_threshold(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    size_t threshold[GC_GENERATIONS];

    (void)state;
    skip_under_stress(heap);
    gc_get_threshold(heap, threshold);
    assert_int_equal(threshold[0], 700);
    assert_int_equal(threshold[1], 10);
    assert_int_equal(threshold[2], 10);
    for (int i = 0; i < 10000; i++)
        gc_decref(new_node(heap, "n"));
    make_rings(heap, 700);
    assert_int_equal(collections(heap, 0), 0);
    gc_decref(new_node(heap, "n"));
    assert_int_equal(collections(heap, 0), 1);
    assert_int_equal(gc_heap_count(heap), 0);
    gc_heap_free(heap);
}

static void test_threshold_of_zero(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);

    (void)state;
    skip_under_stress(heap);
    gc_set_threshold(heap, 0, 1, 1);
    make_rings(heap, 2000);
    assert_int_equal(gc_heap_count(heap), 2000);
    gc_set_threshold(heap, 10, 1, 1);
    gc_decref(new_node(heap, "n"));
    assert_int_equal(gc_heap_count(heap), 0);
    gc_heap_free(heap);
}

static void run(gc_heap *heap, size_t made, size_t alive, bool ring)
{
    node **window = calloc(alive, sizeof *window);

    gc_collect(heap);
    for (size_t i = 0; i < made; i++) {
        node *n = new_node(heap, "n");
        if (ring)
            gc_set_field(&n->left, n);
        gc_xdecref(window[i % alive]);
        window[i % alive] = n;
    }
    for (size_t i = 0; i < alive; i++)
        gc_xdecref(window[i]);
    free(window);
}

static void test_as_often_as_cpython(void **state)
{
    static const size_t expected[6 * GC_GENERATIONS] = {
#include "golden/collections.txt"
    };
    static const struct { size_t made, alive; bool ring; } runs[5] = {
        { 300000, 300000, false }, { 300000, 1, true },
        { 300000, 5000, true }, { 300000, 50000, false },
        { 100000, 1, false },
    };

    (void)state;
    skip_under_stress(NULL);
    for (size_t i = 0; i < 5; i++) {
        gc_heap *heap = gc_heap_new(NULL);
        run(heap, runs[i].made, runs[i].alive, runs[i].ring);
        for (int g = 0; g < GC_GENERATIONS; g++)
            assert_int_equal(collections(heap, g),
                expected[i * GC_GENERATIONS + (size_t)g] + (g == 2));
        assert_int_equal(gc_heap_free(heap), 0);
    }
}

static void test_traded_for_rings(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    node *list = NULL;

    (void)state;
    skip_under_stress(heap);
    for (int i = 0; i < 20000; i++) {
        node *n = new_node(heap, "kept");
        n->left = list;
        list = n;
    }
    size_t before = collections(heap, 0) + collections(heap, 1);
    /* take a node off the list and forget a ring, until it is empty */
    while (list != NULL) {
        node *rest = list->left;
        node *ring = new_node(heap, "forgotten");

        ring->left = ring;
        list->left = NULL;
        gc_decref(list);
        list = rest;
    }
    assert_int_equal(collections(heap, 0) + collections(heap, 1),
                     before);
    assert_int_equal(gc_collect(heap), 20000);
    gc_heap_free(heap);
}

static void test_stress(void **state)
{
    gc_options options = { .stress = true };
    gc_heap *heap = gc_heap_new(&options);

    (void)state;
    make_rings(heap, 5);
    assert_int_equal(gc_heap_count(heap), 1);
    gc_decref(new_node(heap, "n"));
    assert_int_equal(gc_heap_count(heap), 0);
    gc_heap_free(heap);
}

static bool make_many(budget *b)
{
    gc_options options = { .allocator = on_budget(b) };
    gc_heap *heap = gc_heap_new(&options);
    node *n = NULL, *last = NULL;

    if (heap == NULL)
        return false;
    gc_set_threshold(heap, 3, 2, 1);
    for (int i = 0; i < 60; i++) {
        /* make a node, or see that nothing was counted */
        size_t before[GC_GENERATIONS], after[GC_GENERATIONS];

        gc_get_count(heap, before);
        if ((n = new_node(heap, "n")) == NULL) {
            gc_get_count(heap, after);
            assert_memory_equal(after, before, sizeof before);
            break;
        }
        gc_set_field(&n->left, n);
        gc_xdecref(last);
        last = n;
    }
    gc_xdecref(last);
    assert_int_equal(gc_heap_free(heap), 0);
    return n != NULL;
}

static void test_collecting_out_of_memory(void **state)
{
    bool done = false;

    (void)state;
    for (size_t n = 0; !done; n++) {
        budget b = { .left = n };
        done = make_many(&b);
        assert_int_equal(b.blocks, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* the list of tests of generations */
        cmocka_unit_test(test_collect_generations),
        cmocka_unit_test(test_no_such_generation),
        cmocka_unit_test(test_old_garbage_stays),
        cmocka_unit_test(test_ring_across_generations),
        cmocka_unit_test(test_threshold),
        cmocka_unit_test(test_threshold_of_zero),
        cmocka_unit_test(test_as_often_as_cpython),
        cmocka_unit_test(test_traded_for_rings),
        cmocka_unit_test(test_stress),
        cmocka_unit_test(test_collecting_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
