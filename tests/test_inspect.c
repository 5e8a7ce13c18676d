/* From chapters 3, 4, 8 and 10 of The Invisible Janitor; made by make tangle. */
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
        /* expect its memory back */
        gc_collect(heap);
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
    int line = 0;

    (void)state;
    for (int i = 0; i < 3; i++)
        line = __LINE__, atoms[i] = gc_new(heap, &atom_type);
    gc_decref(n);
    after = gc_take_snapshot(heap);
    growth = gc_snapshot_compare(before, after);
    assert_int_equal(row_of(before, &node_type).objects, 1);
    assert_int_equal(row_of(growth, &node_type).objects, -1);
    assert_int_equal(growth->rows[0].objects, 3);
    /* compare what was printed of the growth */
    char text[200];
    FILE *file = tmpfile();
    gc_snapshot_print(growth, 1, file);
    snprintf(text, sizeof text, "   objects        bytes  type\n"
             "         3 %12td  atom, %s:%d\n%25s1 more\n",
             growth->rows[0].bytes, this_file(), line, "");
    assert_wrote(file, text);
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

static void test_many_places(void **state)
{
    enum { PLACES = 300 };
    gc_options options = { .places = true };
    gc_heap *heap = gc_heap_new(&options);
    gc_object *objects[PLACES];

    (void)state;
    for (int i = 0; i < PLACES; i++)
        objects[i] = gc_new_at(heap, &atom_type, 0,
                               (gc_place) { "a.c", i + 1 });
    gc_snapshot *s = gc_take_snapshot(heap);
    assert_int_equal(s->length, PLACES);
    for (int i = 0; i < PLACES; i++)
        assert_int_equal(s->rows[i].place.line, i + 1);
    gc_snapshot_free(s);
    for (int i = 0; i < PLACES; i++)
        gc_decref(objects[i]);
    assert_int_equal(gc_heap_free(heap), 0);
}

static const gc_type bytes_type = {
    .name = "bytes", .size = sizeof(gc_var_object), .item_size = 1,
}, batom_type = {
    .name = "batom", .size = sizeof(gc_object),
};

static const gc_type *const row_types[] = {
    &bytes_type, &atom_type, &atom_type, &batom_type };
static const int row_lines[] = { 7, 1, 2, 1 };

static void assert_rows(const gc_snapshot *s, const ptrdiff_t bytes[],
                        int sign)
{
    assert_int_equal(s->length, 4);
    for (int i = 0; i < 4; i++) {
        assert_ptr_equal(s->rows[i].type, row_types[i]);
        assert_int_equal(s->rows[i].place.line, row_lines[i]);
        assert_int_equal(s->rows[i].objects, sign);
        assert_int_equal(s->rows[i].bytes, sign * bytes[i]);
    }
}

