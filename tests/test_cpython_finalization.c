/* From chapter appendix E of The Invisible Janitor; made by make tangle. */
/* test_cpython_finalization.c: what CPython's tests of PEP 442 ask. */
#include "support.h"

/* what the tests from test_finalization are made with */
enum { MOST = 6 };

typedef struct subject {
    gc_object base;
    gc_weakref *weaklist;
    struct subject *ref, *left, *right;
    struct subject *self; /* not counted: to see that it is whole */
    char letter;
    bool suicided;
} subject;

/* What is known of the test that is under way. */
static struct record {
    char del_calls[2 * MOST + 1], tp_del_calls[2 * MOST + 1];
    subject *survivors[MOST];
    size_t survivor_count;
    size_t errors;
    bool cleaning; /* it is over: finalizers do nothing */
} record;

static void add_letter(char *letters, char letter)
{
    size_t n = strlen(letters), i = n;

    assert_true(n < 2 * MOST);
    for (; i > 0 && letters[i - 1] > letter; i--)
        letters[i] = letters[i - 1];
    letters[i] = letter;
    letters[n + 1] = '\0';
}

/* Does a neighbour refer to s, unless it has left the ring? */
static bool is_linked(const subject *neighbour, const subject *link,
                      const subject *s)
{
    return link == (neighbour->suicided ? NULL : s);
}

static bool is_whole(const subject *s)
{
    if (s->self != s || (s->ref != NULL && s->ref != s))
        return false;
    if (s->suicided)
        return s->left == NULL && s->right == NULL;
    return (s->left == NULL || is_linked(s->left, s->left->right, s))
        && (s->right == NULL
            || is_linked(s->right, s->right->left, s));
}

static void come_back(subject *s)
{
    assert_true(record.survivor_count < MOST);
    record.survivors[record.survivor_count++] = gc_new_ref(s);
}

static void break_ring(subject *s)
{
    s->suicided = s->left != NULL;
    gc_clear_field(&s->ref);
    gc_clear_field(&s->left);
    gc_clear_field(&s->right);
}

static void note(char *calls, subject *s, void (*effect)(subject *s))
{
    if (record.cleaning)
        return;
    add_letter(calls, s->letter);
    record.errors += !is_whole(s);
    if (effect != NULL)
        effect(s);
}

static void del(void *object)
{
    note(record.del_calls, object, NULL);
}

static void del_and_come_back(void *object)
{
    note(record.del_calls, object, come_back);
}

static void del_and_break_ring(void *object)
{
    note(record.del_calls, object, break_ring);
}

static void tp_del(void *object)
{
    note(record.tp_del_calls, object, NULL);
}

static void tp_del_and_come_back(void *object)
{
    note(record.tp_del_calls, object, come_back);
}

static const gc_field subject_fields[] = {
    GC_FIELD(subject, ref), GC_FIELD(subject, left),
    GC_FIELD(subject, right), GC_END
};

static gc_type type_with(void (*finalize)(void *object),
                         void (*legacy_finalize)(void *object))
{
    return (gc_type) {
        .name = "subject", .size = sizeof(subject),
        .fields = subject_fields,
        .weaklist_offset = offsetof(subject, weaklist),
        .finalize = finalize, .legacy_finalize = legacy_finalize,
    };
}

static gc_type non_gc_type_with(void (*finalize)(void *object))
{
    return (gc_type) {
        .name = "atom", .size = sizeof(subject),
        .finalize = finalize,
    };
}

static subject *new_subject(gc_heap *heap, const gc_type *type,
                            char letter)
{
    subject *s = gc_new(heap, type);

    s->self = s;
    s->letter = letter;
    return s;
}

static gc_heap *begin(void)
{
    record = (struct record) { .errors = 0 };
    return gc_heap_new(NULL);
}

static void clear_survivors(void)
{
    struct record old = record;

    record.survivor_count = 0; /* they may come back at once */
    for (size_t i = 0; i < old.survivor_count; i++)
        gc_decref(old.survivors[i]);
}

