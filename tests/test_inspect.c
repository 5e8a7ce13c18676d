/* From chapters 3, 4 and 8 of The Invisible Janitor; made by make tangle. */
/* test_inspect.c: the tests of Chapter 8. */
#define GC_PLACES
#include "support.h"

/* a bag */
typedef struct bag {
    gc_object base;
    size_t length, room;
    gc_object **items; /* from malloc, so this is no field */
} bag;

static void bag_traverse(void *object, gc_visit *visit, void *arg)
{
    bag *b = object;

    for (size_t i = 0; i < b->length; i++)
        visit(b->items[i], arg);
}

static void bag_clear(void *object)
{
    bag *b = object;

    while (b->length > 0)
        gc_decref(b->items[--b->length]);
}

static void bag_destroy(void *object)
{
    free(((bag *)object)->items);
}

static const gc_type bag_type = {
    .name = "bag", .size = sizeof(bag), .destroy = bag_destroy,
    .traverse = bag_traverse, .clear = bag_clear,
};

static bool bag_add(bag *b, void *object)
{
    if (b->length == b->room) {
        size_t room = 2 * b->room + 4;
        void *items = realloc(b->items, room * sizeof *b->items);

        if (items == NULL)
            return false;
        b->items = items;
        b->room = room;
    }
    b->items[b->length++] = gc_new_ref(object);
    return true;
}

/* tests of leak hunting */
static bool holds(const gc_objects *list, const void *object)
{
    for (size_t i = 0; i < list->length; i++)
        if ((void *)list->items[i] == object)
            return true;
    return false;
}

static bool in_generation(gc_heap *heap, int g, const void *object)
{
    gc_objects list = { 0 };

    assert_true(gc_get_objects(heap, g, &list));
    bool found = holds(&list, object);
    gc_objects_free(&list);
    return found;
}