static void test_bytes_of_rows(void **state)
{
    gc_options options = { .places = true };
    gc_heap *heap = gc_heap_new(&options);
    gc_snapshot *none = gc_take_snapshot(heap);
    gc_object *made[4];
    ptrdiff_t bytes[4];

    (void)state;
    for (int i = 3; i >= 0; i--) {
        /* make one of each, and note how many bytes that took */
        gc_snapshot *before = gc_take_snapshot(heap);
        made[i] = gc_new_at(heap, row_types[i], i == 0 ? 900 : 0,
                            (gc_place) { "a.c", row_lines[i] });
        gc_snapshot *after = gc_take_snapshot(heap);
        gc_snapshot *more = gc_snapshot_compare(before, after);
        bytes[i] = more->rows[0].bytes;
        assert_in_range(bytes[i], 16, 1000);
        gc_snapshot_free(before), gc_snapshot_free(after);
        gc_snapshot_free(more);
    }
    assert_true(bytes[0] >= 900);
    /* compare with the empty heap, in both directions */
    gc_snapshot *all = gc_take_snapshot(heap);
    gc_snapshot *growth = gc_snapshot_compare(none, all);
    gc_snapshot *shrinking = gc_snapshot_compare(all, none);
    assert_rows(all, bytes, 1);
    assert_rows(growth, bytes, 1);
    assert_rows(shrinking, bytes, -1);
    gc_snapshot_free(all), gc_snapshot_free(none);
    gc_snapshot_free(growth), gc_snapshot_free(shrinking);
    for (int i = 0; i < 4; i++)
        gc_decref(made[i]);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void assert_printed(const gc_snapshot *s, size_t limit,
                           const char *expected)
{
    FILE *file = tmpfile();
    char header[] = "   objects        bytes  type\n", text[500];

    gc_snapshot_print(s, limit, file);
    snprintf(text, sizeof text, "%s%s", header, expected);
    assert_wrote(file, text);
}

static void test_places_are_told_apart(void **state)
{
    gc_options options = { .places = true };
    gc_heap *heap = gc_heap_new(&options);
    char a[] = "a/x.c", b[] = "b/x.c", a_again[] = "a/x.c", text[200];
    const char *files[] = { a, b, a_again };
    gc_object *made[3];

    (void)state;
    for (int i = 0; i < 3; i++)
        made[i] = gc_new_at(heap, &atom_type, 0,
                            (gc_place) { files[i], 1 });
    gc_snapshot *s = gc_take_snapshot(heap);
    gc_snapshot *types = gc_snapshot_by_type(s);
    ptrdiff_t bytes = s->rows[1].bytes;
    snprintf(text, sizeof text, "         2 %12td  atom, x.c:1\n"
             "         1 %12td  atom, x.c:1\n", 2 * bytes, bytes);
    assert_printed(s, 2, text);
    assert_string_equal(s->rows[1].place.file, "b/x.c");
    snprintf(text, sizeof text, "         3 %12td  atom\n", 3 * bytes);
    assert_printed(types, 9, text);
    /* give back the snapshots and what was made */
    gc_snapshot_free(s), gc_snapshot_free(types);
    for (int i = 0; i < 3; i++)
        gc_decref(made[i]);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_snapshots_are_given_back(void **state)
{
    budget b = { .left = SIZE_MAX };
    gc_options options = { .allocator = on_budget(&b), .places = true };
    gc_heap *heap = gc_heap_new(&options);
    node *n = new_node(heap, "n");
    size_t bytes = b.bytes;

    (void)state;
    gc_snapshot *s = gc_take_snapshot(heap);
    gc_snapshot *d = gc_snapshot_compare(s, s);
    gc_snapshot *types = gc_snapshot_by_type(s);
    assert_int_equal(gc_heap_bytes(heap), bytes);
    assert_true(b.bytes > bytes);
    gc_snapshot_free(s), gc_snapshot_free(d), gc_snapshot_free(types);
    gc_snapshot_free(NULL);
    assert_int_equal(b.bytes, bytes);
    gc_decref(n);
    assert_int_equal(gc_heap_free(heap), 0);
    assert_int_equal(b.blocks, 0);
}

static void test_by_type(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    gc_object *atom = gc_new(heap, &atom_type);
    node *n = new_node(heap, "n");
    gc_objects list = { 0 };

    (void)state;
    n->left = new_node(heap, "l"), n->right = new_node(heap, "r");
    for (size_t limit = 0; limit < 5; limit++) {
        assert_true(gc_by_type(heap, "node", limit, &list));
        assert_int_equal(list.length, limit < 3 ? limit : 3);
        for (size_t i = 0; i < list.length; i++)
            assert_ptr_equal(list.items[i]->type, &node_type);
    }
    assert_true(gc_by_type(heap, "atom", 2, &list));
    assert_true(list.length == 1 && list.items[0] == atom);
    assert_true(gc_by_type(heap, "ato", 2, &list));
    assert_int_equal(list.length, 0);
    gc_objects_free(&list);
    gc_decref(n), gc_decref(atom);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_nobody_is_asked_about(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    gc_object *atom = gc_new(heap, &atom_type);
    gc_objects list = { 0 };

    (void)state;
    assert_true(gc_by_type(heap, "atom", 2, &list));
    assert_true(gc_get_referrers(NULL, 0, &list));
    assert_int_equal(list.length, 0);
    assert_true(gc_by_type(heap, "atom", 2, &list));
    assert_true(gc_get_referents(NULL, 0, &list));
    assert_int_equal(list.length, 0);
    assert_int_equal(gc_refcount(atom), 1);
    gc_objects_free(&list);
    gc_decref(atom);
    assert_int_equal(gc_heap_free(heap), 0);
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

static ptrdiff_t references;

static void count_references(gc_weakref *ref, void *closure)
{
    gc_snapshot *s = gc_take_snapshot(gc_heap_of(ref));

    (void)closure;
    references = row_of(s, &gc_weakref_type).objects;
    gc_snapshot_free(s);
}

static void test_the_called_are_counted(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *t = gc_new(heap, &thing_type);
    gc_weakref *ref = gc_weakref_new(t, count_references, NULL);

    (void)state;
    gc_set_field(&t->left, t);
    gc_decref(t);
    assert_int_equal(gc_collect(heap), 1);
    assert_int_equal(references, 1);
    gc_decref(ref);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void assert_chain(void *object, const char *expected)
{
    gc_objects chain = { 0 };
    FILE *file = tmpfile();

    assert_true(gc_find_chain(object, &chain));
    gc_print_chain(&chain, file);
    assert_wrote(file, expected);
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

static const gc_type array_type = {
    .name = "array", .size = sizeof(gc_var_object),
    .item_size = sizeof(gc_object *), .item_refs = true,
};

static void test_names_in_a_chain(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    gc_object *array = gc_new_var(heap, &array_type, 3);
    bag *other = gc_new(heap, &bag_type), *b = gc_new(heap, &bag_type);
    gc_object *atom = gc_new(heap, &atom_type);
    gc_object **items = gc_items(array);

    (void)state;
    gc_set_field(&items[0], other), gc_set_field(&items[2], b);
    assert_true(bag_add(b, atom));
    gc_decref(other), gc_decref(b), gc_decref(atom);
    assert_chain(other, "array\n  [0]        -> bag\n");
    assert_chain(atom, "array\n  [2]        -> bag\n"
                       "  -          -> atom\n");
    gc_decref(array);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_no_memory_for_a_chain(void **state)
{
    budget b = { .left = SIZE_MAX };
    gc_options options = { .allocator = on_budget(&b) };
    gc_heap *heap = gc_heap_new(&options);
    node *n = new_node(heap, "n");
    gc_objects list = { 0 };

    (void)state;
    gc_set_field(&n->left, n);
    for (int cycle = 0; cycle < 2; cycle++) {
        b.left = SIZE_MAX;
        assert_true(gc_find_chain(n, &list));
        assert_int_equal(list.length, 1);
        b.left = 0;
        assert_false(cycle ? gc_find_cycle(n, &list)
                           : gc_find_chain(n, &list));
        assert_int_equal(list.length, 0);
        assert_int_equal(gc_refcount(n), 2);
    }
    gc_objects_free(&list);
    gc_decref(n);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_draw(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    node *a = new_node(heap, "a\"");
    FILE *file = tmpfile();

    (void)state;
    a->left = new_node(heap, "b");
    a->left->left = new_node(heap, "c");
    a->left->left->left = new_node(heap, "d");
    assert_true(gc_draw(a->left, 1, 3, file));
    /* compare the drawing of three nodes */
    assert_wrote(file,
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

/* What is drawn of the first nodes of a row that goes on. */
static void expect_row(char *text, unsigned nodes)
{
    text += sprintf(text,
                    "digraph {\nrankdir=LR; node [shape=box];\n");
    for (unsigned i = 1; i <= nodes; i++) {
        text += sprintf(text, "n%u [label=\"node n\"%s];\n", i,
                        i == 1 ? ", style=bold" : "");
        if (i < nodes)
            text += sprintf(text, "n%u -> n%u [label=\"left\"];\n",
                            i, i + 1);
        else
            text += sprintf(text,
                "m%u [shape=plaintext, label=\"1 more\"];\n"
                "n%u -> m%u [style=dotted];\n", i, i, i);
    }
    strcpy(text, "}\n");
}

static void assert_drawn(node *n, unsigned steps, size_t limit,
                         const char *expected)
{
    FILE *file = tmpfile();

    assert_true(gc_draw(n, steps, limit, file));
    assert_wrote(file, expected);
}

static void test_steps_of_a_drawing(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    node *last = new_node(heap, "n"), *first = last, *n;
    node *bystander = new_node(heap, "bystander");
    char text[1000];

    (void)state;
    for (int i = 1; i < 6; i++, first = n)
        (n = new_node(heap, "n"))->left = first;
    for (unsigned steps = 0; steps < 5; steps++) {
        expect_row(text, steps + 1);
        assert_drawn(first, steps, 99, text);
        assert_drawn(first, 9, steps + 1, text);
    }
    assert_drawn(first, 9, 0, (expect_row(text, 1), text));
    assert_drawn(last, 1, 99,
        "digraph {\nrankdir=LR; node [shape=box];\n"
        "n1 [label=\"node n\", style=bold];\nn2 [label=\"node n\"];\n"
        "n2 -> n1 [label=\"left\"];\n}\n");
    gc_decref(first), gc_decref(bystander);
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

static void assert_told(unsigned flags, const char *expected)
{
    transcript t = { "" };
    gc_options options = { .sink = { remember, &t } };
    gc_heap *heap = gc_heap_new(&options);
    gc_type type = node_type;
    node *first = new_node(heap, "first");

    type.finalize = save_left;
    node *n = gc_new(heap, &type);
    n->name = "n";
    gc_set_field(&n->left, first);
    gc_set_field(&first->left, n);
    gc_decref(first), gc_decref(n);
    gc_set_debug(heap, flags);
    assert_int_equal(gc_collect(heap), 0);
    gc_set_debug(heap, 0);
    assert_string_equal(t.text, expected);
    gc_clear_field(&saved->left);
    gc_decref(saved);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_who_is_watched(void **state)
{
    (void)state;
    assert_told(0, "");
    assert_told(GC_DEBUG_RESURRECTED,
                "gc: <node first> got a reference "
                "from the finalizer of <node n>\n");
}

static size_t leaks, leaked_bytes;

static void count_leak(const gc_leak *leak, void *heap)
{
    assert_ptr_equal(gc_heap_of(leak->object), *(gc_heap **)heap);
    if (leak->file != NULL)
        assert_non_null(strstr(leak->file, this_file()));
    assert_int_equal(leak->refcount, 1);
    assert_null(gc_new(*(gc_heap **)heap, &atom_type));
    leaks++;
    leaked_bytes += leak->bytes;
}

static void expect_report(char *text, size_t bytes, const char *made)
{
    for (int i = 0; i < 10; i++)
        text += sprintf(text, "leaked: atom%s\n", made);
    sprintf(text, "leaked: and 2 more\n"
            "leaked: in all 12 atom, %zu bytes%s\n", bytes, made);
}

static void test_leak_report(void **state)
{
    char made[100] = "", expected[1500];
    gc_heap *heap;

    (void)state;
    for (int places = 0; places < 2; places++) {
        transcript t = { "" };
        gc_options options = { .sink = { remember, &t },
            .places = places == 1,
            .on_leak = count_leak, .leak_context = &heap };
        /* leak a dozen atoms */
        heap = gc_heap_new(&options);
        size_t bytes = gc_heap_bytes(heap);
        leaks = leaked_bytes = 0;
        int line = 0;
        for (int i = 0; i < 12; i++)
            line = __LINE__, gc_new(heap, &atom_type);
        /* count the bytes of the dozen */
        gc_snapshot *s = gc_take_snapshot(heap);
        assert_true(bytes < gc_heap_bytes(heap));
        bytes = (size_t)s->rows[0].bytes;
        gc_snapshot_free(s);
        if (places)
            snprintf(made, sizeof made, ", made at %s:%d", __FILE__, line);
        assert_int_equal(gc_heap_free(heap), 12);
        assert_int_equal(leaks, 12);
        assert_int_equal(leaked_bytes, bytes);
        expect_report(expected, bytes, made);
        assert_string_equal(t.text, expected);
    }
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

static int question;
static node *asked_about;
static gc_objects answer;
static gc_snapshot *first_table, *second_table;

static void prepare_a_ring(gc_heap *heap)
{
    node *last = asked_about = new_node(heap, "n");

    for (int i = 1; i < 10; i++)
        last = last->left = new_node(heap, "n");
    gc_set_field(&last->left, asked_about);
    gc_set_field(&last->right, asked_about);
    first_table = gc_take_snapshot(heap);
    second_table = NULL;
}

static bool try_to_draw(void)
{
    FILE *file = tmpfile();
    bool done = gc_draw(asked_about, 1, 99, file);

    fclose(file);
    return done;
}

static bool ask_a_question(gc_heap *heap)
{
    void *objects[10] = { asked_about };

    for (int i = 1; i < 10; i++)
        objects[i] = ((node *)objects[i - 1])->left;
    switch (question) {
    case 0: return gc_get_objects(heap, -1, &answer);
    case 1: return gc_get_referents(objects, 10, &answer);
    case 2: return gc_get_referrers(objects, 10, &answer);
    case 3: return gc_by_type(heap, "node", 10, &answer);
    case 4: return gc_find_chain(objects[5], &answer);
    case 5: return gc_find_cycle(asked_about, &answer);
    case 6: return try_to_draw();
    case 7: second_table = gc_take_snapshot(heap); break;
    case 8: second_table = gc_snapshot_by_type(first_table); break;
    case 9: second_table = gc_snapshot_compare(first_table,
                                               first_table);
    }
    return second_table != NULL;
}

static void look_at_the_answer(bool succeeded)
{
    static const size_t lengths[] = { 10, 11, 10, 10, 6, 11,
                                      0, 1, 1, 0 };
    size_t length = answer.length;

    if (second_table != NULL)
        length = second_table->length;
    assert_int_equal(length, succeeded ? lengths[question] : 0);
    gc_objects_free(&answer);
    gc_snapshot_free(first_table), gc_snapshot_free(second_table);
    assert_int_equal(gc_refcount(asked_about), 3);
    gc_decref(asked_about);
}

static void test_one_refusal(void **state)
{
    (void)state;
    for (question = 0; question < 10; question++)
        fail_each_in_turn(&(trial) { prepare_a_ring, ask_a_question,
                                     look_at_the_answer });
}

static size_t given, asked;

static void ask_for_all(gc_heap *heap)
{
    gc_objects list = { 0 };

    asked++;
    assert_true(gc_by_type(heap, "thing", 10, &list));
    given += list.length;
    assert_true(gc_get_objects(heap, -1, &list));
    for (size_t i = 0; i < list.length; i++)
        given += list.items[i]->type == &thing_type;
    gc_objects_free(&list);
}

static void ask_when_told(gc_weakref *ref, void *closure)
{
    (void)closure;
    ask_for_all(gc_heap_of(ref));
}

static void ask_afterwards(void *heap)
{
    ask_for_all(heap);
}

static void ask_at_last(void *object)
{
    ask_for_all(gc_heap_of(object));
}

static const gc_type curious_type = {
    .name = "curious", .size = sizeof(gc_object),
    .finalize = ask_at_last,
};

typedef struct owner {
    gc_object base;
    struct owner *self;
    gc_object *curious;
} owner;

static const gc_type owner_type = {
    .name = "thing", .size = sizeof(owner),
    .fields = (const gc_field[]) { GC_FIELD(owner, self),
                                   GC_FIELD(owner, curious), GC_END },
};

static void test_what_is_collected_is_given_to_nobody(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *t = gc_new(heap, &thing_type);
    owner *o = gc_new(heap, &owner_type);
    gc_weakref *ref = gc_weakref_new(t, ask_when_told, NULL);

    (void)state;
    given = asked = 0;
    assert_non_null(gc_finalize(t, ask_afterwards, heap));
    o->curious = gc_new(heap, &curious_type);
    gc_set_field(&t->left, t);
    gc_set_field(&o->self, o);
    gc_decref(t), gc_decref(o);
    assert_int_equal(gc_collect(heap), 3); /* with a weak reference */
    assert_int_equal(asked, 3);
    assert_int_equal(given, 0);
    gc_decref(ref);
    assert_int_equal(gc_heap_free(heap), 0);
}

static gc_objects moved_list(gc_heap *heap)
{
    gc_objects list = { 0 }, none = { 0 };

    assert_false(gc_get_objects(heap, 7, &none));
    assert_null(none.items);
    assert_true(gc_by_type(heap, "atom", 10, &list));
    return list;
}

static void test_list_that_is_moved(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    gc_object *o = gc_new(heap, &atom_type);
    gc_objects list = moved_list(heap), chain = { 0 };

    (void)state;
    assert_int_equal(list.length, 1);
    assert_true(gc_find_chain(o, &chain));
    assert_int_equal(chain.length, 1);
    gc_objects_free(&chain), gc_objects_free(&list);
    gc_decref(o);
    assert_int_equal(gc_heap_free(heap), 0);
}

static gc_objects refilled;

static void fill_it_again(void *object)
{
    assert_true(gc_by_type(gc_heap_of(object), "atom", 1, &refilled));
}

static void test_list_filled_by_a_finalizer(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    gc_type type = { .name = "last", .size = sizeof(gc_object),
                     .finalize = fill_it_again };
    gc_object *atom = gc_new(heap, &atom_type);

    (void)state;
    gc_object *last = gc_new(heap, &type);
    assert_true(gc_by_type(heap, "last", 1, &refilled));
    gc_decref(last);
    assert_true(gc_find_chain(atom, &refilled));
    assert_int_equal(refilled.length, 1);
    assert_ptr_equal(refilled.items[0], atom);
    gc_objects_free(&refilled);
    gc_decref(atom);
    assert_int_equal(gc_heap_free(heap), 0);
}

static size_t bytes_in_rows(gc_heap *heap)
{
    gc_snapshot *s = gc_take_snapshot(heap);
    ptrdiff_t sum = 0;

    for (size_t i = 0; i < s->length; i++)
        sum += s->rows[i].bytes;
    gc_snapshot_free(s);
    return (size_t)sum;
}

static void test_snapshot_outlives_its_heap(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    gc_weakdict *set = gc_weakset_new(heap);
    thing *t = gc_new(heap, &thing_type);
    size_t bytes = gc_heap_bytes(heap), sum = 0;

    (void)state;
    bytes -= bytes_in_rows(heap); /* of the heap itself */
    assert_true(gc_weakset_add(set, t));
    gc_snapshot *s = gc_take_snapshot(heap);
    /* compare the rows with the account of the heap */
    sum = bytes_in_rows(heap);
    assert_true(sum > sizeof *t && sum < gc_heap_bytes(heap));
    assert_true(bytes > 0);
    gc_decref(t), gc_decref(set);
    assert_int_equal(gc_heap_free(heap), 0);
    assert_int_equal(s->length, 4);
    gc_snapshot_free(s);
}

static void do_nothing_with(void *arg)
{
    (void)arg;
}

static void test_places_of_what_the_library_makes(void **state)
{
    gc_options options = { .places = true };
    gc_heap *heap = gc_heap_new(&options);
    thing *t = gc_new(heap, &thing_type); int line = __LINE__;
    gc_weakref *ref = gc_weakref_new(t, NULL, NULL);
    gc_weakref *proxy = gc_proxy_new(t, NULL, NULL);
    gc_weakdict *set = gc_weakset_new(heap);
    gc_finalizer *f = gc_finalize(t, do_nothing_with, NULL);

    (void)state;
    assert_int_equal(gc_get_place(t).line, line);
    assert_int_equal(gc_get_place(ref).line, line + 1);
    assert_int_equal(gc_get_place(proxy).line, line + 2);
    assert_int_equal(gc_get_place(set).line, line + 3);
    assert_int_equal(gc_get_place(f).line, line + 4);
    gc_decref(ref), gc_decref(proxy), gc_decref(set), gc_decref(t);
    assert_int_equal(gc_heap_free(heap), 0);
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
        cmocka_unit_test(test_many_places),
        cmocka_unit_test(test_bytes_of_rows),
        cmocka_unit_test(test_places_are_told_apart),
        cmocka_unit_test(test_snapshots_are_given_back),
        cmocka_unit_test(test_by_type),
        cmocka_unit_test(test_nobody_is_asked_about),
        cmocka_unit_test(test_the_called_are_counted),
        cmocka_unit_test(test_chain),
        cmocka_unit_test(test_cycle),
        cmocka_unit_test(test_names_in_a_chain),
        cmocka_unit_test(test_no_memory_for_a_chain),
        cmocka_unit_test(test_steps_of_a_drawing),
        cmocka_unit_test(test_who_is_watched),
        cmocka_unit_test(test_draw),
        cmocka_unit_test(test_who_resurrected),
        cmocka_unit_test(test_leak_report),
        cmocka_unit_test(test_not_within_a_collection),
        cmocka_unit_test(test_looking_out_of_memory),
        cmocka_unit_test(test_one_refusal),
        cmocka_unit_test(test_what_is_collected_is_given_to_nobody),
        cmocka_unit_test(test_list_that_is_moved),
        cmocka_unit_test(test_list_filled_by_a_finalizer),
        cmocka_unit_test(test_snapshot_outlives_its_heap),
        cmocka_unit_test(test_places_of_what_the_library_makes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