/* Nothing may be left of a test, not even garbage. */
static void end(gc_heap *heap)
{
    assert_int_equal(record.errors, 0);
    record.cleaning = true;
    clear_survivors();
    gc_garbage_clear(heap);
    assert_int_equal(gc_heap_count(heap), 0);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void assert_survivors(const char *letters)
{
    char found[2 * MOST + 1] = "";

    for (size_t i = 0; i < record.survivor_count; i++)
        add_letter(found, record.survivors[i]->letter);
    assert_string_equal(found, letters);
}

static void assert_calls(const char *del_calls,
                         const char *tp_del_calls,
                         const char *survivors)
{
    assert_string_equal(record.del_calls, del_calls);
    assert_string_equal(record.tp_del_calls, tp_del_calls);
    assert_survivors(survivors);
}

static void assert_dead(gc_weakref *ref, bool dead)
{
    void *object = gc_weakref_get(ref);

    assert_int_equal(object == NULL, dead);
    gc_xdecref(object);
}

/* tests from test_finalization */
static void SimpleFinalizationTest_test_simple(void **state)
{
    gc_type simple = type_with(del, NULL);
    gc_heap *heap = begin();
    subject *s = new_subject(heap, &simple, 'a');
    gc_weakref *ref = gc_weakref_new(s, NULL, NULL);

    (void)state;
    gc_decref(s);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(gc_collect(heap), 0);
        assert_calls("a", "", "");
        assert_dead(ref, true);
    }
    gc_decref(ref);
    end(heap);
}

static void SimpleFinalizationTest_test_simple_resurrect(void **state)
{
    gc_type resurrector = type_with(del_and_come_back, NULL);
    gc_heap *heap = begin();
    subject *s = new_subject(heap, &resurrector, 'a');
    gc_weakref *ref = gc_weakref_new(s, NULL, NULL);

    (void)state;
    gc_decref(s);
    gc_collect(heap);
    assert_calls("a", "", "a");
    assert_dead(ref, false);
    clear_survivors();
    gc_collect(heap);
    assert_calls("a", "", "");
    assert_dead(ref, true);
    gc_decref(ref);
    end(heap);
}

static void test_non_gc(void **state)
{
    gc_type non_gc = non_gc_type_with(del);
    gc_heap *heap = begin();
    subject *s = new_subject(heap, &non_gc, 'a');

    (void)state;
    assert_false(gc_is_tracked(s));
    gc_decref(s);
    for (int i = 0; i < 2; i++) {
        gc_collect(heap);
        assert_calls("a", "", "");
    }
    end(heap);
}

static void test_non_gc_resurrect(void **state)
{
    gc_type resurrector = non_gc_type_with(del_and_come_back);
    gc_heap *heap = begin();
    subject *s = new_subject(heap, &resurrector, 'a');

    (void)state;
    assert_false(gc_is_tracked(s));
    gc_decref(s);
    gc_collect(heap);
    assert_calls("a", "", "a");
    clear_survivors();
    gc_collect(heap);
    assert_calls("aa", "", "a");
    end(heap);
}

static subject *new_self_cycle(gc_heap *heap, const gc_type *type,
                               gc_weakref **ref)
{
    subject *s = new_subject(heap, type, 'a');

    gc_set_field(&s->ref, s);
    *ref = gc_weakref_new(s, NULL, NULL);
    return s;
}

/* A ring of one that goes, by itself or by the collector's hand. */
static void check_self_cycle(const gc_type *type, size_t collected)
{
    gc_weakref *ref;
    gc_heap *heap = begin();
    subject *s = new_self_cycle(heap, type, &ref);

    gc_decref(s);
    assert_int_equal(gc_collect(heap), collected);
    for (int i = 0; i < 2; i++) {
        assert_calls("a", "", "");
        assert_dead(ref, true);
        assert_int_equal(gc_collect(heap), 0);
    }
    gc_decref(ref);
    end(heap);
}

