/* From chapters 3, 4 and 10 of The Invisible Janitor; made by make tangle. */
/* test_cycles.c: the tests of Chapter 3. */
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

/* tests of cycles */
static const gc_type atom_type = {
    .name = "atom", .size = sizeof(gc_object),
};

static void test_is_tracked(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    gc_object *atom = gc_new(heap, &atom_type);
    node *n = new_node(heap, "n");
    bag *b = gc_new(heap, &bag_type);

    (void)state;
    assert_false(gc_is_tracked(atom));
    assert_true(gc_is_tracked(n));
    assert_true(gc_is_tracked(b));
    gc_make_immortal(n);
    assert_false(gc_is_tracked(n));
    gc_decref(atom), gc_decref(n), gc_decref(b);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_ring_of_one(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    node *n = new_node(heap, "n");

    (void)state;
    gc_set_field(&n->left, n);
    n->right = gc_new(heap, &atom_type);
    gc_decref(n);
    assert_int_equal(gc_heap_count(heap), 2);
    assert_int_equal(gc_collect(heap), 1);
    assert_int_equal(gc_heap_count(heap), 0);
    gc_heap_free(heap);
}

static const gc_type pair_type = {
    .name = "pair", .size = sizeof(gc_var_object),
    .item_size = sizeof(gc_object *), .item_refs = true,
};

static void test_ring_through_items(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    gc_object *pair = gc_new_var(heap, &pair_type, 2);
    bag *b = gc_new(heap, &bag_type);

    (void)state;
    gc_set_field((gc_object **)gc_items(pair) + 1, b);
    for (int i = 0; i < 10; i++)
        assert_true(bag_add(b, pair));
    gc_decref(pair);
    assert_int_equal(gc_collect(heap), 0);
    gc_decref(b);
    assert_int_equal(gc_collect(heap), 2);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_five_nodes(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    node *c = new_node(heap, "c"), *b = new_node(heap, "b");
    node *a = new_node(heap, "a");
    node *d = new_node(heap, "d"), *e = new_node(heap, "e");

    (void)state;
    a->left = b, b->left = c, d->left = e, e->left = d;
    gc_set_field(&e->right, c);
    assert_int_equal(gc_refcount(c), 2);
    assert_int_equal(gc_collect(heap), 2);
    assert_int_equal(gc_heap_count(heap), 3);
    assert_int_equal(gc_refcount(c), 1);
    assert_ptr_equal(a->left->left, c);
    gc_decref(a);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_closing_collects(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    node *n = new_node(heap, "n");

    (void)state;
    n->left = n;
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_immortals_hold_on(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    node *n = new_node(heap, "n");

    (void)state;
    n->left = new_node(heap, "m");
    gc_set_field(&n->left->right, n->left);
    gc_make_immortal(n);
    gc_decref(n);
    assert_int_equal(gc_collect(heap), 0);
    assert_int_equal(gc_heap_count(heap), 2);
    assert_int_equal(gc_heap_free(heap), 0);
}

static size_t nested = 99;

static void collect_again(void *object)
{
    nested = gc_collect(gc_heap_of(object));
}

static void test_nested_collection(void **state)
{
    gc_type type = node_type;
    gc_heap *heap = gc_heap_new(NULL);

    (void)state;
    type.destroy = collect_again;
    node *n = gc_new(heap, &type);
    new_node(heap, "m")->left = new_node(heap, "o");
    n->left = n;
    assert_int_equal(gc_collect(heap), 1);
    assert_int_equal(nested, 0);
    assert_int_equal(gc_heap_free(heap), 2);
}

static node *neighbour;

static void cling(void *object)
{
    (void)object;
    gc_incref(neighbour);
}

static void test_one_that_refuses_to_die(void **state)
{
    gc_type type = node_type;
    gc_heap *heap = gc_heap_new(NULL);

    (void)state;
    type.destroy = cling;
    neighbour = new_node(heap, "neighbour");
    neighbour->left = gc_new(heap, &type);
    neighbour->left->name = "clinging";
    neighbour->left->left = neighbour;
    assert_int_equal(gc_collect(heap), 2);
    assert_int_equal(gc_heap_count(heap), 1);
    assert_null(neighbour->left);
    assert_int_equal(gc_collect(heap), 0);
    gc_decref(neighbour);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void save_neighbour(void *object)
{
    (void)object;
    gc_make_immortal(neighbour);
}

static void test_saved_by_immortality(void **state)
{
    gc_type type = node_type;
    gc_heap *heap = gc_heap_new(NULL);

    (void)state;
    type.destroy = save_neighbour;
    neighbour = new_node(heap, "neighbour");
    neighbour->left = gc_new(heap, &type);
    neighbour->left->left = neighbour;
    assert_int_equal(gc_collect(heap), 2);
    assert_int_equal(gc_heap_count(heap), 1);
    assert_int_equal(gc_collect(heap), 0);
    assert_int_equal(gc_heap_free(heap), 0);
}

static char epitaphs[20];

static void traverse_right(void *object, gc_visit *visit, void *arg)
{
    visit(((node *)object)->right, arg);
}

static void clear_right(void *object)
{
    gc_clear_field(&((node *)object)->right);
}

static void bury(void *object)
{
    strcat(epitaphs, ((node *)object)->name);
}

static void test_fields_are_cleared_first(void **state)
{
    gc_field left[] = { GC_FIELD(node, left), GC_END };
    gc_type type = { .name = "mixed", .size = sizeof(node),
        .fields = left, .destroy = bury,
        .traverse = traverse_right, .clear = clear_right };
    gc_heap *heap = gc_heap_new(NULL);
    node *n = gc_new(heap, &type);

    (void)state;
    n->name = "n";
    n->left = gc_new(heap, &type), n->left->name = "l";
    n->right = gc_new(heap, &type), n->right->name = "r";
    gc_decref(n);
    assert_string_equal(epitaphs, "lrn");
    assert_int_equal(gc_heap_free(heap), 0);
}

static const char *const after_phases[] = {
    "object atom type=atom refcount=1\n"
    "object bag type=bag refcount=1 gc_refs=1\n"
    "ref bag - atom\nref bag - bag\n",
    "object atom type=atom refcount=1\n"
    "object bag type=bag refcount=1 gc_refs=0\n"
    "ref bag - atom\nref bag - bag\n",
    "object atom type=atom refcount=1\n"
    "object bag type=bag refcount=1 gc_refs=0 state=unreachable\n"
    "ref bag - atom\nref bag - bag\n",
};

static void dump_phase(gc_heap *heap, const char *phase, void *context)
{
    const char *const **expected = context;

    (void)phase;
    if (*expected != NULL)
        assert_dump(heap, NULL, *(*expected)++);
}

static void test_dump_of_phases(void **state)
{
    const char *const *expected = NULL;
    gc_options options = { .on_phase = dump_phase,
                           .phase_context = &expected };
    gc_heap *heap = gc_heap_new(&options);
    gc_object *atom = gc_new(heap, &atom_type);
    bag *b = gc_new(heap, &bag_type);

    (void)state;
    assert_true(bag_add(b, atom) && bag_add(b, b));
    gc_decref(atom), gc_decref(b);
    expected = after_phases;
    assert_int_equal(gc_collect(heap), 1);
    assert_ptr_equal(expected, after_phases + 3);
    expected = NULL;
    assert_dump(heap, NULL, "");
    gc_heap_free(heap);
}

static void test_dump_afterwards(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    node *n = new_node(heap, "n");

    (void)state;
    gc_set_field(&n->left, n);
    assert_int_equal(gc_collect(heap), 0);
    assert_dump(heap, (gc_variable[]) { { "v", n }, { NULL, NULL } },
        "object n type=node name=\"n\" refcount=2"
        /* what a dump notes about an old node */
        " generation=2"
        "\nref n left n\nvar v n\n");
    gc_decref(n);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void note_phase(gc_heap *heap, const char *phase, void *text)
{
    (void)heap;
    strcat(strcat(text, phase), " ");
}

static void test_phases(void **state)
{
    char text[200] = "";
    gc_options options = { .on_phase = note_phase,
                           .phase_context = text };
    gc_heap *heap = gc_heap_new(&options);

    (void)state;
    gc_collect(heap);
    assert_string_equal(text,
        "update_refs subtract_refs move_unreachable ");
    gc_heap_free(heap);
}

#ifndef TEST_SHRINK
#define TEST_SHRINK 1
#endif

static void test_ring_of_a_million(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    node *bystander = new_node(heap, "bystander");
    node *first = new_node(heap, "first"), *last = first;
    size_t length = 1000000 / TEST_SHRINK;

    (void)state;
    for (size_t i = 1; i < length; i++)
        last = last->left = new_node(heap, "n");
    last->left = first;
    gc_set_field(&last->right, bystander);
    assert_int_equal(gc_collect(heap), length);
    assert_int_equal(gc_heap_count(heap), 1);
    assert_int_equal(gc_refcount(bystander), 1);
    gc_decref(bystander);
    assert_int_equal(gc_heap_free(heap), 0);
}

static node *new_ring(gc_heap *heap, int length)
{
    node *first = NULL, *last = NULL;

    for (int i = 0; i < length; i++) {
        node *n = new_node(heap, "n");
        if (n == NULL) {
            gc_xdecref(first);
            return NULL;
        }
        if (first == NULL)
            first = n;
        else
            last->left = n;
        last = n;
    }
    gc_set_field(&last->left, first);
    return first;
}

static void test_ring_out_of_memory(void **state)
{
    bool done = false;

    (void)state;
    for (size_t n = 0; !done; n++) {
        budget b = { .left = n };
        gc_options options = { .allocator = on_budget(&b) };
        gc_heap *heap = gc_heap_new(&options);
        node *ring = heap != NULL ? new_ring(heap, 60) : NULL;

        if ((done = ring != NULL)) {
            gc_decref(ring);
            b.left = 0;
            assert_int_equal(gc_collect(heap), 60);
        }
        assert_int_equal(gc_heap_free(heap), 0);
        assert_int_equal(b.blocks, 0);
    }
}

enum { GRAPH = 40 };

typedef struct graph {
    int edges[GRAPH][2]; /* the node each field refers to, or -1 */
    bool held[GRAPH], reached[GRAPH], gone[GRAPH];
} graph;

static graph the_graph;

static uint32_t roll(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

static void random_graph(graph *g, uint32_t seed)
{
    uint32_t held = roll(&seed) % 5;

    memset(g, 0, sizeof *g);
    for (int i = 0; i < GRAPH; i++) {
        g->edges[i][0] = (int)(roll(&seed) % (GRAPH + 20)) - 20;
        g->edges[i][1] = (int)(roll(&seed) % (GRAPH + 20)) - 20;
        g->held[i] = roll(&seed) % GRAPH < held;
    }
}

static void reach(graph *g, int i)
{
    if (i < 0 || g->reached[i])
        return;
    g->reached[i] = true;
    reach(g, g->edges[i][0]);
    reach(g, g->edges[i][1]);
}

static void strike_out(void *object)
{
    the_graph.gone[((node *)object)->name[0] - 1] = true;
}

static void build(graph *g, gc_heap *heap, const gc_type *type,
                  node **nodes, char (*names)[2])
{
    for (int i = 0; i < GRAPH; i++) {
        nodes[i] = gc_new(heap, type);
        nodes[i]->name = names[i];
        names[i][0] = (char)(i + 1);
    }
    for (int i = 0; i < GRAPH; i++) {
        if (g->edges[i][0] >= 0)
            gc_set_field(&nodes[i]->left, nodes[g->edges[i][0]]);
        if (g->edges[i][1] >= 0)
            gc_set_field(&nodes[i]->right, nodes[g->edges[i][1]]);
    }
}

static void test_random_graphs(void **state)
{
    gc_type type = node_type;

    (void)state;
    type.destroy = strike_out;
    for (uint32_t seed = 1; seed <= 500; seed++) {
        gc_heap *heap = gc_heap_new(NULL);
        node *nodes[GRAPH];
        char names[GRAPH][2] = { "" };

        random_graph(&the_graph, seed);
        build(&the_graph, heap, &type, nodes, names);
        /* let go of the nodes that are not held, and collect */
        for (int i = 0; i < GRAPH; i++)
            if (the_graph.held[i])
                reach(&the_graph, i);
            else
                gc_decref(nodes[i]);
        gc_collect(heap);
        /* compare with what can be reached */
        for (int i = 0; i < GRAPH; i++)
            if (the_graph.gone[i] == the_graph.reached[i])
                fail_msg("seed %u, node %d", (unsigned)seed, i);
        /* let go of the others */
        for (int i = 0; i < GRAPH; i++)
            if (the_graph.held[i])
                gc_decref(nodes[i]);
        assert_int_equal(gc_heap_free(heap), 0);
    }
}

static const int expected[] = {
#include "golden/collect_order.txt"
};
static int rung[200], rings;

typedef struct knot {
    gc_object base;
    struct knot *left, *right;
    struct chime *bell;
} knot;

static const gc_field knot_fields[] = {
    GC_FIELD(knot, left), GC_FIELD(knot, right),
    GC_FIELD(knot, bell), GC_END
};

static const gc_type knot_type = {
    .name = "knot", .size = sizeof(knot), .fields = knot_fields,
};

typedef struct chime {
    gc_object base;
    int number;
} chime;

static void ring(void *object)
{
    assert_true(rings < 200);
    rung[rings++] = ((chime *)object)->number;
}

static const gc_type chime_type = {
    .name = "chime", .size = sizeof(chime), .destroy = ring,
};

static knot *new_knot(gc_heap *heap, int number)
{
    knot *k = gc_new(heap, &knot_type);

    k->bell = gc_new(heap, &chime_type);
    k->bell->number = number;
    return k;
}

static void play(gc_heap *heap, knot **knots, int made, uint32_t seed)
{
    for (int step = 1; step <= 320; step++) {
        uint32_t random = roll(&seed), what = random / 256 % 3;
        knot **one = &knots[random % 16];

        if (what == 0)
            gc_set_field(&(*one)->left, knots[random / 16 % 16]);
        else if (what == 1)
            gc_set_field(&(*one)->right, knots[random / 16 % 16]);
        else {
            knot *k = new_knot(heap, made++);
            gc_set_field(one, k);
            gc_decref(k);
        }
        if (step % 40 == 0) {
            gc_collect(heap);
            rung[rings++] = -1;
        }
    }
}

static void test_collect_order(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    knot *knots[16];
    size_t numbers = sizeof expected / sizeof *expected;

    (void)state;
    /* not under stress */
    #ifdef GC_STRESS
    gc_heap_free(heap);
    skip();
    #endif
    rings = 0;
    for (int i = 0; i < 16; i++)
        knots[i] = new_knot(heap, i);
    play(heap, knots, 16, 2463534242u);
    assert_int_equal(rings, numbers);
    /* compare what was rung with Python's order */
    for (size_t i = 0, from = 0; i < numbers; i++) {
        size_t k = from;

        while (rung[k] != expected[i] && rung[k] != -1)
            k++;
        assert_int_equal(rung[k], expected[i]);
        if (expected[i] == -1) { /* the collection is over */
            assert_int_equal(k, i);
            from = i + 1;
        }
    }
    for (int i = 0; i < 16; i++)
        gc_decref(knots[i]);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void forget_an_incref(void)
{
    gc_heap *heap = gc_heap_new(NULL);
    node *a = new_node(heap, "a"), *b = new_node(heap, "b");

    a->left = a->right = b;
    gc_collect(heap);
}

static void test_refcount_too_small(void **state)
{
    (void)state;
    assert_stops(forget_an_incref,
        "node b: more references to it than its refcount, 1");
}

static void miss_the_first(void *object, gc_visit *visit, void *arg)
{
    bag *b = object;

    for (size_t i = 1; i < b->length; i++)
        visit(b->items[i], arg);
}

static void clear_what_was_missed(void)
{
    gc_heap *heap = gc_heap_new(NULL);
    gc_type type = bag_type;
    node *n = new_node(heap, "n");

    type.traverse = miss_the_first;
    bag *b = gc_new(heap, &type);
    bag_add(b, n), bag_add(b, n);
    gc_decref(b);
}

static void test_traverse_misses_one(void **state)
{
    (void)state;
    assert_stops(clear_what_was_missed,
        "bag: traverse visits 1 references, clear gives up 2");
}

static void test_only_one_of_two(void **state)
{
    gc_type type = bag_type;

    (void)state;
    assert_null(gc_type_error(&bag_type));
    type.clear = NULL;
    assert_non_null(gc_type_error(&type));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* the list of tests of cycles */
        cmocka_unit_test(test_is_tracked),
        cmocka_unit_test(test_ring_of_one),
        cmocka_unit_test(test_ring_through_items),
        cmocka_unit_test(test_five_nodes),
        cmocka_unit_test(test_closing_collects),
        cmocka_unit_test(test_immortals_hold_on),
        cmocka_unit_test(test_nested_collection),
        cmocka_unit_test(test_one_that_refuses_to_die),
        cmocka_unit_test(test_saved_by_immortality),
        cmocka_unit_test(test_fields_are_cleared_first),
        cmocka_unit_test(test_dump_of_phases),
        cmocka_unit_test(test_dump_afterwards),
        cmocka_unit_test(test_phases),
        cmocka_unit_test(test_ring_of_a_million),
        cmocka_unit_test(test_ring_out_of_memory),
        cmocka_unit_test(test_random_graphs),
        cmocka_unit_test(test_collect_order),
        cmocka_unit_test(test_refcount_too_small),
        cmocka_unit_test(test_traverse_misses_one),
        cmocka_unit_test(test_only_one_of_two),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
