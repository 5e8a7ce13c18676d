/* From chapter appendix E of The Invisible Janitor; made by make tangle. */
/* test_cpython_weakref.c: CPython's tests of weak references. */
#include "support.h"
#include <errno.h>

/* the things of test_weakref */
typedef struct thing {
    gc_object base;
    gc_weakref *weaklist;
    int number;
    struct thing *kind, *me, *other;
    gc_weakref *ref;
} thing;

static const gc_field thing_fields[] = {
    GC_FIELD(thing, kind), GC_FIELD(thing, me), GC_FIELD(thing, other),
    GC_FIELD(thing, ref), GC_END
};

static const gc_type thing_type = {
    .name = "thing", .size = sizeof(thing), .fields = thing_fields,
    .weaklist_offset = offsetof(thing, weaklist),
};

static thing *new_thing(gc_heap *heap)
{
    return gc_new(heap, &thing_type);
}

typedef struct row {
    gc_var_object base;
    gc_weakref *weaklist;
} row;

static const gc_type row_type = {
    .name = "row", .size = sizeof(row),
    .item_size = sizeof(gc_object *), .item_refs = true,
    .weaklist_offset = offsetof(row, weaklist),
};

static const gc_type atom_type = {
    .name = "atom", .size = sizeof(thing),
    .weaklist_offset = offsetof(thing, weaklist),
};

enum { SORTS = 3 };

/* A thing, a row, an atom. */
static void *new_sort(gc_heap *heap, int sort)
{
    static const gc_type *const types[SORTS] = {
        &thing_type, &row_type, &atom_type
    };

    return gc_new_var(heap, types[sort], sort == 1 ? 3 : 0);
}

static thing *new_class(gc_heap *heap)
{
    thing *c = new_thing(heap);

    gc_set_field(&c->me, c);
    return c;
}

static thing *new_instance(gc_heap *heap, thing *kind)
{
    thing *t = new_thing(heap);

    gc_set_field(&t->kind, kind);
    return t;
}

static void numbered_repr(const void *object, char *text, size_t size)
{
    snprintf(text, size, "%d", ((const thing *)object)->number);
}

static bool numbered_equal(void *object, void *other)
{
    thing *a = object, *b = other;

    return a->base.type == b->base.type && a->number == b->number;
}

static bool numbered_hash(void *object, size_t *hash)
{
    *hash = (size_t)((thing *)object)->number;
    return true;
}

static const gc_type numbered_type = {
    .name = "numbered", .size = sizeof(thing), .fields = thing_fields,
    .weaklist_offset = offsetof(thing, weaklist),
    .repr = numbered_repr,
    .equal = numbered_equal, .hash = numbered_hash,
};

static thing *new_numbered(gc_heap *heap, int number)
{
    thing *t = gc_new(heap, &numbered_type);

    t->number = number;
    return t;
}

/* the callbacks of test_weakref */
static int calls;

static void count_call(gc_weakref *ref, void *closure)
{
    (void)closure;
    assert_null(gc_weakref_get(ref));
    calls++;
}

static void assert_calls(int expected)
{
    int number = calls;

    calls = 0;
    assert_int_equal(number, expected);
}

static char heard[200];

static void say(void *text)
{
    strcat(strcat(heard, text), " ");
}

static void assert_heard(const char *text)
{
    char copy[sizeof heard];

    strcpy(copy, heard);
    heard[0] = '\0';
    assert_string_equal(copy, text);
}

/* Is this, or NULL, what calling the reference would return? */
static bool refers_to(const gc_weakref *ref, const void *object)
{
    void *referent = gc_weakref_get(ref);
    bool same = referent == object;

    gc_xdecref(referent);
    return same;
}

/* tests from test_weakref */
static void test_basic_ref(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);

    (void)state;
    for (int i = 0; i < SORTS; i++) {
        void *o = new_sort(heap, i);
        gc_weakref *ref = gc_weakref_new(o, NULL, NULL);
        assert_int_equal(gc_refcount(o), 1);
        void *again = gc_weakref_get(ref);
        assert_ptr_equal(again, o);
        assert_int_equal(gc_refcount(o), 2);
        gc_decref(again);
        gc_decref(o);
        assert_true(refers_to(ref, NULL));
        gc_decref(ref);
    }
    assert_int_equal(gc_heap_free(heap), 0);
}

static void assert_repr(const gc_weakref *ref, const char *expected)
{
    char text[40];

    ref->base.type->repr(ref, text, sizeof text);
    assert_string_equal(text, expected);
}