static void SelfCycleFinalizationTest_test_simple(void **state)
{
    gc_type simple = type_with(del, NULL);

    (void)state;
    check_self_cycle(&simple, 1);
}

static void test_simple_suicide(void **state)
{
    gc_type suicidal = type_with(del_and_break_ring, NULL);

    (void)state;
    check_self_cycle(&suicidal, 0);
}

static void SelfCycleFinalizationTest_test_simple_resurrect(
    void **state)
{
    gc_type resurrector = type_with(del_and_come_back, NULL);
    gc_weakref *ref;
    gc_heap *heap = begin();
    subject *s = new_self_cycle(heap, &resurrector, &ref);

    (void)state;
    gc_decref(s);
    assert_int_equal(gc_collect(heap), 0);
    assert_calls("a", "", "a");
    assert_dead(ref, true);
    assert_ptr_equal(record.survivors[0]->ref, record.survivors[0]);
    clear_survivors();
    assert_int_equal(gc_collect(heap), 1);
    assert_calls("a", "", "");
    assert_dead(ref, true);
    gc_decref(ref);
    end(heap);
}

enum { SIMPLE, RESURRECTOR, SUICIDAL };
static const char letters[] = "abcdef";

/* Make a ring of n subjects of these kinds, and lose it. */
static void build_chain(gc_heap *heap, const gc_type types[3],
                        const int *kinds, size_t n, gc_weakref **refs)
{
    subject *chain[MOST];

    for (size_t i = 0; i < n; i++) {
        chain[i] = new_subject(heap, &types[kinds[i]], letters[i]);
        refs[i] = gc_weakref_new(chain[i], NULL, NULL);
    }
    for (size_t i = 0; i < n; i++) {
        subject *left = chain[(i + n - 1) % n];
        gc_set_field(&chain[i]->left, left);
        gc_set_field(&left->right, chain[i]);
    }
    for (size_t i = 0; i < n; i++)
        gc_decref(chain[i]);
}

static void drop_dead(gc_weakref **refs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        assert_dead(refs[i], true);
        gc_decref(refs[i]);
    }
}

static void check_chain(const int *kinds, size_t n)
{
    const gc_type types[] = { type_with(del, NULL),
                              type_with(del_and_come_back, NULL),
                              type_with(del_and_break_ring, NULL) };
    char calls[2 * MOST + 1] = "", survivors[2 * MOST + 1] = "";
    gc_weakref *refs[MOST];
    gc_heap *heap = begin();

    for (size_t i = 0; i < n; i++) {
        add_letter(calls, letters[i]);
        if (kinds[i] == RESURRECTOR)
            add_letter(survivors, letters[i]);
    }
    build_chain(heap, types, kinds, n, refs);
    gc_collect(heap);
    assert_calls(calls, "", survivors);
    drop_dead(refs, n);
    clear_survivors();
    gc_collect(heap);
    assert_calls(calls, "", "");
    end(heap);
}

static void test_homogenous(void **state)
{
    static const int kinds[] = { SIMPLE, SIMPLE, SIMPLE };

    (void)state;
    check_chain(kinds, 3);
}

static void test_homogenous_resurrect(void **state)
{
    static const int kinds[] = { RESURRECTOR, RESURRECTOR,
                                 RESURRECTOR };

    (void)state;
    check_chain(kinds, 3);
}

static void test_homogenous_suicidal(void **state)
{
    static const int kinds[] = { SUICIDAL, SUICIDAL, SUICIDAL };

    (void)state;
    check_chain(kinds, 3);
}

static void test_heterogenous_suicidal_one(void **state)
{
    static const int kinds[] = { SUICIDAL, SIMPLE, SUICIDAL, SIMPLE };

    (void)state;
    check_chain(kinds, 4);
}

static void test_heterogenous_suicidal_two(void **state)
{
    static const int kinds[] = { SUICIDAL, SUICIDAL, SIMPLE, SIMPLE };

    (void)state;
    check_chain(kinds, 4);
}

