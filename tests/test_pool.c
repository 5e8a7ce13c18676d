/* From chapters 4, 8, 9 and 10 of The Invisible Janitor; made by make tangle. */
/* test_pool.c: the tests of Chapter 9. */
#include "support.h"

/* tests of many objects */
static void test_free_lists(void **state)
{
    budget b = { .left = SIZE_MAX };
    gc_options options = { .allocator = on_budget(&b),
                           .free_blocks = 2 };
    gc_heap *heap = gc_heap_new(&options);
    size_t bytes = gc_heap_bytes(heap);
    node *n[3];

    (void)state;
    /* not under stress */
    #ifdef GC_STRESS
    gc_heap_free(heap);
    skip();
    #endif
    for (int i = 0; i < 3; i++)
        n[i] = new_node(heap, "n");
    for (int i = 0; i < 3; i++)
        gc_decref(n[i]);
#ifndef GC_CHECK
    assert_int_equal(b.blocks, 1 + 2);
    assert_true(gc_heap_bytes(heap) > bytes);
    /* use one of the blocks again, and give them back */
    b.left = 0;
    node *again = new_node(heap, "again");
    assert_true(again == n[1] || again == n[0]);
    assert_null(again->left);
    gc_decref(again);
    gc_collect(heap);
    assert_int_equal(b.blocks, 1);
    assert_int_equal(gc_heap_bytes(heap), bytes);
    assert_null(new_node(heap, "none"));
#endif
    gc_heap_free(heap);
    assert_int_equal(b.blocks, 0);
    (void)bytes;
}