static void test_ref_repr(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *plain = new_thing(heap), *named = new_numbered(heap, 7);
    gc_weakref *one = gc_weakref_new(plain, NULL, NULL);
    gc_weakref *two = gc_weakref_new(named, NULL, NULL);

    (void)state;
    assert_repr(one, "to thing");
    assert_repr(two, "to numbered 7");
    gc_decref(plain), gc_decref(named);
    assert_repr(one, "dead");
    assert_repr(two, "dead");
    gc_decref(one), gc_decref(two);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_basic_callback(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);

    (void)state;
    for (int i = 0; i < SORTS; i++) {
        void *o = new_sort(heap, i);
        gc_weakref *ref = gc_weakref_new(o, count_call, NULL);
        assert_calls(0);
        gc_decref(o);
        assert_calls(1);
        assert_true(refers_to(ref, NULL));
        gc_decref(ref);
        assert_calls(0);
    }
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_multiple_callbacks(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *o = new_thing(heap);
    gc_weakref *one = gc_weakref_new(o, count_call, NULL);
    gc_weakref *two = gc_weakref_new(o, count_call, NULL);

    (void)state;
    gc_decref(o);
    assert_true(refers_to(one, NULL));
    assert_true(refers_to(two, NULL));
    assert_calls(2);
    gc_decref(one), gc_decref(two);
    assert_int_equal(gc_heap_free(heap), 0);
}

static gc_weakref *the_first;

static void ask_the_first(gc_weakref *ref, void *closure)
{
    count_call(ref, closure);
    assert_null(gc_weakref_get(the_first));
    assert_true(gc_weakref_get_callback(the_first) == NULL);
}

static void test_multiple_selfref_callbacks(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *o = new_thing(heap);
    gc_weakref *second;

    (void)state;
    the_first = gc_weakref_new(o, ask_the_first, NULL);
    second = gc_weakref_new(o, ask_the_first, NULL);
    gc_decref(o);
    assert_calls(2);
    gc_decref(the_first), gc_decref(second);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void read_number(void *object, void *number)
{
    *(int *)number = ((thing *)object)->number;
}

static void test_proxy_ref(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *o = new_numbered(heap, 1), *p = new_thing(heap);
    gc_weakref *one = gc_proxy_new(o, count_call, NULL);
    gc_weakref *two = gc_proxy_new(o, count_call, NULL);
    gc_weakref *three = gc_proxy_new(p, NULL, NULL);
    int number = 0;

    (void)state;
    assert_true(gc_proxy_call(one, read_number, &number));
    assert_int_equal(number, 1);
    gc_decref(o), gc_decref(p);
    assert_false(gc_proxy_call(one, read_number, &number));
    assert_false(gc_proxy_call(two, read_number, &number));
    assert_false(gc_proxy_call(three, read_number, &number));
    assert_calls(2);
    gc_decref(one), gc_decref(two), gc_decref(three);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_ref_reuse(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);

    (void)state;
    for (int proxy_first = 0; proxy_first < 2; proxy_first++) {
        thing *o = new_thing(heap);
        gc_weakref *one = NULL, *proxy = NULL;
        if (!proxy_first)
            one = gc_weakref_new(o, NULL, NULL);
        proxy = gc_proxy_new(o, NULL, NULL);
        if (proxy_first)
            one = gc_weakref_new(o, NULL, NULL);
        gc_weakref *two = gc_weakref_new(o, NULL, NULL);
        assert_ptr_equal(one, two);
        assert_int_equal(gc_getweakrefcount(o), 2);
        gc_decref(proxy);
        assert_int_equal(gc_getweakrefcount(o), 1);
        gc_decref(one), gc_decref(two);
        gc_decref(o);
    }
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_proxy_reuse(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *o = new_thing(heap);
    gc_weakref *one = gc_proxy_new(o, NULL, NULL);
    gc_weakref *ref = gc_weakref_new(o, NULL, NULL);
    gc_weakref *two = gc_proxy_new(o, NULL, NULL);

    (void)state;
    assert_ptr_equal(one, two);
    assert_ptr_not_equal(one, ref);
    gc_decref(one), gc_decref(two), gc_decref(ref), gc_decref(o);
    assert_int_equal(gc_heap_free(heap), 0);
}

typedef gc_weakref *make_ref(void *object,
    gc_weakref_callback *callback, void *closure);

static void check_shared(make_ref *make)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *o = new_numbered(heap, 1), *unused = new_thing(heap);

    for (int i = 0; i < 4; i++) {
        gc_weakref *one = make(o, NULL, i & 1 ? unused : NULL);
        gc_weakref *two = make(o, NULL, i & 2 ? unused : NULL);
        assert_ptr_equal(one, two);
        assert_int_equal(gc_refcount(one), 2);
        gc_decref(one), gc_decref(two);
        assert_int_equal(gc_getweakrefcount(o), 0);
    }
    assert_int_equal(gc_refcount(unused), 1);
    gc_decref(o), gc_decref(unused);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_shared_ref_without_callback(void **state)
{
    (void)state;
    check_shared(gc_weakref_new);
}

static void test_shared_proxy_without_callback(void **state)
{
    (void)state;
    check_shared(gc_proxy_new);
}

static void drop_oneself(void *object, void *variable)
{
    gc_clear_field(variable);
    assert_int_equal(gc_refcount(object), 1);
    ((thing *)object)->number++;
    calls++;
}

static void test_proxy_iter(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *o = new_thing(heap);
    gc_weakref *proxy = gc_proxy_new(o, NULL, NULL);

    (void)state;
    assert_true(gc_proxy_call(proxy, drop_oneself, &o));
    assert_calls(1);
    assert_int_equal(gc_heap_count(heap), 1);
    gc_decref(proxy);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_proxy_hash(void **state)
{
    const gc_type unhashable = {
        .name = "unhashable", .size = sizeof(thing),
        .weaklist_offset = offsetof(thing, weaklist),
        .equal = numbered_equal,
    };
    gc_heap *heap = gc_heap_new(NULL);
    thing *o = new_numbered(heap, 42), *u = gc_new(heap, &unhashable);
    gc_weakref *p = gc_proxy_new(o, NULL, NULL);
    gc_weakref *q = gc_proxy_new(u, NULL, NULL);
    size_t hash;

    (void)state;
    assert_true(gc_hash(o, &hash));
    assert_false(gc_hash(p, &hash));
    assert_false(gc_hash(u, &hash));
    assert_false(gc_hash(q, &hash));
    gc_decref(o), gc_decref(u), gc_decref(p), gc_decref(q);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_getweakrefcount(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    node *n = new_node(heap, "n");
    thing *o = new_thing(heap);
    gc_weakref *ref = gc_weakref_new(o, NULL, NULL);
    gc_weakref *told = gc_weakref_new(o, count_call, NULL);

    (void)state;
    assert_int_equal(gc_getweakrefcount(o), 2);
    gc_weakref *proxy = gc_proxy_new(o, NULL, NULL);
    gc_weakref *other = gc_proxy_new(o, count_call, NULL);
    assert_int_equal(gc_getweakrefcount(o), 4);
    gc_decref(ref), gc_decref(told), gc_decref(proxy);
    assert_int_equal(gc_getweakrefcount(o), 1);
    gc_decref(other);
    assert_int_equal(gc_getweakrefcount(o), 0);
    assert_int_equal(gc_getweakrefcount(n), 0);
    gc_decref(o), gc_decref(n);
    assert_calls(0);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_getweakrefs(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    node *n = new_node(heap, "n");
    gc_weakref *found[2];

    (void)state;
    for (int i = 0; i < 2; i++) {
        thing *o = new_thing(heap);
        gc_weakref *refs[2];
        refs[0] = gc_weakref_new(o, count_call, NULL);
        refs[1] = gc_weakref_new(o, count_call, NULL);
        gc_decref(refs[i]);
        assert_int_equal(gc_getweakrefs(o, found, 2), 1);
        assert_ptr_equal(found[0], refs[1 - i]);
        gc_decref(refs[1 - i]);
        assert_int_equal(gc_getweakrefs(o, found, 2), 0);
        gc_decref(o);
    }
    assert_int_equal(gc_getweakrefs(n, found, 2), 0);
    gc_decref(n);
    assert_int_equal(gc_heap_free(heap), 0);
}

static gc_weakref *table;

static void remove_from_table(gc_weakref *ref, void *closure)
{
    count_call(ref, closure);
    assert_ptr_equal(ref, table);
    gc_clear_field(&table);
    errno = ENOENT;
}

static void fail_with_an_object(gc_heap *heap)
{
    thing *t = new_thing(heap);

    table = gc_weakref_new(t, remove_from_table, NULL);
    errno = EDOM;
    gc_decref(t);
}

static void test_callbacks_protected(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);

    (void)state;
    for (int i = 0; i < 2; i++) {
        errno = 0;
        fail_with_an_object(heap);
        assert_int_equal(errno, EDOM);
        assert_calls(1);
        assert_int_equal(gc_heap_count(heap), 0);
    }
    assert_int_equal(gc_heap_free(heap), 0);
}

static void collect_all(gc_weakref *ref, void *closure)
{
    gc_heap *heap = gc_heap_of(ref);

    count_call(ref, closure);
    assert_int_equal(gc_collect(heap), 0);
}

static void test_sf_bug_840829(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *c = new_thing(heap);
    gc_weakref *ref = gc_weakref_new(c, collect_all, NULL);

    (void)state;
    gc_decref(c);
    assert_calls(1);
    gc_decref(ref);
    thing *c1 = new_thing(heap), *c2 = new_thing(heap);
    c1->other = new_thing(heap);
    ref = gc_weakref_new(c1->other, collect_all, NULL);
    c2->other = c1;
    gc_decref(c2);
    assert_calls(1);
    assert_int_equal(gc_heap_count(heap), 1);
    gc_decref(ref);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_callback_in_cycle(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *j = new_class(heap), *ii = new_class(heap);
    thing *i = new_instance(heap, ii);

    (void)state;
    gc_set_field(&i->other, j);
    i->ref = gc_weakref_new(j, count_call, i);
    gc_decref(i), gc_decref(j), gc_decref(ii);
    assert_int_equal(gc_heap_count(heap), 4);
    assert_int_equal(gc_collect(heap), 4);
    assert_calls(0);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void drop_one_way(gc_heap *heap, thing *kind1, thing *kind2)
{
    thing *c1 = new_instance(heap, kind1);
    thing *c2 = new_instance(heap, kind2);

    gc_set_field(&c2->me, c2);
    gc_set_field(&c2->other, c1);
    c2->ref = gc_weakref_new(c1, count_call, c2);
    gc_decref(c1), gc_decref(c2);
}

static void test_callback_reachable_one_way(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *c = new_class(heap);

    (void)state;
    drop_one_way(heap, c, c);
    assert_int_equal(gc_heap_count(heap), 4);
    assert_int_equal(gc_collect(heap), 3);
    assert_calls(0);
    gc_decref(c);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_callback_different_classes(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *c = new_class(heap), *d = new_class(heap);

    (void)state;
    drop_one_way(heap, d, c);
    gc_decref(c), gc_decref(d);
    assert_int_equal(gc_heap_count(heap), 5);
    assert_int_equal(gc_collect(heap), 5);
    assert_calls(0);
    assert_int_equal(gc_heap_free(heap), 0);
}

static thing *came_back;

static void bring_back(gc_weakref *ref, void *closure)
{
    (void)ref;
    say("brought back");
    gc_set_field(&came_back, ((thing *)closure)->other);
}

static void went_away(gc_weakref *ref, void *closure)
{
    (void)ref, (void)closure;
    say("went away");
}

static gc_weakref *drop_ring_of_class(gc_heap *heap)
{
    thing *c = new_class(heap);
    thing *c1 = new_instance(heap, c), *c2 = new_instance(heap, c);
    gc_weakref *outside = gc_weakref_new(c, went_away, NULL);

    gc_set_field(&c1->other, c2);
    gc_set_field(&c2->other, c1);
    c1->ref = gc_weakref_new(c2, bring_back, c1);
    c2->ref = gc_weakref_new(c1, bring_back, c2);
    gc_decref(c1), gc_decref(c2), gc_decref(c);
    return outside;
}

static void test_callback_in_cycle_resurrection(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    gc_weakref *outside = drop_ring_of_class(heap);

    (void)state;
    assert_heard("");
    assert_int_equal(gc_collect(heap), 5);
    assert_heard("went away ");
    assert_null(came_back);
    assert_true(refers_to(outside, NULL));
    assert_int_equal(gc_collect(heap), 0);
    assert_heard("");
    gc_decref(outside);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void say_cb(gc_weakref *ref, void *closure)
{
    (void)ref, (void)closure;
    say("cb");
}

static void say_safe(gc_weakref *ref, void *closure)
{
    (void)ref, (void)closure;
    say("safe");
}

static void test_callbacks_on_callback(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *c = new_thing(heap), *d = new_thing(heap);
    thing *method = new_thing(heap);

    (void)state;
    gc_set_field(&method->me, c);
    gc_set_field(&c->other, d), gc_set_field(&d->other, c);
    c->ref = gc_weakref_new(d, say_cb, method);
    d->ref = gc_weakref_new(method, say_cb, d);
    gc_weakref *outside = gc_weakref_new(method, say_safe, NULL);
    assert_true(refers_to(outside, method));
    gc_decref(method), gc_decref(c), gc_decref(d);
    assert_heard("");
    assert_int_equal(gc_collect(heap), 5);
    assert_heard("safe ");
    assert_true(refers_to(outside, NULL));
    assert_int_equal(gc_collect(heap), 0);
    assert_heard("");
    gc_decref(outside);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void check_gc_during_creation(make_ref *make)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *referenced = new_thing(heap), *a = new_thing(heap);
    gc_weakref *found, *ref;

    gc_set_field(&a->me, a);
    a->ref = make(referenced, NULL, NULL);
    gc_decref(a);
    assert_int_equal(gc_getweakrefcount(referenced), 1);
    gc_set_threshold(heap, 1, 1, 1);
    ref = make(referenced, count_call, NULL);
    assert_int_equal(gc_heap_count(heap), 2);
    assert_int_equal(gc_getweakrefs(referenced, &found, 1), 1);
    assert_ptr_equal(found, ref);
    gc_decref(referenced);
    assert_calls(1);
    gc_decref(ref);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_gc_during_ref_creation(void **state)
{
    (void)state;
    check_gc_during_creation(gc_weakref_new);
}

static void test_gc_during_proxy_creation(void **state)
{
    (void)state;
    check_gc_during_creation(gc_proxy_new);
}

static gc_weakref *made_in_finalizer;

static void refer_to_oneself(void *object)
{
    made_in_finalizer = gc_weakref_new(object, NULL, NULL);
    assert_true(refers_to(made_in_finalizer, object));
}

static void test_ref_created_during_del(void **state)
{
    gc_type type = thing_type;
    gc_heap *heap = gc_heap_new(NULL);

    (void)state;
    type.finalize = refer_to_oneself;
    gc_decref(gc_new(heap, &type));
    assert_int_equal(gc_heap_count(heap), 1);
    assert_true(refers_to(made_in_finalizer, NULL));
    gc_decref(made_in_finalizer);
    assert_int_equal(gc_heap_free(heap), 0);
}

static gc_weakref *called_with;

static void note_reference(gc_weakref *ref, void *closure)
{
    count_call(ref, closure);
    called_with = ref;
}

static void test_classes(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *c = new_class(heap), *integer = new_class(heap);
    gc_weakref *a = gc_weakref_new(c, note_reference, NULL);

    (void)state;
    gc_make_immortal(integer);
    gc_weakref *i = gc_weakref_new(integer, count_call, NULL);
    gc_decref(c), gc_decref(integer);
    assert_int_equal(gc_collect(heap), 1);
    assert_true(refers_to(a, NULL) && refers_to(i, integer));
    assert_calls(1);
    assert_ptr_equal(called_with, a);
    gc_decref(a), gc_decref(i);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void assert_equality(void *a, void *b, bool expected)
{
    assert_int_equal(gc_equal(a, b), expected);
    assert_int_equal(gc_equal(b, a), expected);
}

static bool equal_to_all(void *object, void *other)
{
    (void)object, (void)other;
    return true;
}

static const gc_type agreeable_type = {
    .name = "agreeable", .size = sizeof(gc_object),
    .equal = equal_to_all,
};

static void ReferencesTestCase_test_equality(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *x = new_numbered(heap, 1), *y = new_numbered(heap, 1);
    thing *z = new_numbered(heap, 2);
    gc_object *always = gc_new(heap, &agreeable_type);
    gc_weakref *a = gc_weakref_new(x, NULL, NULL);
    gc_weakref *b = gc_weakref_new(y, NULL, NULL);
    gc_weakref *c = gc_weakref_new(z, NULL, NULL);
    gc_weakref *d = gc_weakref_new(x, count_call, NULL);

    (void)state;
    /* compare references to the living, and to the dead */
    assert_equality(a, b, true);
    assert_equality(a, c, false);
    assert_equality(a, d, true);
    assert_equality(a, x, false);
    assert_true(gc_equal(always, a));
    assert_int_equal(gc_refcount(x), 1);
    gc_decref(x), gc_decref(y), gc_decref(z);
    assert_true(refers_to(a, NULL) && refers_to(b, NULL));
    assert_true(refers_to(c, NULL) && refers_to(d, NULL));
    assert_equality(a, b, false);
    assert_equality(a, c, false);
    assert_equality(a, a, true);
    assert_equality(a, d, false);
    assert_calls(1);
    gc_decref(a), gc_decref(b), gc_decref(c), gc_decref(d);
    gc_decref(always);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void ReferencesTestCase_test_hashing(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *x = new_numbered(heap, 42), *y = new_numbered(heap, 42);
    gc_weakref *a = gc_weakref_new(x, NULL, NULL);
    gc_weakref *b = gc_weakref_new(y, NULL, NULL);
    size_t hash = 0;

    (void)state;
    assert_true(gc_hash(a, &hash));
    assert_int_equal(hash, 42);
    gc_decref(x), gc_decref(y);
    hash = 0;
    assert_true(gc_hash(a, &hash));
    assert_int_equal(hash, 42);
    assert_false(gc_hash(b, &hash));
    gc_decref(a), gc_decref(b);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void ask_for_child(gc_weakref *ref, void *child)
{
    count_call(ref, NULL);
    assert_true(refers_to(child, NULL));
}

static thing *new_child(gc_heap *heap, thing *parent)
{
    thing *t = new_thing(heap);
    gc_weakref *self = gc_weakref_new(t, NULL, NULL);

    t->ref = gc_weakref_new(parent, ask_for_child, self);
    gc_decref(self);
    return t;
}

static void test_trashcan_16602(void **state)
{
    enum { DEPTH = 100 };
    gc_heap *heap = gc_heap_new(NULL);
    gc_weakdict *d = gc_weakkeydict_new(heap);
    thing *root = new_thing(heap), *last = root;

    (void)state;
    for (int i = 0; i < DEPTH; i++) {
        thing *child = new_child(heap, last);
        assert_true(gc_weakdict_set(d, last, child));
        gc_decref(child); /* now the dictionary's */
        last = child;
    }
    assert_int_equal(gc_weakdict_len(d), DEPTH);
    assert_calls(0);
    gc_decref(root);
    assert_calls(DEPTH);
    assert_int_equal(gc_weakdict_len(d), 0);
    assert_int_equal(gc_heap_count(heap), 1);
    gc_decref(d);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_callback_attribute(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *x = new_numbered(heap, 1);
    gc_weakref *one = gc_weakref_new(x, count_call, NULL);
    gc_weakref *two = gc_weakref_new(x, NULL, NULL);

    (void)state;
    assert_true(gc_weakref_get_callback(one) == count_call);
    assert_true(gc_weakref_get_callback(two) == NULL);
    gc_decref(one), gc_decref(two), gc_decref(x);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_callback_attribute_after_deletion(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);

    (void)state;
    for (int ring = 0; ring < 2; ring++) {
        thing *x = new_numbered(heap, 1);
        gc_weakref *ref = gc_weakref_new(x, count_call, NULL);
        gc_set_field(&x->me, ring ? x : NULL);
        assert_true(gc_weakref_get_callback(ref) != NULL);
        gc_decref(x);
        assert_int_equal(gc_collect(heap), ring);
        assert_calls(1);
        assert_true(gc_weakref_get_callback(ref) == NULL);
        gc_decref(ref);
    }
    assert_int_equal(gc_heap_free(heap), 0);
}

static void say_del(void *object)
{
    (void)object;
    say("del");
}

static void say_and_collect(gc_weakref *ref, void *closure)
{
    say("collect");
    collect_all(ref, closure);
}

static void test_callback_gcs(void **state)
{
    gc_type type = numbered_type;
    gc_heap *heap = gc_heap_new(NULL);

    (void)state;
    type.finalize = say_del;
    thing *x = gc_new(heap, &type);
    gc_weakref *ref = gc_weakref_new(x, say_and_collect, NULL);
    gc_decref(x);
    assert_calls(1);
    assert_heard("del collect ");
    assert_int_equal(gc_collect(heap), 0);
    assert_int_equal(gc_heap_count(heap), 1);
    gc_decref(ref);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_no_memory_when_clearing(void **state)
{
    enum { MANY = 50 };
    budget b = { .left = SIZE_MAX };
    gc_options options = { .allocator = on_budget(&b) };
    gc_heap *heap = gc_heap_new(&options);
    thing *o = new_thing(heap);
    gc_weakref *refs[MANY];

    (void)state;
    for (int i = 0; i < MANY; i++)
        refs[i] = gc_weakref_new(o, count_call, NULL);
    b.left = 0;
    gc_decref(o);
    assert_calls(MANY);
    for (int i = 0; i < MANY; i++) {
        assert_true(refers_to(refs[i], NULL));
        gc_decref(refs[i]);
    }
    assert_int_equal(gc_heap_free(heap), 0);
    assert_int_equal(b.blocks, 0);
}

typedef struct my_ref {
    gc_weakref ref;
    int value;
    bool called;
    thing *slot1, *slot2;
} my_ref;

static const gc_type my_ref_type = {
    .name = "my_ref", .size = sizeof(my_ref),
    .fields = (const gc_field[]) {
        GC_FIELD(my_ref, slot1), GC_FIELD(my_ref, slot2), GC_END },
    .traverse = gc_weakref_traverse, .clear = gc_weakref_clear,
};

static void *call_my_ref(my_ref *r)
{
    r->called = true;
    return gc_weakref_get(&r->ref);
}

static void test_subclass_refs(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *o = new_numbered(heap, 3);
    my_ref *r = gc_weakref_new_of(&my_ref_type, o, NULL, NULL);

    (void)state;
    assert_true(r->value == 0 && !r->called);
    r->value = 24;
    thing *again = call_my_ref(r);
    assert_ptr_equal(again, o);
    gc_decref(again);
    assert_true(r->value == 24 && r->called);
    r->called = false;
    gc_decref(o);
    assert_null(call_my_ref(r));
    assert_true(r->called);
    gc_decref(r);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_subclass_refs_dont_replace_standard_refs(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *o = new_numbered(heap, 42);
    void *r1 = gc_weakref_new_of(&my_ref_type, o, NULL, NULL);
    gc_weakref *r2 = gc_weakref_new(o, NULL, NULL), *found[3];

    (void)state;
    assert_ptr_not_equal(r1, r2);
    assert_int_equal(gc_getweakrefs(o, found, 3), 2);
    assert_true(found[0] == r2 && found[1] == r1);
    void *r3 = gc_weakref_new_of(&my_ref_type, o, NULL, NULL);
    assert_int_equal(gc_getweakrefcount(o), 3);
    assert_int_equal(gc_getweakrefs(o, found, 3), 3);
    assert_ptr_equal(found[0], r2);
    assert_true((found[1] == r1 && found[2] == r3)
                || (found[1] == r3 && found[2] == r1));
    gc_decref(r1), gc_decref(r2), gc_decref(r3), gc_decref(o);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_subclass_refs_dont_conflate_callbacks(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *o = new_numbered(heap, 42);
    gc_weakref *found[2];
    gc_weakref *r1 = gc_weakref_new_of(&my_ref_type, o, say_cb, NULL);
    gc_weakref *r2 = gc_weakref_new_of(&my_ref_type, o, say_safe, NULL);

    (void)state;
    assert_ptr_not_equal(r1, r2);
    assert_int_equal(gc_getweakrefs(o, found, 2), 2);
    assert_true((found[0] == r1 && found[1] == r2)
                || (found[0] == r2 && found[1] == r1));
    assert_true(gc_weakref_get_callback(r1) == say_cb);
    assert_true(gc_weakref_get_callback(r2) == say_safe);
    gc_decref(o);
    assert_heard("safe cb ");
    gc_decref(r1), gc_decref(r2);
    assert_int_equal(gc_heap_free(heap), 0);
}

static int add_slots(const my_ref *r)
{
    return r->slot1->number + r->slot2->number;
}

static void test_subclass_refs_with_slots(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *o = new_numbered(heap, 42);
    my_ref *r = gc_weakref_new_of(&my_ref_type, o, NULL, NULL);

    (void)state;
    r->slot1 = new_numbered(heap, 100);
    r->slot2 = new_numbered(heap, 23);
    assert_int_equal(gc_collect(heap), 0);
    assert_int_equal(add_slots(r), 123);
    assert_true(refers_to(&r->ref, o));
    gc_decref(o);
    assert_int_equal(add_slots(r), 123);
    assert_int_equal(gc_heap_count(heap), 3);
    gc_decref(r);
    assert_int_equal(gc_heap_count(heap), 0);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_subclass_refs_with_cycle(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);

    (void)state;
    for (int refs = 1; refs <= 2; refs++) {
        thing *o = new_thing(heap);
        my_ref *r1, *r2;
        r1 = gc_weakref_new_of(&my_ref_type, o, count_call, NULL);
        r2 = r1;
        if (refs == 2) {
            r2 = gc_weakref_new_of(&my_ref_type, o, count_call, NULL);
            r1->slot1 = (thing *)r2;
        }
        r2->slot2 = o;
        assert_int_equal(gc_heap_count(heap), (size_t)refs + 1);
        gc_decref(r1);
        assert_calls(0);
        assert_int_equal(gc_heap_count(heap), 0);
    }
    assert_int_equal(gc_heap_free(heap), 0);
}

typedef struct function {
    gc_object base;
    gc_weakref *weaklist;
    int (*code)(const thing *self);
} function;

static const gc_type function_type = {
    .name = "function", .size = sizeof(function),
    .weaklist_offset = offsetof(function, weaklist),
};

static function *new_function(gc_heap *heap,
                              int (*code)(const thing *self))
{
    function *f = gc_new(heap, &function_type);

    f->code = code;
    return f;
}

static int some_method(const thing *self)
{
    return self->number + 4;
}

static int other_method(const thing *self)
{
    return self->number + 5;
}

typedef struct weak_method {
    gc_weakref self; /* refers to the object */
    gc_weakref *weaklist;
    gc_weakref *function;
    bool alive;
    void (*callback)(struct weak_method *m);
} weak_method;

/* One of the two has died. The closure of the second reference is
 * a weak reference to the method; the first is the method. */
static void part_died(gc_weakref *ref, void *closure)
{
    weak_method *m = (weak_method *)ref;

    m = closure != NULL ? gc_weakref_get(closure) : gc_new_ref(m);
    if (m != NULL && m->alive) {
        m->alive = false;
        if (m->callback != NULL)
            m->callback(m);
    }
    gc_xdecref(m);
}

static bool method_equal(void *object, void *other)
{
    weak_method *a = object, *b = other;

    if (a->self.base.type != b->self.base.type)
        return false;
    return a->alive && b->alive && gc_weakref_type.equal(a, b)
        && gc_equal(a->function, b->function);
}

static bool method_hash(void *object, size_t *hash)
{
    return gc_weakref_type.hash(object, hash);
}

static const gc_type weak_method_type = {
    .name = "weak_method", .size = sizeof(weak_method),
    .fields = (const gc_field[]) {
        GC_FIELD(weak_method, function), GC_END },
    .traverse = gc_weakref_traverse, .clear = gc_weakref_clear,
    .weaklist_offset = offsetof(weak_method, weaklist),
    .equal = method_equal, .hash = method_hash,
};

static weak_method *new_weak_method(thing *o, function *f,
                                    void (*callback)(weak_method *m))
{
    weak_method *m = gc_weakref_new_of(&weak_method_type, o, part_died,
                                       NULL);
    gc_weakref *self = gc_weakref_new(m, NULL, NULL);

    m->function = gc_weakref_new(f, part_died, self);
    m->alive = true;
    m->callback = callback;
    gc_decref(self);
    return m;
}

typedef struct method {
    thing *self;
    function *function;
} method;

static bool get_method(const weak_method *m, method *found)
{
    found->self = gc_weakref_get(&m->self);
    found->function = gc_weakref_get(m->function);
    if (found->self != NULL && found->function != NULL)
        return true;
    gc_clear_field(&found->self);
    gc_clear_field(&found->function);
    return false;
}

static void test_alive(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *o = new_numbered(heap, 1);
    function *f = new_function(heap, some_method);
    weak_method *r = new_weak_method(o, f, NULL);
    gc_weakref *found;
    method m;

    (void)state;
    assert_int_equal(gc_getweakrefs(o, &found, 1), 1);
    assert_ptr_equal(found, r);
    assert_true(get_method(r, &m));
    assert_ptr_equal(m.self, o);
    assert_ptr_equal(m.function, f);
    assert_int_equal(m.function->code(m.self), 5);
    gc_decref(m.self), gc_decref(m.function);
    gc_decref(r), gc_decref(o), gc_decref(f);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void check_half_dead(bool object_dies)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *o = new_numbered(heap, 1);
    function *f = new_function(heap, some_method);
    weak_method *r = new_weak_method(o, f, NULL);
    void *dies = object_dies ? (void *)o : f;
    void *lives = object_dies ? (void *)f : o;
    method m;

    gc_decref(dies);
    assert_int_equal(gc_collect(heap), 0);
    assert_false(get_method(r, &m));
    assert_int_equal(gc_refcount(lives), 1);
    gc_decref(r), gc_decref(lives);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_object_dead(void **state)
{
    (void)state;
    check_half_dead(true);
}

static void test_method_dead(void **state)
{
    (void)state;
    check_half_dead(false);
}

static weak_method *told;

static void tell(weak_method *m)
{
    told = m;
    calls++;
}

static void check_callback(bool object_first)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *o = new_numbered(heap, 1);
    function *f = new_function(heap, some_method);
    weak_method *r = new_weak_method(o, f, tell);

    gc_decref(object_first ? (void *)o : f);
    assert_calls(1);
    assert_ptr_equal(told, r);
    gc_decref(object_first ? (void *)f : o);
    assert_calls(0);
    gc_decref(r);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_callback_when_object_dead(void **state)
{
    (void)state;
    check_callback(true);
}

static void test_callback_when_method_dead(void **state)
{
    (void)state;
    check_callback(false);
}

static void test_no_cycles(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *o = new_numbered(heap, 1);
    function *f = new_function(heap, some_method);
    weak_method *r = new_weak_method(o, f, tell);
    gc_weakref *ref = gc_weakref_new(r, NULL, NULL);

    (void)state;
    assert_true(refers_to(ref, r));
    gc_decref(r);
    assert_true(refers_to(ref, NULL));
    assert_int_equal(gc_getweakrefcount(o), 0);
    assert_int_equal(gc_getweakrefcount(f), 0);
    gc_decref(ref), gc_decref(o), gc_decref(f);
    assert_calls(0);
    assert_int_equal(gc_heap_free(heap), 0);
}

enum { METHODS = 6 };

static void compare_all(weak_method *r[METHODS], bool alive)
{
    for (int i = 0; i < METHODS; i++)
        for (int k = 0; k < METHODS; k++) {
            bool equal = i % 2 == k % 2 && (i < 4) == (k < 4);
            assert_int_equal(gc_equal(r[i], r[k]),
                             alive ? equal : i == k);
        }
}

static void WeakMethodTestCase_test_equality(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    gc_object *always = gc_new(heap, &agreeable_type);
    function *f[2] = { new_function(heap, some_method),
                       new_function(heap, other_method) };
    thing *o[3];
    weak_method *r[METHODS];

    (void)state;
    for (int i = 0; i < 3; i++)
        o[i] = new_numbered(heap, i < 2 ? 1 : 2);
    for (int i = 0; i < METHODS; i++)
        r[i] = new_weak_method(o[i / 2], f[i % 2], NULL);
    /* compare weak methods of the living, and of the dead */
    compare_all(r, true);
    assert_equality(r[0], o[0], false);
    assert_equality(r[0], f[0], false);
    assert_true(gc_equal(always, r[0]));
    for (int i = 0; i < 3; i++)
        gc_decref(o[i]);
    compare_all(r, false);
    for (int i = 0; i < METHODS; i++)
        gc_decref(r[i]);
    gc_decref(f[0]), gc_decref(f[1]), gc_decref(always);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void WeakMethodTestCase_test_hashing(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *x = new_numbered(heap, 1), *y = new_numbered(heap, 1);
    function *f = new_function(heap, some_method);
    function *g = new_function(heap, other_method);
    weak_method *a = new_weak_method(x, f, NULL);
    weak_method *b = new_weak_method(y, f, NULL);
    weak_method *c = new_weak_method(y, g, NULL);
    size_t ha = 0, hash = 0;

    (void)state;
    assert_true(gc_equal(a, b));
    assert_true(gc_hash(a, &ha) && gc_hash(b, &hash));
    assert_int_equal(hash, ha);
    gc_decref(x), gc_decref(y);
    /* only those who were asked in time have kept their hash */
    hash = ha + 1;
    assert_true(gc_hash(a, &hash));
    assert_int_equal(hash, ha);
    hash = ha + 1;
    assert_true(gc_hash(b, &hash));
    assert_int_equal(hash, ha);
    assert_false(gc_hash(c, &hash));
    gc_decref(a), gc_decref(b), gc_decref(c);
    gc_decref(f), gc_decref(g);
    assert_int_equal(gc_heap_free(heap), 0);
}

typedef struct sum {
    int x, y, z, total;
} sum;

static void add(void *arg)
{
    sum *s = arg;

    s->total += s->x + s->y + s->z;
}

static void assert_waits(const gc_finalizer *f, const thing *object)
{
    thing *peeked = gc_finalizer_peek(f);

    assert_true(gc_finalizer_is_alive(f));
    assert_ptr_equal(peeked, object);
    gc_decref(peeked);
}

static void assert_over(gc_finalizer *f, const sum *s, int total)
{
    assert_false(gc_finalizer_call(f));
    assert_false(gc_finalizer_call(f));
    assert_null(gc_finalizer_peek(f));
    assert_false(gc_finalizer_detach(f));
    assert_false(gc_finalizer_is_alive(f));
    assert_int_equal(s->total, total);
    gc_decref(f);
}

static void test_finalize(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    sum one = { 67, 43, 89, 0 }, two = one, three = one;
    thing *a = new_thing(heap);
    gc_finalizer *f = gc_new_ref(gc_finalize(a, add, &one));

    (void)state;
    assert_waits(f, a);
    assert_true(gc_finalizer_call(f));
    assert_over(f, &one, 199);
    f = gc_new_ref(gc_finalize(a, add, &two));
    assert_waits(f, a);
    assert_true(gc_finalizer_detach(f));
    assert_over(f, &two, 0);
    f = gc_new_ref(gc_finalize(a, add, &three));
    gc_decref(a);
    assert_over(f, &three, 199);
    assert_int_equal(one.total + two.total, 199);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_order(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *a = new_thing(heap);

    (void)state;
    gc_finalize(a, say, "f1");
    gc_finalizer *f2 = gc_new_ref(gc_finalize(a, say, "f2"));
    gc_finalizer *f3 = gc_new_ref(gc_finalize(a, say, "f3"));
    gc_finalize(a, say, "f4");
    gc_finalizer *f5 = gc_new_ref(gc_finalize(a, say, "f5"));
    assert_waits(f2, a), assert_waits(f3, a), assert_waits(f5, a);
    /* end five finalizers, each in its own way */
    assert_true(gc_finalizer_detach(f5));
    assert_false(gc_finalizer_is_alive(f5));
    assert_false(gc_finalizer_call(f5));
    say("A");
    assert_true(gc_finalizer_call(f3));
    assert_false(gc_finalizer_is_alive(f3));
    say("B");
    assert_false(gc_finalizer_call(f3));
    say("C");
    gc_decref(a);
    assert_false(gc_finalizer_is_alive(f2));
    say("D");
    assert_false(gc_finalizer_call(f2));
    assert_heard("A f3 B C f4 f2 f1 D ");
    gc_decref(f2), gc_decref(f3), gc_decref(f5);
    assert_int_equal(gc_heap_free(heap), 0);
    assert_heard("");
}

static void test_all_freed(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *a = new_thing(heap), *needed = new_thing(heap);
    gc_weakref *ref = gc_weakref_new(needed, count_call, NULL);

    (void)state;
    gc_disable(heap);
    assert_int_equal(gc_heap_count(heap), 3);
    gc_finalize(a, let_go, needed);
    assert_int_equal(gc_heap_count(heap), 5);
    assert_true(refers_to(ref, needed));
    gc_decref(a);
    assert_true(refers_to(ref, NULL));
    assert_calls(1);
    assert_int_equal(gc_heap_count(heap), 1);
    gc_decref(ref);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void fail_at_exit(void *object)
{
    assert_true(gc_is_immortal(object));
    gc_finalize(object, say, "g1");
    say("f3");
    gc_write_unraisable(object, "division by zero");
}

static void test_atexit(void **state)
{
    transcript t = { "" };
    gc_options options = { .sink = { remember, &t } };
    gc_heap *heap = gc_heap_new(&options);
    thing *c = new_class(heap);

    (void)state;
    gc_make_immortal(c);
    gc_decref(c);
    /* register four functions for the end */
    gc_finalize(c, say, "f1");
    gc_finalizer_set_atexit(gc_finalize(c, say, "f2"), false);
    gc_finalize(c, fail_at_exit, c);
    gc_finalize(c, say, "f4");
    assert_heard("");
    assert_int_equal(gc_heap_free(heap), 0);
    assert_heard("f4 f3 g1 f1 ");
    assert_string_equal(t.text,
        "gc: error ignored in <thing>: division by zero\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* the list of tests from test_weakref */
        cmocka_unit_test(test_basic_ref),
        cmocka_unit_test(test_ref_repr),
        cmocka_unit_test(test_basic_callback),
        cmocka_unit_test(test_multiple_callbacks),
        cmocka_unit_test(test_multiple_selfref_callbacks),
        cmocka_unit_test(test_proxy_ref),
        cmocka_unit_test(test_ref_reuse),
        cmocka_unit_test(test_proxy_reuse),
        cmocka_unit_test(test_shared_ref_without_callback),
        cmocka_unit_test(test_shared_proxy_without_callback),
        cmocka_unit_test(test_proxy_iter),
        cmocka_unit_test(test_proxy_hash),
        cmocka_unit_test(test_getweakrefcount),
        cmocka_unit_test(test_getweakrefs),
        cmocka_unit_test(test_callbacks_protected),
        cmocka_unit_test(test_sf_bug_840829),
        cmocka_unit_test(test_callback_in_cycle),
        cmocka_unit_test(test_callback_reachable_one_way),
        cmocka_unit_test(test_callback_different_classes),
        cmocka_unit_test(test_callback_in_cycle_resurrection),
        cmocka_unit_test(test_callbacks_on_callback),
        cmocka_unit_test(test_gc_during_ref_creation),
        cmocka_unit_test(test_gc_during_proxy_creation),
        cmocka_unit_test(test_ref_created_during_del),
        cmocka_unit_test(test_classes),
        cmocka_unit_test(ReferencesTestCase_test_equality),
        cmocka_unit_test(ReferencesTestCase_test_hashing),
        cmocka_unit_test(test_trashcan_16602),
        cmocka_unit_test(test_callback_attribute),
        cmocka_unit_test(test_callback_attribute_after_deletion),
        cmocka_unit_test(test_callback_gcs),
        cmocka_unit_test(test_no_memory_when_clearing),
        cmocka_unit_test(test_subclass_refs),
        cmocka_unit_test(test_subclass_refs_dont_replace_standard_refs),
        cmocka_unit_test(test_subclass_refs_dont_conflate_callbacks),
        cmocka_unit_test(test_subclass_refs_with_slots),
        cmocka_unit_test(test_subclass_refs_with_cycle),
        cmocka_unit_test(test_alive),
        cmocka_unit_test(test_object_dead),
        cmocka_unit_test(test_method_dead),
        cmocka_unit_test(test_callback_when_object_dead),
        cmocka_unit_test(test_callback_when_method_dead),
        cmocka_unit_test(test_no_cycles),
        cmocka_unit_test(WeakMethodTestCase_test_equality),
        cmocka_unit_test(WeakMethodTestCase_test_hashing),
        cmocka_unit_test(test_finalize),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_all_freed),
        cmocka_unit_test(test_atexit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