static void test_heterogenous_resurrect_one(void **state)
{
    static const int kinds[] = { RESURRECTOR, SIMPLE,
                                 RESURRECTOR, SIMPLE };

    (void)state;
    check_chain(kinds, 4);
}

static void test_heterogenous_resurrect_two(void **state)
{
    static const int kinds[] = { RESURRECTOR, SIMPLE, SUICIDAL,
                                 RESURRECTOR, SIMPLE, SUICIDAL };

    (void)state;
    check_chain(kinds, 6);
}

static void test_heterogenous_resurrect_three(void **state)
{
    static const int kinds[] = { RESURRECTOR, RESURRECTOR, SIMPLE,
                                 SIMPLE, SUICIDAL, SUICIDAL };

    (void)state;
    check_chain(kinds, 6);
}

static void test_legacy(void **state)
{
    gc_type legacy = type_with(del, tp_del);
    gc_heap *heap = begin();
    subject *s = new_subject(heap, &legacy, 'a');
    gc_weakref *ref = gc_weakref_new(s, NULL, NULL);

    (void)state;
    gc_decref(s);
    for (int i = 0; i < 2; i++) {
        gc_collect(heap);
        assert_calls("a", "a", "");
        assert_dead(ref, true);
    }
    gc_decref(ref);
    end(heap);
}

static void test_legacy_resurrect(void **state)
{
    gc_type resurrector = type_with(del, tp_del_and_come_back);
    gc_heap *heap = begin();
    subject *s = new_subject(heap, &resurrector, 'a');
    gc_weakref *ref = gc_weakref_new(s, NULL, NULL);

    (void)state;
    gc_decref(s);
    gc_collect(heap);
    assert_calls("a", "a", "a");
    assert_dead(ref, true);
    clear_survivors();
    gc_collect(heap);
    assert_calls("a", "aa", "a");
    assert_dead(ref, true);
    gc_decref(ref);
    end(heap);
}

static void test_legacy_self_cycle(void **state)
{
    gc_type legacy = type_with(del, tp_del);
    gc_weakref *ref;
    gc_heap *heap = begin();
    subject *s = new_self_cycle(heap, &legacy, &ref);

    (void)state;
    gc_decref(s);
    assert_int_equal(gc_collect(heap), 1);
    assert_calls("", "", "");
    assert_int_equal(gc_garbage_length(heap), 1);
    assert_ptr_equal(gc_garbage_item(heap, 0), s);
    assert_dead(ref, false);
    gc_clear_field(&s->ref);
    record.cleaning = true;
    gc_garbage_clear(heap);
    assert_dead(ref, true);
    gc_decref(ref);
    end(heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* the list of tests from test_finalization */
        cmocka_unit_test(SimpleFinalizationTest_test_simple),
        cmocka_unit_test(SimpleFinalizationTest_test_simple_resurrect),
        cmocka_unit_test(test_non_gc),
        cmocka_unit_test(test_non_gc_resurrect),
        cmocka_unit_test(SelfCycleFinalizationTest_test_simple),
        cmocka_unit_test(SelfCycleFinalizationTest_test_simple_resurrect),
        cmocka_unit_test(test_simple_suicide),
        cmocka_unit_test(test_homogenous),
        cmocka_unit_test(test_homogenous_resurrect),
        cmocka_unit_test(test_homogenous_suicidal),
        cmocka_unit_test(test_heterogenous_suicidal_one),
        cmocka_unit_test(test_heterogenous_suicidal_two),
        cmocka_unit_test(test_heterogenous_resurrect_one),
        cmocka_unit_test(test_heterogenous_resurrect_two),
        cmocka_unit_test(test_heterogenous_resurrect_three),
        cmocka_unit_test(test_legacy),
        cmocka_unit_test(test_legacy_resurrect),
        cmocka_unit_test(test_legacy_self_cycle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