static void test_sizes_of_free_lists(void **state)
{
    gc_options options = { .free_blocks = 10, .places = true };
    gc_heap *heap = gc_heap_new(&options);
    gc_type type = { .name = "bytes", .size = sizeof(gc_var_object),
                     .item_size = 1 };

    (void)state;
    for (int round = 0; round < 3; round++)
        for (size_t length = 0; length < 1200; length++) {
            gc_object *o = gc_new_var(heap, &type, length);
            unsigned char *bytes = gc_items(o);
            for (size_t i = 0; i < length; i++)
                assert_int_equal(bytes[i], 0);
            memset(bytes, 0xFF, length);
            gc_decref(o);
        }
    gc_clear_free_lists(heap);
    assert_int_equal(gc_clear_free_lists(heap), 0);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_free_lists_again(void **state)
{
    budget b = { .left = SIZE_MAX };
    gc_options options = { .allocator = on_budget(&b),
                           .free_blocks = 2 };
    gc_heap *heap = gc_heap_new(&options);

    (void)state;
    for (int round = 0; round < 3; round++) {
        node *one = new_node(heap, "one"), *two = new_node(heap, "two");
        gc_decref(one), gc_decref(two);
#ifndef GC_CHECK
        /* find two blocks on the list, and empty it */
        assert_int_equal(b.blocks, 1 + 2); /* of the tables, and a slab */
        assert_int_equal(gc_heap_bytes(heap), b.bytes);
        assert_int_equal(gc_clear_free_lists(heap), 1);
        assert_int_equal(b.blocks, 1 + 1);
#endif
    }
    new_node(heap, "leaked");
    assert_int_equal(gc_heap_free(heap), 1);
    assert_int_equal(b.blocks, 0);
}

static void test_the_young_leave_them_alone(void **state)
{
    gc_options options = { .free_blocks = 4 };
    gc_heap *heap = gc_heap_new(&options);

    (void)state;
    /* not under stress */
    #ifdef GC_STRESS
    gc_heap_free(heap);
    skip();
    #endif
    gc_decref(new_node(heap, "n"));
    gc_collect_generation(heap, 1);
#ifndef GC_CHECK
    assert_int_equal(gc_clear_free_lists(heap), 1);
#endif
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_get_and_release(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    gc_pool *pool = gc_pool_new(heap, &node_type, 3);
    node *n[3];

    (void)state;
    assert_int_equal(gc_heap_count(heap), 4);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(gc_pool_available(pool), 3 - i);
        n[i] = gc_pool_get(pool);
        assert_int_equal(gc_refcount(n[i]), 2);
    }
    assert_null(gc_pool_get(pool));
    assert_int_equal(gc_pool_release(pool, n[1]), GC_POOL_RELEASED);
    assert_int_equal(gc_pool_release(pool, n[1]), GC_POOL_NOT_OUT);
    assert_int_equal(gc_refcount(n[1]), 1);
    assert_ptr_equal(gc_pool_get(pool), n[1]);
    for (int i = 0; i < 3; i++)
        gc_pool_release(pool, n[i]);
    assert_int_equal(gc_pool_available(pool), 3);
    gc_decref(pool);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_wrong_releases(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    gc_pool *one = gc_pool_new(heap, &node_type, 1);
    gc_pool *two = gc_pool_new(heap, &node_type, 1);
    gc_pool *none = gc_pool_new(heap, &node_type, 0);
    node *a = gc_pool_get(one), *n = new_node(heap, "n");

    (void)state;
    assert_int_equal(gc_pool_release(two, a), GC_POOL_NOT_OURS);
    assert_int_equal(gc_pool_release(none, a), GC_POOL_NOT_OURS);
    assert_int_equal(gc_pool_release(one, n), GC_POOL_NOT_OURS);
    gc_set_field(&n->left, a);
    assert_int_equal(gc_pool_release(one, a), GC_POOL_STILL_USED);
    assert_int_equal(gc_refcount(a), 3);
    gc_clear_field(&n->left);
    assert_int_equal(gc_pool_release(one, a), GC_POOL_RELEASED);
    assert_null(gc_pool_get(none));
    gc_decref(n), gc_decref(one), gc_decref(two), gc_decref(none);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_pool_freed_while_objects_are_out(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    gc_pool *pool = gc_pool_new(heap, &node_type, 3);
    node *a = gc_pool_get(pool);

    (void)state;
    gc_pool_get(pool); /* and lost */
    gc_decref(pool);
    assert_int_equal(gc_heap_count(heap), 2);
    assert_int_equal(gc_refcount(a), 1);
    gc_decref(a);
    assert_int_equal(gc_heap_free(heap), 1);
}

/* a thing that can be told about */
typedef struct thing {
    gc_object base;
    gc_weakref *weaklist;
    struct thing *left;
} thing;

static const gc_type thing_type = {
    .name = "thing", .size = sizeof(thing),
    .fields = (const gc_field[]) { GC_FIELD(thing, left), GC_END },
    .weaklist_offset = offsetof(thing, weaklist),
};

static int told;

static void meddle(gc_weakref *ref, void *pool)
{
    assert_null(gc_weakref_get(ref));
    assert_null(gc_pool_get(pool));
    told++;
}

static void test_release_forgets(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    gc_pool *pool = gc_pool_new(heap, &thing_type, 1);
    thing *t = gc_pool_get(pool);
    gc_weakref *ref = gc_weakref_new(t, meddle, pool);

    (void)state;
    t->left = gc_new(heap, &thing_type);
    assert_int_equal(gc_pool_release(pool, t), GC_POOL_RELEASED);
    assert_int_equal(told, 1);
    assert_int_equal(gc_heap_count(heap), 3);
    assert_ptr_equal(gc_pool_get(pool), t);
    assert_null(t->left);
    assert_null(gc_weakref_get(ref));
    assert_int_equal(gc_pool_release(pool, t), GC_POOL_RELEASED);
    gc_decref(ref), gc_decref(pool);
    assert_int_equal(gc_heap_free(heap), 0);
}

static thing *wanted;

static void take_it(gc_weakref *ref, void *closure)
{
    (void)ref, (void)closure;
    gc_incref(wanted);
}

static void test_taken_while_releasing(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    gc_pool *pool = gc_pool_new(heap, &thing_type, 1);
    thing *t = wanted = gc_pool_get(pool);
    gc_weakref *ref = gc_weakref_new(t, take_it, NULL);

    (void)state;
    assert_int_equal(gc_pool_release(pool, t), GC_POOL_RELEASED);
    assert_int_equal(gc_refcount(t), 2);
    assert_int_equal(gc_pool_available(pool), 0);
    assert_null(gc_pool_get(pool));
    gc_decref(ref);
    assert_int_equal(gc_pool_release(pool, t), GC_POOL_RELEASED);
    assert_int_equal(gc_pool_available(pool), 1);
    gc_decref(pool);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_nobody_shares_a_pooled_object(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    gc_pool *pool = gc_pool_new(heap, &thing_type, 2);
    gc_objects list = { 0 };

    (void)state;
    assert_true(gc_by_type(heap, "thing", 2, &list));
    assert_int_equal(list.length, 2);
    assert_null(gc_weakref_new(list.items[0], NULL, NULL));
    assert_null(gc_pool_get(pool));
    thing *mine = gc_new_ref(list.items[0]);
    gc_objects_free(&list);
    assert_int_equal(gc_pool_release(pool, mine), GC_POOL_RELEASED);
    assert_int_equal(gc_pool_available(pool), 1);
    mine = gc_pool_get(pool);
    gc_decref(mine);
    assert_int_equal(gc_pool_available(pool), 0);
    assert_int_equal(gc_pool_release(pool, mine), GC_POOL_RELEASED);
    assert_int_equal(gc_pool_available(pool), 1);
    gc_decref(pool);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_age_in_the_pool(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    gc_pool *pool = gc_pool_new(heap, &node_type, 1);
    node *n = gc_pool_get(pool);

    (void)state;
    /* not under stress */
    #ifdef GC_STRESS
    gc_heap_free(heap);
    skip();
    #endif
    n->name = "n";
    gc_collect(heap);
    assert_int_equal(gc_pool_release(pool, n), GC_POOL_RELEASED);
    assert_ptr_equal(gc_pool_get(pool), n);
    assert_dump(heap, NULL, "object n type=node name=\"n\" refcount=2 "
        "generation=2\nobject pool type=pool refcount=1 "
        "generation=2\nref pool - n\n");
    gc_pool_release(pool, n);
    gc_decref(pool);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_pool_goes_while_releasing(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    gc_pool *pool = gc_pool_new(heap, &thing_type, 2);
    thing *t = gc_pool_get(pool);

    (void)state;
    gc_set_field(&t->left, pool);
    gc_decref(pool);
    assert_int_equal(gc_pool_release(pool, t), GC_POOL_RELEASED);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_pool_of_immutables(void **state)
{
    gc_type type = thing_type;
    gc_heap *heap = gc_heap_new(NULL);
    gc_pool *pool;

    (void)state;
    type.immutable = true;
    pool = gc_pool_new(heap, &type, 1);
    thing *t = gc_pool_get(pool);
    t->left = gc_new(heap, &(gc_type) { .name = "atom",
                                        .size = sizeof(gc_object) });
    gc_collect(heap);
    assert_false(gc_is_tracked(t));
    gc_pool_release(pool, t);
    t = gc_pool_get(pool);
    assert_true(gc_is_tracked(t));
    gc_set_field(&t->left, t);
    gc_decref(t), gc_decref(pool);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_pool_in_a_ring(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    gc_pool *pool = gc_pool_new(heap, &thing_type, 5);
    thing *t = gc_pool_get(pool);

    (void)state;
    gc_set_field(&t->left, pool);
    gc_decref(pool);
    assert_int_equal(gc_collect(heap), 0);
    gc_decref(t);
    assert_int_equal(gc_collect(heap), 6);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_pool_out_of_memory(void **state)
{
    bool done = false;

    (void)state;
    for (size_t n = 1; !done; n++) {
        budget b = { .left = n };
        gc_options options = { .allocator = on_budget(&b) };
        gc_heap *heap = gc_heap_new(&options);
        gc_pool *pool = gc_pool_new(heap, &node_type, 10);

        assert_null(gc_pool_new(heap, &node_type, SIZE_MAX / 8));
        done = pool != NULL;
        gc_xdecref(pool);
        assert_int_equal(gc_heap_free(heap), 0);
        assert_int_equal(b.blocks, 0);
    }
}

static gc_pool *ten;

static void prepare_nothing(gc_heap *heap)
{
    (void)heap;
}

static bool make_ten(gc_heap *heap)
{
    ten = gc_pool_new(heap, &node_type, 10);
    return ten != NULL;
}

static void look_at_the_ten(bool succeeded)
{
    if (!succeeded)
        return;
    assert_int_equal(gc_pool_size(ten), 10);
    assert_int_equal(gc_pool_available(ten), 10);
    for (int i = 0; i < 10; i++)
        assert_int_equal(gc_pool_release(ten, gc_pool_get(ten)),
                         GC_POOL_RELEASED);
    gc_decref(ten);
}

static void test_one_refusal(void **state)
{
    (void)state;
    fail_each_in_turn(&(trial) { prepare_nothing, make_ten,
                                 look_at_the_ten });
}

static void test_free_lists_out_of_memory(void **state)
{
    gc_type type = { .name = "bytes", .size = sizeof(gc_var_object),
                     .item_size = 1 };

    (void)state;
    for (int once = 0; once < 2; once++) {
        budget b = { .left = SIZE_MAX };
        gc_options options = { .allocator = on_budget(&b),
                               .free_blocks = 2 };
        gc_heap *heap = gc_heap_new(&options);

        gc_decref(gc_new_var(heap, &type, 100));
#ifndef GC_CHECK
        /* refuse the allocator's help, once or for ever */
        assert_int_equal(b.blocks, 1 + 2);
        b.fails = b.calls + 1;
        b.left = once ? 2 : 0;
        gc_object *large = gc_new_var(heap, &type, 500);
        assert_int_equal(large != NULL, once);
        assert_int_equal(b.blocks, once ? 1 + 2 : 1);
        gc_xdecref(large);
        b.left = SIZE_MAX;
#endif
        assert_int_equal(gc_heap_free(heap), 0);
        assert_int_equal(b.blocks, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* the list of tests of many objects */
        cmocka_unit_test(test_free_lists),
        cmocka_unit_test(test_sizes_of_free_lists),
        cmocka_unit_test(test_get_and_release),
        cmocka_unit_test(test_wrong_releases),
        cmocka_unit_test(test_pool_freed_while_objects_are_out),
        cmocka_unit_test(test_nobody_shares_a_pooled_object),
        cmocka_unit_test(test_taken_while_releasing),
        cmocka_unit_test(test_age_in_the_pool),
        cmocka_unit_test(test_pool_goes_while_releasing),
        cmocka_unit_test(test_pool_of_immutables),
        cmocka_unit_test(test_release_forgets),
        cmocka_unit_test(test_pool_in_a_ring),
        cmocka_unit_test(test_pool_out_of_memory),
        cmocka_unit_test(test_one_refusal),
        cmocka_unit_test(test_free_lists_again),
        cmocka_unit_test(test_the_young_leave_them_alone),
        cmocka_unit_test(test_free_lists_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
