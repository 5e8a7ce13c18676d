/* From chapters 4, 5 and 6 of The Invisible Janitor; made by make tangle. */
/* test_control.c: the tests of Chapter 5. */
#include "support.h"

/* tests of control */
static void lose_rings(gc_heap *heap, int number)
{
    for (int i = 0; i < number; i++) {
        node *n = new_node(heap, "n");
        n->left = n;
    }
}

static void test_disabled(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);

    (void)state;
    /* not under stress */
    #ifdef GC_STRESS
    gc_heap_free(heap);
    skip();
    #endif
    assert_true(gc_is_enabled(heap));
    gc_disable(heap);
    assert_false(gc_is_enabled(heap));
    lose_rings(heap, 10000);
    assert_int_equal(gc_heap_count(heap), 10000);
    gc_enable(heap);
    gc_decref(new_node(heap, "n"));
    assert_int_equal(gc_heap_count(heap), 0);
    gc_disable(heap);
    lose_rings(heap, 3);
    assert_int_equal(gc_collect(heap), 3);
    gc_heap_free(heap);
}

static void test_freeze(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    node *n = new_node(heap, "n");

    (void)state;
    assert_int_equal(gc_get_freeze_count(heap), 0);
    gc_freeze(heap);
    assert_int_equal(gc_get_freeze_count(heap), 1);
    gc_decref(n);
    assert_int_equal(gc_get_freeze_count(heap), 0);
    lose_rings(heap, 1);
    gc_freeze(heap);
    assert_int_equal(gc_collect(heap), 0);
    gc_unfreeze(heap);
    assert_int_equal(gc_get_freeze_count(heap), 0);
    assert_int_equal(gc_collect_generation(heap, 1), 0);
    assert_int_equal(gc_collect(heap), 1);
    lose_rings(heap, 1);
    gc_freeze(heap);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void note(gc_heap *heap, const char *phase, const gc_info *info,
                 void *text)
{
    char line[40];

    snprintf(line, sizeof line, "%s %d %zu/%zu ", phase,
             info->generation, info->collected, gc_collect(heap));
    strcat(text, line);
}

static void test_callbacks(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    char text[200] = "";

    (void)state;
    assert_true(gc_add_callback(heap, note, text));
    lose_rings(heap, 1);
    text[0] = '\0';
    gc_collect_generation(heap, 1);
    assert_string_equal(text, "start 1 0/0 stop 1 1/0 ");
    assert_true(gc_remove_callback(heap, note, text));
    assert_false(gc_remove_callback(heap, note, text));
    gc_collect(heap);
    assert_string_equal(text, "start 1 0/0 stop 1 1/0 ");
    gc_heap_free(heap);
}

static void test_freezing_zeroes_the_counts(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    size_t count[GC_GENERATIONS];

    (void)state;
    node *n = new_node(heap, "n");
    gc_collect_generation(heap, 0);
    gc_collect_generation(heap, 1);
    gc_freeze(heap);
    gc_get_count(heap, count);
    for (int g = 0; g < GC_GENERATIONS; g++)
        assert_int_equal(count[g], 0);
    gc_decref(n);
    gc_heap_free(heap);
}

static void once(gc_heap *heap, const char *phase, const gc_info *info,
                 void *calls)
{
    (void)phase, (void)info;
    ++*(int *)calls;
    assert_true(gc_remove_callback(heap, once, calls));
}

static void test_callback_removes_itself(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    int calls[10] = { 0 };

    (void)state;
    for (int i = 0; i < 10; i++)
        assert_true(gc_add_callback(heap, once, &calls[i]));
    for (int i = 0; i < 10; i++)
        gc_collect(heap);
    for (int i = 0; i < 10; i++)
        assert_int_equal(calls[i], 1);
    gc_heap_free(heap);
}

static void test_callback_hears_of_the_last(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    char text[200] = "";

    (void)state;
    lose_rings(heap, 1);
    assert_true(gc_add_callback(heap, note, text));
    gc_heap_free(heap);
    /* the last collection has been heard */
    assert_string_equal(text, "start 2 0/0 stop 2 1/0 "
                        "start 2 0/0 stop 2 0/0 ");
}

static void test_removing_what_is_not_there(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    char text[200] = "", other[200] = "";

    (void)state;
    assert_false(gc_remove_callback(heap, note, text));
    assert_true(gc_add_callback(heap, note, text));
    assert_false(gc_remove_callback(heap, once, text));
    assert_false(gc_remove_callback(heap, note, other));
    gc_collect(heap);
    assert_string_equal(text, "start 2 0/0 stop 2 0/0 ");
    assert_true(gc_remove_callback(heap, note, text));
    assert_false(gc_remove_callback(heap, note, text));
    gc_heap_free(heap);
    assert_string_equal(text, "start 2 0/0 stop 2 0/0 ");
}

static void test_log(void **state)
{
    static const char log[] = "gc: collecting generation 2...\n"
        "gc: objects in each generation: 1 0 0\n"
        "gc: objects in permanent generation: 0\n"
        "gc: collectable <node n>\n"
        /* the last line of the log */
        "gc: done, 1 unreachable, 0 uncollectable\n"
        ;
    transcript t = { "" };
    gc_heap *heap = gc_heap_new(NULL);

    (void)state;
    gc_set_sink(heap, (gc_sink) { remember, &t });
    assert_int_equal(gc_get_debug(heap), 0);
    lose_rings(heap, 1);
    gc_set_debug(heap, GC_DEBUG_STATS | GC_DEBUG_COLLECTABLE);
    assert_int_equal(gc_get_debug(heap), 3);
    gc_collect(heap);
    gc_set_sink(heap, (gc_sink) { 0 });
    gc_collect(heap);
    assert_string_equal(t.text, log);
    gc_heap_free(heap);
}

static void test_log_of_generations(void **state)
{
    static const char log[] = "gc: collecting generation 0...\n"
        "gc: objects in each generation: 2 2 3\n"
        "gc: objects in permanent generation: 4\n"
        /* the last line of the log */
        "gc: done, 1 unreachable, 0 uncollectable\n"
        ;
    transcript t = { "" };
    gc_heap *heap = gc_heap_new(NULL);
    node *n[10];

    (void)state;
    /* not under stress */
    #ifdef GC_STRESS
    gc_heap_free(heap);
    skip();
    #endif
    for (int i = 0; i < 10; i++) {
        n[i] = new_node(heap, "n");
        /* let the nodes grow old */
        if (i == 3)
            gc_freeze(heap);
        if (i == 6)
            gc_collect_generation(heap, 1);
        if (i == 8)
            gc_collect_generation(heap, 0);
    }
    lose_rings(heap, 1);
    /* have a collection of the youngest logged */
    gc_set_sink(heap, (gc_sink) { remember, &t });
    gc_set_debug(heap, GC_DEBUG_STATS);
    gc_collect_generation(heap, 0);
    gc_set_debug(heap, 0);
    assert_string_equal(t.text, log);
    for (int i = 0; i < 10; i++)
        gc_decref(n[i]);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_dump_of_generations(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    node *n[4];

    (void)state;
    /* not under stress */
    #ifdef GC_STRESS
    gc_heap_free(heap);
    skip();
    #endif
    n[3] = new_node(heap, "d"), gc_freeze(heap);
    n[2] = new_node(heap, "c"), gc_collect(heap);
    n[1] = new_node(heap, "b"), gc_collect_generation(heap, 0);
    n[0] = new_node(heap, "a");
    assert_dump(heap, NULL,
        "object a type=node name=\"a\" refcount=1 generation=0\n"
        "object b type=node name=\"b\" refcount=1 generation=1\n"
        "object c type=node name=\"c\" refcount=1 generation=2\n"
        "object d type=node name=\"d\" refcount=1 "
        "generation=permanent\n");
    for (int i = 0; i < 4; i++)
        gc_decref(n[i]);
    assert_int_equal(gc_heap_free(heap), 0);
}

static const gc_type tuple_type = {
    .name = "tuple", .size = sizeof(gc_var_object),
    .item_size = sizeof(gc_object *), .item_refs = true,
    .immutable = true,
};

static const gc_type plain_type = {
    .name = "plain", .size = sizeof(gc_object),
};

/* A tuple of one; it takes over the reference to its item. */
static gc_object *tuple_of(gc_heap *heap, void *item)
{
    gc_object *t = gc_new_var(heap, &tuple_type, 1);

    memcpy(gc_items(t), &item, sizeof item);
    return t;
}

static void test_tuples_are_untracked(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);

    (void)state;
    /* not under stress */
    #ifdef GC_STRESS
    gc_heap_free(heap);
    skip();
    #endif
    gc_object *outer = gc_new_var(heap, &tuple_type, 1);
    gc_object *inner = tuple_of(heap, gc_new(heap, &plain_type));
    memcpy(gc_items(outer), &inner, sizeof inner);
    gc_object *other = tuple_of(heap, new_node(heap, "n"));
    gc_object *empty = tuple_of(heap, NULL);
    assert_true(gc_is_tracked(inner));
    gc_collect(heap);
    assert_false(gc_is_tracked(inner));
    assert_true(gc_is_tracked(outer));
    gc_collect(heap);
    assert_false(gc_is_tracked(outer));
    assert_true(gc_is_tracked(other));
    assert_true(gc_is_tracked(empty));
    gc_decref(outer), gc_decref(other), gc_decref(empty);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_callbacks_out_of_memory(void **state)
{
    bool done = false;

    (void)state;
    for (size_t n = 1; !done; n++) {
        budget b = { .left = n };
        gc_options options = { .allocator = on_budget(&b) };
        gc_heap *heap = gc_heap_new(&options);
        int calls = 0, added = 0;

        while (added < 30 && gc_add_callback(heap, once, &calls))
            added++;
        for (int i = 0; i < 30; i++)
            gc_collect(heap);
        assert_int_equal(calls, added);
        gc_heap_free(heap);
        assert_int_equal(b.blocks, 0);
        done = added == 30;
    }
}

static gc_heap *called_heap;
static int calls_of[5];

static void prepare_callbacks(gc_heap *heap)
{
    called_heap = heap;
    memset(calls_of, 0, sizeof calls_of);
    for (int i = 0; i < 4; i++)
        assert_true(gc_add_callback(heap, once, &calls_of[i]));
}

static bool add_another(gc_heap *heap)
{
    return gc_add_callback(heap, once, &calls_of[4]);
}

static void look_who_is_called(bool succeeded)
{
    for (int i = 0; i < 5; i++)
        gc_collect(called_heap);
    for (int i = 0; i < 5; i++)
        assert_int_equal(calls_of[i], i < 4 || succeeded);
}

static void test_one_refusal(void **state)
{
    (void)state;
    fail_each_in_turn(&(trial) { prepare_callbacks, add_another,
                                 look_who_is_called });
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* the list of tests of control */
        cmocka_unit_test(test_disabled),
        cmocka_unit_test(test_freeze),
        cmocka_unit_test(test_freezing_zeroes_the_counts),
        cmocka_unit_test(test_removing_what_is_not_there),
        cmocka_unit_test(test_callback_hears_of_the_last),
        cmocka_unit_test(test_callbacks),
        cmocka_unit_test(test_callback_removes_itself),
        cmocka_unit_test(test_log_of_generations),
        cmocka_unit_test(test_dump_of_generations),
        cmocka_unit_test(test_log),
        cmocka_unit_test(test_tuples_are_untracked),
        cmocka_unit_test(test_callbacks_out_of_memory),
        cmocka_unit_test(test_one_refusal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
