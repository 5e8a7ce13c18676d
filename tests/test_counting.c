/* From chapter 2 of The Invisible Janitor; made by make tangle. */
/* test_counting.c: the tests of Chapter 2. */
#include "support.h"
#include <pthread.h>

/* tests of counting */
static void test_the_last_reference(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    node *n = new_node(heap, "n");

    (void)state;
    assert_int_equal(gc_refcount(n), 1);
    assert_ptr_equal(gc_new_ref(n), n);
    assert_int_equal(gc_refcount(n), 2);
    gc_decref(n);
    assert_int_equal(gc_heap_count(heap), 1);
    gc_decref(n);
    assert_int_equal(gc_heap_count(heap), 0);
    gc_xincref(NULL);
    gc_xdecref(NULL);
    gc_heap_free(heap);
}

static void test_cascade(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    node *a = new_node(heap, "a"), *c = new_node(heap, "c");

    (void)state;
    a->left = new_node(heap, "b");
    gc_set_field(&a->left->right, c);
    assert_int_equal(gc_refcount(c), 2);
    gc_decref(a);
    assert_int_equal(gc_heap_count(heap), 1);
    assert_int_equal(gc_refcount(c), 1);
    gc_decref(c);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_set_field_to_itself(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    node *a = new_node(heap, "a");

    (void)state;
    a->left = new_node(heap, "b");
    gc_set_field(&a->left, a->left);
    assert_string_equal(a->left->name, "b");
    assert_int_equal(gc_refcount(a->left), 1);
    gc_decref(a);
    assert_int_equal(gc_heap_free(heap), 0);
}

typedef struct spy {
    gc_object base;
    void **field;
    void **seen; /* what the field held when the spy was destroyed */
} spy;

static void look(void *object)
{
    spy *s = object;

    *s->seen = *s->field;
}

static const gc_type spy_type = {
    .name = "spy", .size = sizeof(spy), .destroy = look,
};

static void test_no_one_sees_the_old_value(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    node *n = new_node(heap, "n");
    spy *s = gc_new(heap, &spy_type);
    void *field = s, *seen = s;

    (void)state;
    s->field = &field;
    s->seen = &seen;
    gc_set_field(&field, n);
    assert_ptr_equal(seen, n);
    gc_clear_field(&field);
    gc_decref(n);
    assert_int_equal(gc_heap_free(heap), 0);
}

static const gc_type tuple_type = {
    .name = "tuple", .size = sizeof(gc_var_object),
    .item_size = sizeof(gc_object *), .item_refs = true,
};

static void test_items_are_references(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    gc_var_object *t = gc_new_var(heap, &tuple_type, 3);
    node *n = new_node(heap, "n");
    node **items = gc_items(t);

    (void)state;
    items[0] = new_node(heap, "m");
    gc_set_field(&items[2], n);
    gc_decref(t);
    assert_int_equal(gc_heap_count(heap), 1);
    assert_int_equal(gc_refcount(n), 1);
    gc_decref(n);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_immortals(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    node *n = new_node(heap, "n");

    (void)state;
    n->left = new_node(heap, "m");
    assert_false(gc_is_immortal(n));
    gc_make_immortal(n);
    gc_make_immortal(n);
    assert_true(gc_is_immortal(n));
    gc_decref(n);
    gc_decref(n);
    gc_incref(n);
    assert_int_equal(gc_heap_count(heap), 2);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_immortal_with_a_leak(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);

    (void)state;
    gc_make_immortal(new_node(heap, "n"));
    assert_int_equal(gc_heap_free(heap), 1);
}

static size_t leaked;

static void give_up_too_often(void)
{
    gc_heap *heap = gc_heap_new(NULL);
    node *n = new_node(heap, "n");

    gc_make_immortal(n);
    gc_decref(n);
    gc_decref(n);
    leaked = gc_heap_free(heap);
}

static void test_immortal_given_up_too_often(void **state)
{
    (void)state;
#ifndef GC_CHECK
    give_up_too_often();
    assert_int_equal(leaked, 0);
#endif
    assert_stops(give_up_too_often, "node n: immortal, but given up");
}

static void test_dump_of_counts(void **state)
{
    gc_type mortal_type = { .name = "mortal",
                            .size = sizeof(gc_object) };
    gc_type immortal_type = mortal_type;
    gc_heap *heap = gc_heap_new(NULL);

    (void)state;
    immortal_type.name = "immortal";
    gc_object *mortal = gc_new(heap, &mortal_type);
    gc_incref(mortal);
    gc_object *immortal = gc_new(heap, &immortal_type);
    gc_make_immortal(immortal);
    assert_dump(heap, NULL,
        "object immortal type=immortal refcount=immortal\n"
        "object mortal type=mortal refcount=2\n");
    gc_decref(mortal), gc_decref(mortal), gc_decref(immortal);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void give_up_left(void *object)
{
    gc_decref(((node *)object)->left);
}

static void test_giving_up_while_closing(void **state)
{
    gc_type owner_type = { .name = "owner", .size = sizeof(node),
                           .destroy = give_up_left };
    gc_type atom_type = { .name = "atom", .size = sizeof(node) };
    const gc_type *types[] = { &node_type, &atom_type };

    (void)state;
    for (int i = 0; i < 2; i++) {
        gc_heap *heap = gc_heap_new(NULL);
        node *owner = gc_new(heap, &owner_type);

        owner->left = gc_new(heap, types[i]);
        assert_int_equal(gc_heap_free(heap), 2);
    }
}

static void incref_the_dead(void)
{
    node *n = new_node(gc_heap_new(NULL), "n");

    gc_decref(n);
    gc_incref(n);
}

static void test_incref_of_the_dead(void **state)
{
    (void)state;
    assert_stops(incref_the_dead, "node n: gc_incref of a dead object");
}

static void decref_the_dead(void)
{
    node *n = new_node(gc_heap_new(NULL), "n");

    gc_decref(n);
    gc_decref(n);
}

static void test_decref_of_the_dead(void **state)
{
    (void)state;
    assert_stops(decref_the_dead, "node n: gc_decref of a dead object");
}

static void revive_oneself(void)
{
    gc_type phoenix_type = node_type;

    phoenix_type.destroy = gc_incref;
    gc_decref(gc_new(gc_heap_new(NULL), &phoenix_type));
}

static void test_incref_of_the_dying(void **state)
{
    (void)state;
    assert_stops(revive_oneself, "gc_incref of a dying object");
}

static void *loot;

static void decref_the_dying(void *object)
{
    (void)object;
    gc_decref(loot);
}

static void rob_the_dying(void)
{
    gc_type thief_type = node_type;

    thief_type.destroy = decref_the_dying;
    loot = gc_new(gc_heap_new(NULL), &thief_type);
    ((node *)loot)->name = "loot";
    gc_decref(loot);
}

static void test_decref_below_zero(void **state)
{
    (void)state;
    assert_stops(rob_the_dying, "node loot: gc_decref below zero");
}

typedef struct bell {
    gc_object base;
    gc_object *class;
    int number;
} bell;

static const gc_field bell_fields[] = {
    GC_FIELD(bell, class), GC_END
};

typedef struct comb {
    gc_object base;
    struct comb *left, *right;
    bell *bell;
} comb;

static const gc_field comb_fields[] = {
    GC_FIELD(comb, left), GC_FIELD(comb, right),
    GC_FIELD(comb, bell), GC_END
};

static int rung[208], rings;

static void ring(void *object)
{
    assert_true(rings < 208);
    rung[rings++] = ((bell *)object)->number;
}

static const gc_type bell_type = {
    .name = "bell", .size = sizeof(bell),
    .fields = bell_fields, .destroy = ring,
};

static const gc_type comb_type = {
    .name = "comb", .size = sizeof(comb), .fields = comb_fields,
};

static comb *new_comb(gc_heap *heap, int number, comb *left,
                      comb *right)
{
    comb *c = gc_new(heap, &comb_type);

    c->left = left;
    c->right = right;
    c->bell = gc_new(heap, &bell_type);
    c->bell->number = number;
    return c;
}

static void test_death_order(void **state)
{
    static const int expected[208] = {
#include "golden/death_order.txt"
    };
    gc_heap *heap = gc_heap_new(NULL);
    comb *c = NULL;

    (void)state;
    rings = 0;
    for (int i = 206; i >= 0; i -= 2)
        c = new_comb(heap, i, new_comb(heap, i + 1, NULL, NULL), c);
    gc_decref(c);
    assert_int_equal(rings, 208);
    assert_memory_equal(rung, expected, sizeof rung);
    assert_int_equal(gc_heap_free(heap), 0);
}

#ifndef TEST_SHRINK
#define TEST_SHRINK 1
#endif

static void *free_a_list(void *heap)
{
    node *list = NULL;

    for (long i = 0; i < 10000000 / TEST_SHRINK; i++) {
        node *n = new_node(heap, "n");
        n->left = list;
        list = n;
    }
    gc_decref(list);
    return NULL;
}

static void test_ten_million_deep(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    pthread_attr_t attr;
    pthread_t thread;

    (void)state;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr,
        TEST_SHRINK == 1 ? 64 * 1024 : 512 * 1024);
    assert_int_equal(pthread_create(&thread, &attr, free_a_list,
                                    heap), 0);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attr);
    assert_int_equal(gc_heap_free(heap), 0);
}

static node *new_list(gc_heap *heap, int length)
{
    node *list = NULL, *n;

    for (int i = 0; i < length; i++) {
        if ((n = new_node(heap, "n")) == NULL) {
            gc_xdecref(list);
            return NULL;
        }
        n->right = list;
        list = n;
    }
    return list;
}

static void test_list_out_of_memory(void **state)
{
    bool done = false;

    (void)state;
    for (size_t n = 0; !done; n++) {
        budget b = { .left = n };
        gc_options options = { .allocator = on_budget(&b) };
        gc_heap *heap = gc_heap_new(&options);
        node *list = heap != NULL ? new_list(heap, 60) : NULL;

        if ((done = list != NULL))
            gc_decref(list);
        assert_int_equal(gc_heap_free(heap), 0);
        assert_int_equal(b.blocks, 0);
    }
}

static node *the_list;

static void prepare_one_node(gc_heap *heap)
{
    the_list = new_node(heap, "kept");
}

static bool lengthen_the_list(gc_heap *heap)
{
    node *more = new_list(heap, 5);

    if (more == NULL)
        return false;
    gc_set_field(&the_list->left, more);
    gc_decref(more);
    return true;
}

static void look_at_the_list(bool succeeded)
{
    assert_int_equal(the_list->left != NULL, succeeded);
    assert_int_equal(gc_refcount(the_list), 1);
    gc_decref(the_list);
}

static void test_one_refusal(void **state)
{
    (void)state;
    fail_each_in_turn(&(trial) { prepare_one_node, lengthen_the_list,
                                 look_at_the_list });
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* the list of tests of counting */
        cmocka_unit_test(test_the_last_reference),
        cmocka_unit_test(test_cascade),
        cmocka_unit_test(test_set_field_to_itself),
        cmocka_unit_test(test_no_one_sees_the_old_value),
        cmocka_unit_test(test_dump_of_counts),
        cmocka_unit_test(test_giving_up_while_closing),
        cmocka_unit_test(test_items_are_references),
        cmocka_unit_test(test_immortals),
        cmocka_unit_test(test_immortal_with_a_leak),
        cmocka_unit_test(test_immortal_given_up_too_often),
        cmocka_unit_test(test_decref_of_the_dead),
        cmocka_unit_test(test_incref_of_the_dead),
        cmocka_unit_test(test_incref_of_the_dying),
        cmocka_unit_test(test_decref_below_zero),
        cmocka_unit_test(test_death_order),
        cmocka_unit_test(test_ten_million_deep),
        cmocka_unit_test(test_list_out_of_memory),
        cmocka_unit_test(test_one_refusal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
