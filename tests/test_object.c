/* From chapters 1, 2, 4 and 10 of The Invisible Janitor; made by make tangle. */
/* test_object.c: the tests of Chapter 1. */
#include "support.h"

/* tests of objects */
static void test_new_object_is_empty(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    node *n = gc_new(heap, &node_type);

    (void)state;
    assert_ptr_equal(n->base.type, &node_type);
    assert_null(n->name);
    assert_null(n->left);
    assert_null(n->right);
    assert_ptr_equal(gc_heap_of(n), heap);
    assert_int_equal((uintptr_t)n % _Alignof(max_align_t), 0);
    let_go(n);
    assert_int_equal(gc_heap_free(heap), 0);
}

static const gc_type numbers_type = {
    .name = "numbers", .size = sizeof(gc_var_object),
    .item_size = sizeof(long),
};

static void test_items(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    gc_var_object *v = gc_new_var(heap, &numbers_type, 3000);
    long *items = gc_items(v);

    (void)state;
    assert_int_equal(v->length, 3000);
    assert_ptr_equal(items, v + 1);
    for (size_t i = 0; i < v->length; i++)
        assert_int_equal(items[i], 0);
    memset(items, 1, v->length * sizeof *items);
    let_go(v);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_impossible_lengths(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    size_t bytes = gc_heap_bytes(heap);

    (void)state;
    assert_null(gc_new_var(heap, &numbers_type, SIZE_MAX));
    assert_null(gc_new_var(heap, &numbers_type,
                           SIZE_MAX / sizeof(long) + 1));
    assert_null(gc_new_var(heap, &numbers_type,
                           PTRDIFF_MAX / sizeof(long)));
    assert_null(gc_new_var(heap, &node_type, 1));
    assert_int_equal(gc_heap_count(heap), 0);
    assert_int_equal(gc_heap_bytes(heap), bytes);
    gc_heap_free(heap);
}

static const gc_type bytes_type = {
    .name = "bytes", .size = sizeof(gc_var_object), .item_size = 1,
}, plain_type = {
    .name = "plain", .size = sizeof(gc_object),
};

static void test_every_size(void **state)
{
    budget b = { .left = SIZE_MAX };
    gc_options options = { .allocator = on_budget(&b) };
    gc_heap *heap = gc_heap_new(&options);

    size_t before, least = 0;

    (void)state;
    for (size_t length = 0; length < 100; length++) {
        before = b.bytes;
        gc_var_object *v = gc_new_var(heap, &bytes_type, length);
        if (length == 0)
            least = b.bytes - before;
        assert_int_equal(v->length, length);
        /* compare the bytes that it took */
        assert_in_range(b.bytes, before, before + 8192 + least);
        assert_int_equal(gc_heap_bytes(heap), b.bytes);
        let_go(v);
        assert_int_equal(gc_heap_bytes(heap), b.bytes);
    }
    gc_new_var(heap, &bytes_type, 77);
    assert_int_equal(gc_heap_free(heap), 1);
    assert_int_equal(b.blocks, 0);
}

static void test_heaps_are_apart(void **state)
{
    gc_heap *one = gc_heap_new(NULL), *two = gc_heap_new(NULL);
    size_t bytes = gc_heap_bytes(two);
    node *n = new_node(two, "n");

    (void)state;
    assert_int_equal(gc_heap_count(one), 0);
    assert_int_equal(gc_heap_count(two), 1);
    assert_true(gc_heap_bytes(two) >= bytes + sizeof *n);
    assert_int_equal(gc_heap_free(one), 0);
    assert_string_equal(n->name, "n");
    let_go(n);
    assert_int_equal(gc_heap_count(two), 0);
    gc_heap_free(two);
}

typedef struct ticket {
    gc_object base;
    int *torn; /* counts the tickets torn up */
} ticket;

static void tear_up(void *object)
{
    ++*((ticket *)object)->torn;
}

static const gc_type ticket_type = {
    .name = "ticket", .size = sizeof(ticket), .destroy = tear_up,
};

static void test_leaks_are_reported(void **state)
{
    transcript t = { "" };
    gc_options options = { .sink = { remember, &t } };
    gc_heap *heap = gc_heap_new(&options);
    ticket *used = gc_new(heap, &ticket_type);
    ticket *lost = gc_new(heap, &ticket_type);
    int torn = 0;

    (void)state;
    used->torn = lost->torn = &torn;
    new_node(heap, "n");
    let_go(used);
    assert_int_equal(torn, 1);
    assert_int_equal(gc_heap_free(heap), 2);
    assert_int_equal(torn, 2);
    if (strncmp(t.text, "leaked: t", 9) == 0)
        assert_string_equal(t.text, "leaked: ticket\nleaked: node n\n");
    else
        assert_string_equal(t.text, "leaked: node n\nleaked: ticket\n");
}

static void test_many_leaks_are_counted(void **state)
{
    transcript t = { "" };
    char expected[500] = "";
    gc_options options = { .sink = { remember, &t } };
    gc_heap *heap = gc_heap_new(&options);

    (void)state;
    size_t bytes = gc_heap_bytes(heap);
    for (int i = 0; i < 12; i++)
        new_node(heap, "n");
    bytes = gc_heap_bytes(heap) - bytes;
    assert_int_equal(gc_heap_free(heap), 12);
    for (int i = 0; i < 10; i++)
        strcat(expected, "leaked: node n\n");
    strcat(expected, "leaked: and 2 more\n");
    /* expect the rows of what was leaked */
    const char *row = strstr(t.text, "12 node, ");
    assert_non_null(row);
    bytes = strtoul(row + strlen("12 node, "), NULL, 10);
    assert_in_range(bytes, 12 * sizeof(node), 24 * sizeof(node));
    snprintf(expected + strlen(expected), 60,
             "leaked: in all 12 node, %zu bytes\n", bytes);
    assert_string_equal(t.text, expected);
    (void)bytes;
}

static void test_long_names_are_cut(void **state)
{
    transcript t = { "" };
    gc_options options = { .sink = { remember, &t } };
    gc_heap *heap = gc_heap_new(&options);
    static char name[300];
    static gc_type type;

    (void)state;
    memset(name, 'x', sizeof name - 1);
    type = node_type, type.name = name;
    gc_new(heap, &type);
    assert_int_equal(gc_heap_free(heap), 1);
    size_t length = strspn(t.text + strlen("leaked: "), "x");
    assert_in_range(length, 40, 160);
    assert_string_equal(t.text + strlen("leaked: ") + length, "\n");
}

static void *newborn;

static void have_a_child(void *object)
{
    newborn = gc_new(gc_heap_of(object), &node_type);
}

static void test_no_births_while_closing(void **state)
{
    gc_type type = node_type;
    gc_heap *heap = gc_heap_new(NULL);

    (void)state;
    type.destroy = have_a_child;
    newborn = gc_new(heap, &type);
    assert_int_equal(gc_heap_free(heap), 1);
    assert_null(newborn);
}

static void close_the_heap(void *object)
{
    assert_int_equal(gc_heap_free(gc_heap_of(object)), SIZE_MAX);
}

static void test_no_closing_while_destroying(void **state)
{
    gc_type type = plain_type;
    gc_heap *heap = gc_heap_new(NULL);

    (void)state;
    type.destroy = close_the_heap;
    let_go(gc_new(heap, &type));
    assert_int_equal(gc_heap_count(heap), 0);
    assert_non_null(gc_new(heap, &type));
    assert_int_equal(gc_heap_free(heap), 1);
}

static void test_type_errors(void **state)
{
    gc_type t = node_type, u = numbers_type;
    gc_field inside[] = { { "type", 0 }, GC_END };
    gc_field outside[] = { { "far", sizeof(node) }, GC_END };
    gc_field askew[] = { { "askew", sizeof(node) - 9 }, GC_END };
    gc_field twice[] = { GC_FIELD(node, left),
                         GC_FIELD(node, left), GC_END };

    (void)state;
    assert_null(gc_type_error(&t));
    assert_null(gc_type_error(&u));
    t.fields = inside, assert_non_null(gc_type_error(&t));
    t.fields = outside, assert_non_null(gc_type_error(&t));
    t.fields = askew, assert_non_null(gc_type_error(&t));
    t.fields = twice, assert_non_null(gc_type_error(&t));
    t = node_type, t.name = NULL, assert_non_null(gc_type_error(&t));
    t = node_type, t.name = "a b", assert_non_null(gc_type_error(&t));
    t = node_type, t.size = 1, assert_non_null(gc_type_error(&t));
    u.item_refs = true, assert_null(gc_type_error(&u));
    u.size++, assert_non_null(gc_type_error(&u));
    u.size--, u.item_size = 2, assert_non_null(gc_type_error(&u));
}

static void test_dump(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    node *n = new_node(heap, "n");
    void *plain = gc_new(heap, &plain_type);
    gc_variable variables[] = {
        { "v", n }, { "x", heap }, { "y", NULL }, { NULL, NULL } };

    (void)state;
    n->right = plain;
    assert_dump(heap, variables,
        "object n type=node name=\"n\""
        /* what a dump notes about a new node */
        " refcount=1 generation=0"
        "\nobject plain type=plain"
        /* what a dump notes about a new atom */
        " refcount=1"
        "\nobject x type=gone state=dead\nref n right plain\n"
        "var v n\nvar x x\n");
    n->right = NULL;
    let_go(n), let_go(plain);
    gc_heap_free(heap);
}

static const gc_type array_type = {
    .name = "array", .size = sizeof(gc_var_object),
    .item_size = sizeof(gc_object *), .item_refs = true,
};

static void test_dump_of_items(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    gc_var_object *array = gc_new_var(heap, &array_type, 3);
    gc_object *plain = gc_new(heap, &plain_type);

    (void)state;
    memcpy((gc_object **)gc_items(array) + 2, &plain, sizeof plain);
    assert_dump(heap, NULL, "object array type=array"
        /* what a dump notes about a new node */
        " refcount=1 generation=0"
        "\nobject plain type=plain"
        /* what a dump notes about a new atom */
        " refcount=1"
        "\nref array [2] plain\n");
    memset(gc_items(array), 0, 3 * sizeof plain);
    let_go(array), let_go(plain);
    gc_heap_free(heap);
}

static void test_dump_quotes(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    gc_type type = { .name = "quoted", .size = sizeof(node),
                     .repr = node_repr };
    node *n = gc_new(heap, &type);
    FILE *file = tmpfile();

    (void)state;
    n->name = "\"b\n\\";
    gc_dump(heap, NULL, file);
    assert_wrote(file, "object 0 type=quoted name=\"\\\"b \\\\\""
        /* what a dump notes about a new atom */
        " refcount=1"
        "\n");
    let_go(n);
    gc_heap_free(heap);
}

static void test_half_an_allocator(void **state)
{
    budget b = { .left = 1 };
    gc_options options = { .allocator = on_budget(&b) };

    (void)state;
    options.allocator.release = NULL;
    assert_null(gc_heap_new(&options));
    assert_int_equal(b.left, 1);
}

static void free_twice(void)
{
    node *n = new_node(gc_heap_new(NULL), "n");

    let_go(n);
    let_go(n);
}

static void test_free_twice(void **state)
{
    (void)state;
    assert_stops(free_twice, "janitor: node n: ");
}

static void use_a_bad_type(void)
{
    gc_new(gc_heap_new(NULL), &(gc_type) { .name = "tiny", .size = 1 });
}

static void test_bad_type(void **state)
{
    (void)state;
    assert_stops(use_a_bad_type, "janitor: type tiny: its size");
}

static void tie(node **nodes)
{
    for (int i = 0; i < 20; i++) {
        nodes[i]->left = i % 3 ? nodes[i * 7 % 20] : NULL;
        nodes[i]->right = i % 4 ? nodes[i * i % 20] : NULL;
    }
}

static void untie(node **nodes)
{
    for (int i = 0; i < 20; i++)
        nodes[i]->left = nodes[i]->right = NULL;
    for (int i = 0; i < 20; i++)
        let_go(nodes[i]);
}

static int compare_pairs(const void *one, const void *other)
{
    return memcmp(one, other, 2);
}

static size_t read_referents(FILE *file, unsigned char (*pairs)[2])
{
    size_t id, to, number, length = 0;
    unsigned char names[100] = { 0 };
    char line[100];

    rewind(file);
    while (fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "object %zu type=node name=\"%zu",
                   &id, &number) == 2 && id < 100)
            names[id] = (unsigned char)number;
        else if (sscanf(line, "ref %zu %*s %zu", &id, &to) == 2) {
            pairs[length][0] = names[id];
            pairs[length++][1] = names[to];
        }
    return length;
}