static void test_get_objects(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    gc_objects list = { 0 };

    (void)state;
    /* not under stress */
    #ifdef GC_STRESS
    gc_heap_free(heap);
    skip();
    #endif
    node *n = new_node(heap, "n");
    for (int g = 0; g < 4; g++) {
        for (int i = 0; i < GC_GENERATIONS; i++)
            assert_int_equal(in_generation(heap, i, n), i == g % 3);
        assert_true(in_generation(heap, -1, n));
        gc_collect_generation(heap, g == 2 ? -1 : g);
        g += g == 2;
    }
    gc_freeze(heap);
    assert_false(in_generation(heap, -1, n));
    assert_false(gc_get_objects(heap, 3, &list));
    assert_false(gc_get_objects(heap, -2, &list));
    assert_int_equal(list.length, 0);
    gc_objects_free(&list);
    assert_int_equal(gc_refcount(n), 1);
    gc_decref(n);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_referents_and_referrers(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    node *a = new_node(heap, "a"), *b = new_node(heap, "b");
    bag *c = gc_new(heap, &bag_type);
    gc_objects list = { 0 };

    (void)state;
    gc_set_field(&a->left, b), gc_set_field(&a->right, b);
    assert_true(bag_add(c, a) && bag_add(c, b));
    assert_true(gc_get_referents((void *[]) { a, c }, 2, &list));
    assert_int_equal(list.length, 4);
    assert_int_equal(gc_refcount(b), 4 + 3);
    assert_true(gc_get_referrers((void *[]) { b }, 1, &list));
    assert_int_equal(list.length, 2);
    assert_true(holds(&list, a) && holds(&list, c));
    assert_true(gc_get_referrers((void *[]) { c }, 1, &list));
    assert_int_equal(list.length, 0);
    gc_objects_free(&list);
    gc_objects_free(&list);
    assert_int_equal(gc_refcount(b), 4);
    gc_decref(a), gc_decref(b), gc_decref(c);
    assert_int_equal(gc_heap_free(heap), 0);
}

static const gc_type atom_type = {
    .name = "atom", .size = sizeof(gc_object),
};

static const char *this_file(void)
{
    const char *slash = strrchr(__FILE__, '/');

    return slash != NULL ? slash + 1 : __FILE__;
}

static void test_places(void **state)
{
    gc_options options = { .places = true };

    (void)state;
    for (int on = 0; on < 2; on++) {
        gc_heap *heap = gc_heap_new(on ? &options : NULL);
        size_t bytes = gc_heap_bytes(heap);
        gc_object *o = gc_new(heap, &atom_type); int line = __LINE__;
        gc_place place = gc_get_place(o);

        assert_int_equal(place.line, on ? line : 0);
        assert_int_equal(place.file != NULL, on);
        assert_int_equal((uintptr_t)o % _Alignof(max_align_t), 0);
        gc_decref(o);
#ifndef GC_CHECK
        assert_int_equal(gc_heap_bytes(heap), bytes);
#endif
        assert_int_equal(gc_heap_free(heap), 0);
        (void)bytes;
    }
}

static gc_tally row_of(const gc_snapshot *s, const gc_type *type)
{
    for (size_t i = 0; i < s->length; i++)
        if (s->rows[i].type == type)
            return s->rows[i];
    return (gc_tally) { 0 };
}

static void test_snapshots(void **state)
{
    gc_options options = { .places = true };
    gc_heap *heap = gc_heap_new(&options);
    node *n = gc_new(heap, &node_type);
    gc_snapshot *before = gc_take_snapshot(heap), *after, *growth;
    gc_object *atoms[3];

    (void)state;
    for (int i = 0; i < 3; i++)
        atoms[i] = gc_new(heap, &atom_type);
    gc_decref(n);
    after = gc_take_snapshot(heap);
    growth = gc_snapshot_compare(before, after);
    assert_int_equal(row_of(before, &node_type).objects, 1);
    assert_int_equal(row_of(growth, &node_type).objects, -1);
    assert_int_equal(growth->rows[0].objects, 3);
    /* compare what was printed of the growth */
    char text[200] = "";
    FILE *out = fmemopen(text, sizeof text, "w");
    gc_snapshot_print(growth, 1, out);
    fclose(out);
    assert_non_null(strstr(text, "         3 "));
    char place[80];
    snprintf(place, sizeof place, "  atom, %s:", this_file());
    assert_non_null(strstr(text, place));
    assert_non_null(strstr(text, "  1 more\n"));
    gc_snapshot_free(before), gc_snapshot_free(after);
    gc_snapshot_free(growth);
    for (int i = 0; i < 3; i++)
        gc_clear_field(&atoms[i]);
    gc_heap_free(heap);
}

static void test_many_rows(void **state)
{
    enum { TYPES = 500 };
    static gc_type types[TYPES];
    gc_heap *heap = gc_heap_new(NULL);
    gc_object *objects[TYPES];

    (void)state;
    for (int i = 0; i < TYPES; i++) {
        types[i] = atom_type;
        objects[i] = gc_new(heap, &types[i]);
    }
    gc_snapshot *s = gc_take_snapshot(heap);
    gc_snapshot *same = gc_snapshot_compare(s, s);
    assert_int_equal(s->length, TYPES);
    assert_int_equal(same->length, 0);
    gc_snapshot *by_type = gc_snapshot_by_type(s);
    assert_int_equal(by_type->length, TYPES);
    gc_snapshot_free(s), gc_snapshot_free(same);
    gc_snapshot_free(by_type);
    for (int i = 0; i < TYPES; i++)
        gc_decref(objects[i]);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void assert_chain(void *object, const char *expected)
{
    gc_objects chain = { 0 };
    char text[500] = "";
    FILE *out = fmemopen(text, sizeof text, "w");

    assert_true(gc_find_chain(object, &chain));
    gc_print_chain(&chain, out);
    fclose(out);
    assert_string_equal(text, expected);
    gc_objects_free(&chain);
}

static void test_chain(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    node *a = new_node(heap, "a"), *b = new_node(heap, "b");
    gc_objects list = { 0 };

    (void)state;
    a->left = b, a->right = new_node(heap, "c");
    a->right->left = new_node(heap, "d");
    gc_set_field(&b->right, a->right->left);
    gc_set_field(&a->right->left->left, a);
    assert_true(gc_get_objects(heap, -1, &list));
    assert_chain(a, "node a\n");
    assert_chain(b->right, "node a\n  left       -> node b\n"
                           "  right      -> node d\n");
    node *d = b->right;
    gc_clear_field(&a->left);
    assert_chain(d, "node a\n  right      -> node c\n"
                    "  left       -> node d\n");
    gc_decref(a);
    assert_chain(d, "no way leads there\n");
    gc_objects_free(&list);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void assert_cycle(void *object, size_t length)
{
    gc_objects cycle = { 0 };

    assert_true(gc_find_cycle(object, &cycle));
    assert_int_equal(cycle.length, length);
    if (length > 0)
        assert_ptr_equal(cycle.items[0], object);
    gc_objects_free(&cycle);
}

static void test_cycle(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    node *a = new_node(heap, "a");

    (void)state;
    a->left = new_node(heap, "b");
    a->left->left = new_node(heap, "c");
    assert_cycle(a, 0);
    gc_set_field(&a->left->left->left, a);
    assert_cycle(a, 4);
    gc_set_field(&a->left->right, a);
    assert_cycle(a, 3);
    assert_cycle(a->left->left, 4);
    gc_set_field(&a->right, a);
    assert_cycle(a, 2);
    gc_decref(a);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_draw(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    node *a = new_node(heap, "a\"");
    char text[1000] = "";
    FILE *out = fmemopen(text, sizeof text, "w");

    (void)state;
    a->left = new_node(heap, "b");
    a->left->left = new_node(heap, "c");
    a->left->left->left = new_node(heap, "d");
    assert_true(gc_draw(a->left, 1, 3, out));
    fclose(out);
    /* compare the drawing of three nodes */
    assert_string_equal(text,
        "digraph {\nrankdir=LR; node [shape=box];\n"
        "n1 [label=\"node b\", style=bold];\n"
        "n1 -> n2 [label=\"left\"];\n"
        "n2 [label=\"node c\"];\n"
        "m2 [shape=plaintext, label=\"1 more\"];\n"
        "n2 -> m2 [style=dotted];\n"
        "n3 [label=\"node a\\\"\"];\n"
        "n3 -> n1 [label=\"left\"];\n}\n");
    gc_decref(a);
    assert_int_equal(gc_heap_free(heap), 0);
}

static node *saved;

static void save_left(void *object)
{
    saved = gc_new_ref(((node *)object)->left);
}

static void test_who_resurrected(void **state)
{
    transcript t = { "" };
    gc_options options = { .sink = { remember, &t } };
    gc_heap *heap = gc_heap_new(&options);
    gc_type type = node_type;

    (void)state;
    gc_set_debug(heap, GC_DEBUG_RESURRECTED);
    type.finalize = save_left;
    node *n = gc_new(heap, &type);
    n->name = "n";
    gc_set_field(&n->right, n);
    n->left = new_node(heap, "m");
    gc_decref(n);
    gc_collect(heap);
    assert_string_equal(t.text, "gc: <node m> got a reference "
                                "from the finalizer of <node n>\n");
    gc_decref(saved);
    assert_int_equal(gc_heap_free(heap), 0);
}

static size_t leaks, leaked_bytes;

static void count_leak(const gc_leak *leak, void *heap)
{
    assert_ptr_equal(gc_heap_of(leak->object), *(gc_heap **)heap);
    assert_non_null(strstr(leak->file, this_file()));
    assert_int_equal(leak->refcount, 1);
    leaks++;
    leaked_bytes += leak->bytes;
}

static void test_leak_report(void **state)
{
    transcript t = { "" };
    gc_heap *heap;
    gc_options options = { .sink = { remember, &t }, .places = true,
        .on_leak = count_leak, .leak_context = &heap };

    (void)state;
    heap = gc_heap_new(&options);
    for (int i = 0; i < 12; i++)
        gc_new(heap, &atom_type);
    assert_int_equal(gc_heap_free(heap), 12);
    assert_int_equal(leaks, 12);
    assert_true(leaked_bytes >= 12 * sizeof(gc_object));
    assert_non_null(strstr(t.text, "leaked: atom, made at "));
    assert_non_null(strstr(t.text, "leaked: and 2 more\n"));
    assert_non_null(strstr(t.text, "leaked: in all 12 atom, "));
}

static void try_to_look(void *object)
{
    gc_objects chain = { 0 };

    assert_false(gc_find_chain(object, &chain));
    assert_false(gc_find_cycle(object, &chain));
    assert_false(gc_draw(object, 1, 1, stderr));
    assert_null(chain.items);
}

static void test_not_within_a_collection(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    gc_type type = node_type;

    (void)state;
    type.finalize = try_to_look;
    node *n = gc_new(heap, &type);
    n->left = n;
    assert_int_equal(gc_collect(heap), 1);
    assert_int_equal(gc_heap_free(heap), 0);
}

static bool look_on_budget(budget *b)
{
    gc_options options = { .allocator = on_budget(b) };
    gc_heap *heap = gc_heap_new(&options);
    node *n = heap != NULL ? new_node(heap, "n") : NULL;
    gc_objects list = { 0 };
    bool done = n != NULL;

    if (n != NULL) {
        gc_snapshot *s = gc_take_snapshot(heap);
        gc_snapshot *t = s != NULL ? gc_snapshot_compare(s, s) : NULL;
        done = gc_get_objects(heap, -1, &list) && t != NULL;
        done = gc_find_chain(n, &list) && done;
        done = gc_by_type(heap, "node", 1, &list) && done;
        done = gc_draw(n, 1, 2, stderr) && done;
        gc_snapshot_free(s), gc_snapshot_free(t);
        gc_objects_free(&list);
        gc_decref(n);
    }
    assert_int_equal(gc_heap_free(heap), 0);
    return done;
}

static void test_looking_out_of_memory(void **state)
{
    bool done = false;

    (void)state;
    for (size_t n = 0; !done; n++) {
        budget b = { .left = n };
        done = look_on_budget(&b);
        assert_int_equal(b.blocks, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* the list of tests of leak hunting */
        cmocka_unit_test(test_get_objects),
        cmocka_unit_test(test_referents_and_referrers),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_snapshots),
        cmocka_unit_test(test_many_rows),
        cmocka_unit_test(test_chain),
        cmocka_unit_test(test_cycle),
        cmocka_unit_test(test_draw),
        cmocka_unit_test(test_who_resurrected),
        cmocka_unit_test(test_leak_report),
        cmocka_unit_test(test_not_within_a_collection),
        cmocka_unit_test(test_looking_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
