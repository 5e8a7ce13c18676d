/* From chapter 1 of The Invisible Janitor; made by make tangle. */
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
    gc_var_object *v = gc_new_var(heap, &numbers_type, 1000);
    long *items = gc_items(v);

    (void)state;
    assert_int_equal(v->length, 1000);
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
    assert_null(gc_new_var(heap, &numbers_type, SIZE_MAX / 8 + 1));
    assert_null(gc_new_var(heap, &numbers_type, PTRDIFF_MAX / 8));
    assert_null(gc_new_var(heap, &node_type, 1));
    assert_int_equal(gc_heap_count(heap), 0);
    assert_int_equal(gc_heap_bytes(heap), bytes);
    gc_heap_free(heap);
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
    assert_non_null(strstr(t.text, "leaked: ticket\n"));
    assert_non_null(strstr(t.text, "leaked: node n\n"));
}

static void test_many_leaks_are_counted(void **state)
{
    transcript t = { "" };
    gc_options options = { .sink = { remember, &t } };
    gc_heap *heap = gc_heap_new(&options);

    (void)state;
    for (int i = 0; i < 12; i++)
        new_node(heap, "n");
    assert_int_equal(gc_heap_free(heap), 12);
    assert_non_null(strstr(t.text, "leaked: and 2 more\n"));
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

/* The number of the object in whose line the text stands. */
static unsigned number_in(const char *dump, const char *text)
{
    const char *line = strstr(dump, text);
    unsigned number;

    assert_non_null(line);
    while (line > dump && line[-1] != '\n')
        line--;
    assert_int_equal(sscanf(line, "object %u ", &number), 1);
    return number;
}

static void test_dump(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    node *a = new_node(heap, "a"), *b = new_node(heap, "\"b\n\\");
    gc_variable variables[] = {
        { "v", b }, { "x", heap }, { "y", NULL }, { NULL, NULL } };
    char text[1000] = "", end[200];
    FILE *out = fmemopen(text, sizeof text, "w");

    (void)state;
    a->right = b;
    gc_dump(heap, variables, out);
    fclose(out);
    a->right = NULL;
    unsigned one = number_in(text, "type=node name=\"a\"");
    unsigned two = number_in(text, "name=\"\\\"b \\\\\"");
    snprintf(end, sizeof end, "\nref %u right %u\nvar v %u\n"
        "object x type=gone state=dead\nvar x x\n", one, two, two);
    assert_non_null(strstr(text, end));
    let_go(a);
    let_go(b);
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

static void free_twice(void)
{
    node *n = new_node(gc_heap_new(NULL), "n");

    let_go(n);
    let_go(n);
}

static void test_free_twice(void **state)
{
    (void)state;
    assert_stops(free_twice, "janitor: node: ");
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* the list of tests of objects */
        cmocka_unit_test(test_new_object_is_empty),
        cmocka_unit_test(test_items),
        cmocka_unit_test(test_impossible_lengths),
        cmocka_unit_test(test_heaps_are_apart),
        cmocka_unit_test(test_leaks_are_reported),
        cmocka_unit_test(test_many_leaks_are_counted),
        cmocka_unit_test(test_type_errors),
        cmocka_unit_test(test_dump),
        cmocka_unit_test(test_half_an_allocator),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_free_twice),
        cmocka_unit_test(test_bad_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