static size_t find_referents(gc_heap *heap, unsigned char (*pairs)[2])
{
    FILE *file = tmpfile();
    char names[20][3];
    node *nodes[20];

    for (int i = 0; i < 20; i++) {
        sprintf(names[i], "%d", i);
        nodes[i] = new_node(heap, names[i]);
    }
    tie(nodes);
    gc_dump(heap, NULL, file);
    untie(nodes);
    size_t length = read_referents(file, pairs);
    fclose(file);
    return length;
}

static void test_referents(void **state)
{
    static const unsigned char expected[] = {
#include "golden/referents.txt"
    };
    unsigned char pairs[100][2];
    gc_heap *heap = gc_heap_new(NULL);
    size_t length = find_referents(heap, pairs);

    (void)state;
    qsort(pairs, length, sizeof *pairs, compare_pairs);
    assert_int_equal(2 * length, sizeof expected);
    assert_memory_equal(pairs, expected, sizeof expected);
    assert_int_equal(gc_heap_free(heap), 0);
}

static bool make_two(budget *b)
{
    gc_options options = { .allocator = on_budget(b) };
    gc_heap *heap = gc_heap_new(&options);
    if (heap == NULL)
        return false;
    node *one = new_node(heap, "one");
    void *two = gc_new_var(heap, &numbers_type, 7);
    size_t made = (size_t)(one != NULL) + (size_t)(two != NULL);

    assert_int_equal(gc_heap_count(heap), made);
    if (one != NULL)
        let_go(one);
    assert_int_equal(gc_heap_free(heap), two != NULL);
    return made == 2;
}

static void test_out_of_memory(void **state)
{
    bool done = false;

    (void)state;
    for (size_t n = 0; !done; n++) {
        budget b = { .left = n };
        done = make_two(&b);
        assert_int_equal(b.blocks, 0);
    }
}

static gc_object *couple[2];

static void prepare_nothing(gc_heap *heap)
{
    (void)heap;
}

static bool make_couple(gc_heap *heap)
{
    couple[0] = gc_new(heap, &node_type);
    couple[1] = gc_new_var(heap, &bytes_type, 5);
    for (int i = 0; i < 2; i++)
        if (couple[i] != NULL && couple[1 - i] == NULL)
            let_go(couple[i]);
    return couple[0] != NULL && couple[1] != NULL;
}

static void look_at_couple(bool succeeded)
{
    if (!succeeded)
        return;
    assert_ptr_equal(couple[0]->type, &node_type);
    assert_int_equal(((gc_var_object *)couple[1])->length, 5);
    let_go(couple[0]), let_go(couple[1]);
}

static void test_one_refusal(void **state)
{
    (void)state;
    fail_each_in_turn(&(trial) { prepare_nothing, make_couple,
                                 look_at_couple });
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* the list of tests of objects */
        cmocka_unit_test(test_new_object_is_empty),
        cmocka_unit_test(test_items),
        cmocka_unit_test(test_impossible_lengths),
        cmocka_unit_test(test_every_size),
        cmocka_unit_test(test_long_names_are_cut),
        cmocka_unit_test(test_no_births_while_closing),
        cmocka_unit_test(test_no_closing_while_destroying),
        cmocka_unit_test(test_heaps_are_apart),
        cmocka_unit_test(test_leaks_are_reported),
        cmocka_unit_test(test_many_leaks_are_counted),
        cmocka_unit_test(test_type_errors),
        cmocka_unit_test(test_dump),
        cmocka_unit_test(test_dump_of_items),
        cmocka_unit_test(test_dump_quotes),
        cmocka_unit_test(test_free_twice),
        cmocka_unit_test(test_bad_type),
        cmocka_unit_test(test_referents),
        cmocka_unit_test(test_half_an_allocator),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_one_refusal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
