/* From chapters 4 and 7 of The Invisible Janitor; made by make tangle. */
/* test_weakref.c: the tests of Chapter 7, references. */
#include "support.h"
#include <errno.h>

/* a weakly referable thing */
typedef struct thing {
    gc_object base;
    gc_weakref *weaklist;
    struct thing *left, *right;
    const char *name;
} thing;

static void thing_repr(const void *object, char *text, size_t size)
{
    snprintf(text, size, "%s", ((const thing *)object)->name);
}

static const gc_type thing_type = {
    .name = "thing", .size = sizeof(thing), .repr = thing_repr,
    .fields = (const gc_field[]) {
        GC_FIELD(thing, left), GC_FIELD(thing, right), GC_END },
    .weaklist_offset = offsetof(thing, weaklist),
};

static thing *new_thing(gc_heap *heap, const char *name)
{
    thing *t = gc_new(heap, &thing_type);

    t->name = name;
    return t;
}

/* a callback that takes notes */
static char noted[2000];
static void (*then)(gc_weakref *ref);

static void note(gc_weakref *ref, void *closure)
{
    strcat(strcat(noted, ((thing *)closure)->name), " ");
    assert_null(gc_weakref_get(ref));
    if (then != NULL)
        then(ref);
}

static void assert_noted(const char *text)
{
    assert_string_equal(noted, text);
    noted[0] = '\0';
}

/* A weak reference whose callback notes this name. */
static gc_weakref *watch(thing *t, const char *name)
{
    thing *closure = new_thing(gc_heap_of(t), name);
    gc_weakref *ref = gc_weakref_new(t, note, closure);

    gc_decref(closure);
    return ref;
}

static thing *new_ring(gc_heap *heap, const char *one, const char *two)
{
    thing *t = new_thing(heap, one);

    gc_incref(t);
    t->left = new_thing(heap, two);
    t->left->left = t;
    return t;
}

/* tests of weak references */
static gc_weakref *watching[3];

static void drop_all(gc_weakref *ref)
{
    (void)ref;
    for (int i = 0; i < 3; i++) {
        assert_true(watching[i] == NULL
                    || gc_weakref_get(watching[i]) == NULL);
        gc_clear_field(&watching[i]);
    }
}

static void test_all_cleared_before_callbacks(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *a = new_thing(heap, "a");

    (void)state;
    watching[0] = watch(a, "first");
    watching[1] = watch(a, "second");
    watching[2] = watch(a, "third");
    then = drop_all;
    gc_decref(a);
    then = NULL;
    assert_noted("third second first ");
    assert_int_equal(gc_heap_free(heap), 0);
}

static void say_name(void *object)
{
    strcat(strcat(noted, ((thing *)object)->name), " ");
}

static const gc_type speaker_type = {
    .name = "speaker", .size = sizeof(thing), .repr = thing_repr,
    .fields = (const gc_field[]) {
        GC_FIELD(thing, left), GC_FIELD(thing, right), GC_END },
    .weaklist_offset = offsetof(thing, weaklist),
    .finalize = say_name,
};

static thing *new_speaker(gc_heap *heap, const char *name)
{
    thing *t = gc_new(heap, &speaker_type);

    t->name = name;
    return t;
}

static void farewell(gc_heap *heap, bool ring, bool early)
{
    thing *a = new_speaker(heap, "a"), *b = new_speaker(heap, "b");
    gc_weakref *refs[4];

    gc_set_field(&a->left, b);
    refs[0] = watch(a, "+a1"), refs[1] = watch(b, "+b1");
    if (ring)
        gc_set_field(&b->left, a);
    if (early)
        gc_collect_generation(heap, 0);
    refs[2] = watch(a, "+a2"), refs[3] = watch(b, "+b2");
    gc_decref(b);
    gc_decref(a);
    gc_collect(heap);
    for (int i = 0; i < 4; i++)
        gc_decref(refs[i]);
}

static void test_farewells(void **state)
{
    static const char *const expected[4] = {
#include "golden/farewells.txt"
    };
    gc_heap *heap = gc_heap_new(NULL);

    (void)state;
    for (int i = 0; i < 4; i++) {
        strcat(noted, " ");
        farewell(heap, i >= 2, i % 2 == 1);
        assert_noted(expected[i]);
    }
    assert_int_equal(gc_heap_free(heap), 0);
}

static gc_weakref *made;
static thing *saved;

static void make_reference(void *object)
{
    made = watch(object, "made");
}

static void save(void *object)
{
    saved = gc_new_ref(object);
}

static thing *new_with(gc_heap *heap, gc_type *type,
                       void (*finalize)(void *object))
{
    *type = thing_type;
    type->finalize = finalize;
    thing *t = gc_new(heap, type);
    t->name = "t";
    return t;
}

static void test_made_by_a_finalizer(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    gc_type type;

    (void)state;
    for (int ring = 0; ring < 2; ring++) {
        thing *t = new_with(heap, &type, make_reference);
        if (ring)
            gc_set_field(&t->left, t);
        gc_decref(t);
        assert_int_equal(gc_collect(heap), ring);
        assert_null(gc_weakref_get(made));
        assert_noted("made ");
        gc_decref(made);
    }
    assert_int_equal(gc_heap_free(heap), 0);
}

static gc_weakdict *registry, *by_name;

static void count_call(void *calls)
{
    ++*(int *)calls;
}

static int calls;

static void register_at_last(void *object)
{
    thing *name = new_thing(gc_heap_of(object), "name");

    assert_true(gc_weakset_add(registry, object));
    assert_true(gc_weakdict_set(by_name, name, object));
    assert_non_null(gc_finalize(object, count_call, &calls));
    gc_decref(name);
}

static void test_death_that_everybody_hears_of(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    gc_type type;

    (void)state;
    calls = 0;
    registry = gc_weakset_new(heap);
    by_name = gc_weakvaluedict_new(heap);
    for (int i = 0; i < 10; i++) {
        thing *t = new_with(heap, &type, register_at_last);
        gc_set_field(&t->left, t);
        gc_decref(t);
    }
    gc_collect(heap);
    assert_int_equal(calls, 10);
    assert_int_equal(gc_weakdict_len(registry), 0);
    assert_int_equal(gc_weakdict_len(by_name), 0);
    assert_int_equal(gc_heap_count(heap), 2);
    gc_decref(registry), gc_decref(by_name);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void die_in_order(const int order[5], int shape)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *a = new_speaker(heap, "a"), *b = new_speaker(heap, "b");
    gc_weakdict *d = gc_weakkeydict_new(heap);
    void *owned[5] = { a, b, watch(a, "+a"), watch(b, "+b"), d };

    gc_set_field(&a->left, b);
    assert_true(gc_weakdict_set(d, b, owned[2]));
    if (shape & 1)
        gc_set_field(&b->left, a);
    if (shape & 2)
        gc_set_field(&b->right, d);
    if (shape & 4)
        gc_set_field(&a->right, owned[3]);
    for (int i = 0; i < 5; i++) {
        gc_clear_field(&owned[order[i]]);
        if (shape & 8)
            gc_collect(heap);
    }
    gc_collect(heap);
    assert_int_equal(gc_heap_free(heap), 0);
    noted[0] = '\0';
}

static void test_every_order_of_death(void **state)
{
    int order[5];

    (void)state;
    for (int number = 0; number < 5 * 5 * 5 * 5 * 5; number++) {
        unsigned seen = 0;
        for (int i = 0, n = number; i < 5; i++, n /= 5)
            seen |= 1u << (order[i] = n % 5);
        for (int shape = 0; shape < 16 && seen == 31; shape++)
            die_in_order(order, shape);
    }
}

static void test_referent(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *a = new_thing(heap, "a");
    gc_weakref *one = gc_weakref_new(a, NULL, NULL);
    gc_weakref *two = gc_weakref_new(a, NULL, a);
    gc_weakref *three = watch(a, "three");

    (void)state;
    assert_ptr_equal(one, two);
    assert_ptr_not_equal(one, three);
    assert_int_equal(gc_refcount(a), 1);
    assert_ptr_equal(gc_weakref_get(one), a);
    assert_int_equal(gc_refcount(a), 2);
    gc_decref(a);
    gc_decref(a);
    assert_null(gc_weakref_get(one));
    assert_null(gc_weakref_get(three));
    assert_noted("three ");
    gc_decref(one), gc_decref(two), gc_decref(three);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_not_weakly_referable(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    node *n = new_node(heap, "n");

    (void)state;
    assert_null(gc_weakref_new(n, NULL, NULL));
    assert_null(gc_weakref_new(n, note, n));
    assert_null(gc_proxy_new(n, NULL, NULL));
    assert_null(gc_finalize(n, free, NULL));
    assert_int_equal(gc_getweakrefcount(n), 0);
    assert_int_equal(gc_refcount(n), 1);
    gc_decref(n);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_misplaced_weak_list(void **state)
{
    gc_type t = thing_type;

    (void)state;
    assert_null(gc_type_error(&t));
    t.fields = NULL;
    for (size_t i = 1; i <= 2 * sizeof(thing); i++) {
        t.weaklist_offset = i;
        assert_int_equal(gc_type_error(&t) == NULL,
            i % _Alignof(gc_weakref *) == 0 && i >= sizeof(gc_object)
            && i + sizeof(gc_weakref *) <= sizeof(thing));
    }
}

static void test_list_of_references(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *a = new_thing(heap, "a");
    gc_weakref *one = watch(a, "one"), *two = watch(a, "two");
    gc_weakref *proxy = gc_proxy_new(a, NULL, NULL);
    gc_weakref *ref = gc_weakref_new(a, NULL, NULL), *found[4];

    (void)state;
    assert_ptr_equal(gc_proxy_new(a, NULL, NULL), proxy);
    gc_decref(proxy);
    assert_int_equal(gc_getweakrefcount(a), 4);
    assert_int_equal(gc_getweakrefs(a, found, 4), 4);
    assert_true(found[0] == ref && found[1] == proxy
                && found[2] == two && found[3] == one);
    gc_decref(proxy), gc_decref(two);
    assert_true(gc_weakref_get_callback(one) == note);
    assert_true(gc_weakref_get_callback(ref) == NULL);
    gc_decref(a);
    assert_true(gc_weakref_get_callback(one) == NULL);
    assert_noted("one ");
    gc_decref(one), gc_decref(ref);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_repr_is_cut(void **state)
{
    static const char whole[] = "to thing anton-who-has-a-long-name";
    gc_heap *heap = gc_heap_new(NULL);
    thing *a = new_thing(heap, "anton-who-has-a-long-name");
    gc_weakref *ref = gc_weakref_new(a, NULL, NULL);
    char text[101] = "";

    (void)state;
    for (size_t size = 1; size <= 100; size++) {
        memset(text, 'Z', 100);
        gc_weakref_type.repr(ref, text, size);
        assert_non_null(memchr(text, '\0', size));
        assert_int_equal(strspn(text + size, "Z"), 100 - size);
        if (size > 10)
            assert_memory_equal(text, whole, strlen(text));
    }
    assert_string_equal(text, whole);
    gc_decref(a), gc_decref(ref);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_dump_of_references(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *a = new_thing(heap, "a"), *b = new_thing(heap, "b");

    (void)state;
    /* not under stress */
    #ifdef GC_STRESS
    gc_heap_free(heap);
    skip();
    #endif
    gc_weakref *dead = gc_weakref_new(b, NULL, NULL);
    gc_decref(b);
    gc_weakref *proxy = gc_proxy_new(a, note, a);
    assert_dump(heap, NULL,
        "object a type=thing name=\"a\" refcount=2 generation=0\n"
        "object dead type=weakref name=\"dead\" refcount=1 "
        "generation=0\n"
        "object to thing a type=weakproxy name=\"to thing a\" "
        "refcount=1 generation=0\n"
        "ref to thing a closure a\n"
        "weak to thing a referent a\n");
    gc_decref(proxy), gc_decref(a), gc_decref(dead);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void collect_and_err(gc_weakref *ref)
{
    gc_collect(gc_heap_of(ref));
    gc_decref(new_thing(gc_heap_of(ref), "made"));
    errno = ERANGE;
}

static void test_callback_that_collects(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *a = new_thing(heap, "a");
    gc_weakref *one = watch(a, "one"), *two = watch(a, "two");

    (void)state;
    a->left = new_thing(heap, "b");
    then = collect_and_err;
    errno = EDOM;
    gc_decref(a);
    then = NULL;
    assert_int_equal(errno, EDOM);
    assert_noted("two one ");
    gc_decref(one), gc_decref(two);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_garbage_is_not_called(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *a = new_ring(heap, "a", "b");
    thing *c = new_thing(heap, "c");

    (void)state;
    a->right = (thing *)gc_weakref_new(a->left, note, a);
    a->left->right = (thing *)gc_weakref_new(c, note, a);
    gc_set_field(&c->left, a);
    gc_set_field(&a->right->right, NULL);
    gc_decref(a);
    assert_int_equal(gc_collect(heap), 0);
    gc_set_field(&a->left->left, c);
    gc_decref(c);
    assert_int_equal(gc_collect(heap), 5);
    assert_noted("");
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_callback_may_drop_its_reference(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *a = new_ring(heap, "a", "b");
    gc_weakref *kept = watch(a, "kept");

    (void)state;
    /* not under stress */
    #ifdef GC_STRESS
    gc_heap_free(heap);
    skip();
    #endif
    gc_collect(heap);
    watching[0] = watch(a->left, "dropped");
    gc_decref(a);
    then = drop_all;
    assert_int_equal(gc_collect(heap), 3);
    then = NULL;
    assert_noted("kept dropped ");
    assert_true(gc_is_tracked(kept));
    gc_decref(kept);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_immortal_reference(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *a = new_ring(heap, "a", "b");
    gc_weakref *told = watch(a, "told");

    (void)state;
    gc_make_immortal(told);
    gc_decref(told);
    gc_decref(a);
    assert_int_equal(gc_collect(heap), 2);
    assert_noted("told ");
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_references_to_the_resurrected(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    gc_type type;

    (void)state;
    for (int ring = 0; ring < 2; ring++) {
        thing *t = new_with(heap, &type, save);
        gc_weakref *ref = gc_weakref_new(t, NULL, NULL);
        if (ring)
            gc_set_field(&t->left, t);
        gc_decref(t);
        assert_int_equal(gc_collect(heap), 0);
        thing *again = gc_weakref_get(ref);
        assert_ptr_equal(again, ring ? NULL : saved);
        gc_xdecref(again);
        gc_decref(ref);
        gc_clear_field(&saved->left);
        gc_decref(saved);
    }
    assert_int_equal(gc_heap_free(heap), 0);
}

static void make_shared_reference(void *object)
{
    made = gc_weakref_new(object, NULL, NULL);
}

static void test_made_by_a_legacy_finalizer(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    gc_type type = thing_type;

    (void)state;
    type.legacy_finalize = make_shared_reference;
    made = NULL;
    gc_decref(gc_new(heap, &type));
    assert_non_null(made);
    assert_null(gc_weakref_get(made));
    gc_decref(made);
    assert_int_equal(gc_heap_free(heap), 0);
}

static thing *target;

static void refer_to_target(void *object)
{
    (void)object;
    if (made == NULL)
        made = gc_weakref_new(target, NULL, NULL);
}

static void test_shared_one_made_meanwhile(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    gc_type type;

    (void)state;
    target = new_thing(heap, "target");
    made = NULL;
    thing *t = new_with(heap, &type, refer_to_target);
    gc_set_field(&t->left, t);
    gc_decref(t);
    gc_set_threshold(heap, 1, 10, 10);
    gc_weakref *ref = gc_weakref_new(target, NULL, NULL);
    assert_non_null(made);
    assert_ptr_equal(ref, made);
    assert_int_equal(gc_getweakrefcount(target), 1);
    gc_decref(ref), gc_decref(made), gc_decref(target);
    assert_int_equal(gc_heap_free(heap), 0);
}

static gc_weakref *deep;
static bool asked;

static void ask_for_the_deep(void *object)
{
    (void)object;
    asked = true;
    assert_null(gc_weakref_get(deep));
}

static const gc_type asking_atom_type = {
    .name = "asking", .size = sizeof(gc_object),
    .destroy = ask_for_the_deep,
};

static void test_the_postponed_are_dead(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *list = new_thing(heap, "fiftieth");

    (void)state;
    list->left = new_thing(heap, "deep");
    list->right = gc_new(heap, &asking_atom_type);
    deep = gc_weakref_new(list->left, NULL, NULL);
    for (int i = 1; i < 50; i++) {
        thing *t = new_thing(heap, "t");
        t->left = list;
        list = t;
    }
    gc_decref(list);
    gc_decref(deep);
    assert_true(asked);
    assert_int_equal(gc_heap_free(heap), 0);
}

typedef struct keyed {
    gc_weakref ref;
    thing *key;
} keyed;

static const gc_type keyed_type = {
    .name = "keyed", .size = sizeof(keyed),
    .fields = (const gc_field[]) { GC_FIELD(keyed, key), GC_END },
    .traverse = gc_weakref_traverse, .clear = gc_weakref_clear,
};

static void test_derived_references(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *a = new_thing(heap, "a");
    keyed *one = gc_weakref_new_of(&keyed_type, a, NULL, NULL);
    keyed *two = gc_weakref_new_of(&keyed_type, a, NULL, NULL);
    gc_weakref *ref = gc_weakref_new(a, NULL, NULL), *found[3];

    (void)state;
    one->key = a;
    assert_ptr_not_equal(one, two);
    assert_int_equal(gc_getweakrefs(a, found, 3), 3);
    assert_ptr_equal(found[0], ref);
    gc_set_field(&a->left, (void *)one);
    gc_decref(one), gc_decref(two), gc_decref(ref);
    assert_int_equal(gc_collect(heap), 2);
    assert_int_equal(gc_heap_free(heap), 0);
}

typedef struct wrapped {
    gc_weakref ref;
    gc_object *extra;
} wrapped;

static void wrapped_traverse(void *object, gc_visit *visit, void *arg)
{
    gc_weakref_traverse(object, visit, arg);
    visit(((wrapped *)object)->extra, arg);
}

static void wrapped_clear(void *object)
{
    gc_clear_field(&((wrapped *)object)->extra);
    gc_weakref_clear(object);
}

static thing *held_by_extra;

static void let_the_thing_go(void *object)
{
    (void)object;
    gc_decref(held_by_extra);
}

static void test_derived_by_wrapping(void **state)
{
    const gc_type type = { .name = "wrapped", .size = sizeof(wrapped),
        .traverse = wrapped_traverse, .clear = wrapped_clear };
    const gc_type extra = { .name = "extra", .size = sizeof(gc_object),
        .finalize = let_the_thing_go };
    const gc_type small = { .name = "small", .size = sizeof(gc_object),
        .traverse = wrapped_traverse, .clear = wrapped_clear };
    gc_heap *heap = gc_heap_new(NULL);
    thing *t = held_by_extra = new_thing(heap, "t");

    (void)state;
    assert_null(gc_weakref_new_of(&small, t, NULL, NULL));
    wrapped *w = gc_weakref_new_of(&type, t, note, t);
    gc_clear_field(&w->ref.closure); /* or the thing would stay */
    w->extra = gc_new(heap, &extra);
    gc_decref(w);
    assert_noted("");
    assert_int_equal(gc_heap_free(heap), 0);
}

static gc_weakref *came_back;

static void look_and_come_back(void *object)
{
    void *referent = gc_weakref_get(object);

    assert_non_null(referent);
    gc_decref(referent);
    came_back = gc_new_ref(object);
}

static void test_derived_with_a_finalizer(void **state)
{
    const gc_type type = { .name = "ref", .size = sizeof(gc_weakref),
        .finalize = look_and_come_back,
        .traverse = gc_weakref_traverse, .clear = gc_weakref_clear };
    gc_heap *heap = gc_heap_new(NULL);
    thing *t = new_thing(heap, "t"), *told = new_thing(heap, "told");

    (void)state;
    gc_decref(gc_weakref_new_of(&type, t, note, told));
    gc_decref(t);
    assert_noted("told ");
    gc_decref(came_back), gc_decref(told);
    assert_int_equal(gc_heap_free(heap), 0);
}

static gc_weakref *pair[2];

static void grant_immortality(gc_weakref *ref)
{
    gc_make_immortal(ref);
    gc_make_immortal(ref == pair[0] ? pair[1] : pair[0]);
}

static void test_immortality_in_mid_collection(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *a = new_ring(heap, "a", "b");

    (void)state;
    pair[0] = watch(a, "first"), pair[1] = watch(a, "second");
    then = grant_immortality;
    gc_decref(a);
    assert_int_equal(gc_collect(heap), 2);
    then = NULL;
    assert_noted("second first ");
    assert_false(gc_is_tracked(pair[0]));
    gc_decref(pair[0]), gc_decref(pair[1]);
    assert_int_equal(gc_heap_free(heap), 0);
}

static bool same_name(void *object, void *other)
{
    return strcmp(((thing *)object)->name, ((thing *)other)->name) == 0;
}

static bool hash_name(void *object, size_t *hash)
{
    *hash = (unsigned char)((thing *)object)->name[0];
    return true;
}

static const gc_type named_type = {
    .name = "named", .size = sizeof(thing), .repr = thing_repr,
    .weaklist_offset = offsetof(thing, weaklist),
    .equal = same_name, .hash = hash_name,
};

static void test_equality_and_hash(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *a = gc_new(heap, &named_type);
    thing *b = gc_new(heap, &named_type);
    gc_weakref *ra = gc_weakref_new(a, NULL, NULL);
    gc_weakref *rb = gc_weakref_new(b, NULL, NULL);
    gc_weakref *p = gc_proxy_new(a, NULL, NULL);
    size_t hash;

    (void)state;
    a->name = b->name = "x";
    assert_true(gc_equal(a, b) && gc_equal(ra, rb));
    assert_true(gc_equal(ra, p) && !gc_equal(ra, a));
    assert_true(gc_hash(ra, &hash) && hash == 'x');
    assert_false(gc_hash(p, &hash));
    gc_decref(a), gc_decref(b);
    assert_false(gc_equal(ra, rb));
    assert_true(gc_equal(ra, ra));
    assert_true(gc_hash(ra, &hash) && hash == 'x');
    assert_false(gc_hash(rb, &hash));
    gc_decref(ra), gc_decref(rb), gc_decref(p);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_dead_are_not_equal(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *a = new_thing(heap, "a"), *b = new_thing(heap, "b");
    gc_weakref *ra = gc_weakref_new(a, NULL, NULL);
    gc_weakref *rb = gc_weakref_new(b, NULL, NULL);

    (void)state;
    gc_decref(b);
    assert_false(gc_equal(ra, rb) || gc_equal(rb, ra));
    gc_decref(a);
    assert_false(gc_equal(ra, rb) || gc_equal(rb, ra));
    assert_true(gc_equal(ra, ra) && gc_equal(rb, rb));
    gc_decref(ra), gc_decref(rb);
    assert_int_equal(gc_heap_free(heap), 0);
}

static bool agree(void *object, void *other)
{
    (void)object, (void)other;
    return true;
}

static void test_reflected_equality(void **state)
{
    gc_type agreeing_type = thing_type;
    gc_heap *heap = gc_heap_new(NULL);
    thing *a = new_thing(heap, "a"), *b = new_thing(heap, "b");

    (void)state;
    agreeing_type.equal = agree;
    thing *yes = gc_new(heap, &agreeing_type);
    assert_true(gc_equal(yes, a) && gc_equal(a, yes));
    assert_true(!gc_equal(a, b) && gc_equal(a, a));
    gc_decref(a), gc_decref(b), gc_decref(yes);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void drop_and_use(void *object, void *field)
{
    gc_clear_field(field);
    assert_string_equal(((thing *)object)->name, "a");
    strcat(noted, "used ");
}

static void test_proxy(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *a = new_thing(heap, "a");
    gc_weakref *proxy = gc_proxy_new(a, NULL, NULL);

    (void)state;
    assert_true(gc_is_proxy(proxy));
    assert_false(gc_is_proxy(a));
    assert_true(gc_proxy_call(proxy, drop_and_use, &a));
    assert_noted("used ");
    assert_false(gc_proxy_call(proxy, drop_and_use, &a));
    assert_noted("");
    gc_decref(proxy);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void take_down(void *text)
{
    strcat(strcat(noted, text), " ");
}

static void test_finalize(void **state)
{
    char one[] = "one", two[] = "two", three[] = "three";
    gc_heap *heap = gc_heap_new(NULL);
    thing *a = new_thing(heap, "a");
    gc_finalizer *f = gc_finalize(a, take_down, one);
    gc_finalizer *g = gc_new_ref(gc_finalize(a, take_down, two));

    (void)state;
    gc_finalize(a, take_down, three);
    assert_true(gc_finalizer_call(f));
    assert_noted("one ");
    assert_true(gc_finalizer_is_alive(g));
    thing *peeked = gc_finalizer_peek(g);
    assert_ptr_equal(peeked, a);
    gc_decref(peeked);
    gc_decref(a);
    assert_noted("three two ");
    assert_false(gc_finalizer_is_alive(g) || gc_finalizer_peek(g)
                 || gc_finalizer_call(g) || gc_finalizer_detach(g));
    gc_decref(g);
    assert_int_equal(gc_heap_free(heap), 0);
    assert_noted("");
}

static void register_another(void *object)
{
    static char another[] = "another";

    strcat(noted, "registers ");
    gc_finalize(object, take_down, another);
    gc_decref(object);
}

static void test_finalize_at_exit(void **state)
{
    char first[] = "first", last[] = "last", never[] = "never";
    gc_heap *heap = gc_heap_new(NULL);
    thing *a = new_ring(heap, "a", "b");

    (void)state;
    gc_finalize(a, take_down, first);
    gc_finalizer_set_atexit(gc_finalize(a, take_down, never), false);
    gc_finalizer_detach(gc_finalize(a, take_down, never));
    gc_finalize(a, register_another, a); /* and lets go of it */
    gc_finalize(a, take_down, last);
    assert_int_equal(gc_heap_free(heap), 0);
    assert_noted("last registers another first ");
}

static void note_whether_enabled(void *heap)
{
    strcat(noted, gc_is_enabled(heap) ? "enabled " : "disabled ");
}

static void test_no_collections_at_exit(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *a = new_thing(heap, "a");

    (void)state;
    gc_finalize(a, note_whether_enabled, heap);
    assert_true(gc_is_enabled(heap));
    assert_int_equal(gc_heap_free(heap), 1);
    assert_noted("disabled ");
}

static void register_too_late(void *object)
{
    static char never[] = "never";

    assert_null(gc_finalize(object, take_down, never));
}

static void test_finalize_too_late(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    gc_type type;
    thing *t = new_with(heap, &type, register_too_late);

    (void)state;
    gc_set_field(&t->left, t);
    t->base.refcount--;
    assert_int_equal(gc_heap_free(heap), 0);
    assert_noted("");
}

#ifndef TEST_SHRINK
#define TEST_SHRINK 1
#endif

static void let_go_of(void *object)
{
    gc_decref(object);
}

static void test_chain_of_atoms(void **state)
{
    const gc_type type = { .name = "atom", .size = sizeof(thing),
        .weaklist_offset = offsetof(thing, weaklist) };
    gc_heap *heap = gc_heap_new(NULL);
    void *first = gc_new(heap, &type);

    (void)state;
    gc_disable(heap);
    for (int i = 0; i < 1000000 / TEST_SHRINK; i++) {
        void *o = gc_new(heap, &type);

        assert_non_null(gc_finalize(o, let_go_of, first));
        first = o;
    }
    gc_decref(first);
    assert_int_equal(gc_heap_count(heap), 0);
    assert_int_equal(gc_heap_free(heap), 0);
}

static gc_finalizer *at_exit[4];

static void note_exit(void *name)
{
    strcat(strcat(noted, name), " ");
}

static void change_minds(void *object)
{
    gc_finalizer_set_atexit(at_exit[0], true);
    gc_finalizer_set_atexit(at_exit[2], false);
    note_exit("change");
    if (object != NULL)
        gc_finalize(object, note_exit, "new");
}

static void test_changes_of_mind_at_exit(void **state)
{
    (void)state;
    for (int registers = 0; registers < 2; registers++) {
        gc_heap *heap = gc_heap_new(NULL);
        thing *t = new_thing(heap, "t");

        at_exit[0] = gc_finalize(t, note_exit, "later");
        at_exit[1] = gc_finalize(t, note_exit, "always");
        at_exit[2] = gc_finalize(t, note_exit, "not");
        at_exit[3] = gc_finalize(t, change_minds, registers ? t : NULL);
        gc_finalizer_set_atexit(at_exit[0], false);
        assert_int_equal(gc_heap_free(heap), 1);
        assert_noted(registers ? "change new always later "
                               : "change not always ");
    }
}

static bool refer_on_budget(budget *b)
{
    gc_options options = { .allocator = on_budget(b) };
    gc_heap *heap = gc_heap_new(&options);
    thing *a = heap != NULL ? gc_new(heap, &thing_type) : NULL;
    gc_weakref *ref = NULL, *told = NULL;
    gc_finalizer *f = NULL;

    if (a != NULL) {
        a->name = "a";
        ref = gc_weakref_new(a, NULL, NULL);
        told = gc_weakref_new(a, note, a);
        f = gc_finalize(a, take_down, b);
        assert_int_equal(gc_getweakrefcount(a), (size_t)(ref != NULL)
            + (size_t)(told != NULL) + (size_t)(f != NULL));
        if (f != NULL)
            gc_finalizer_detach(f);
        gc_xdecref(ref), gc_xdecref(told);
        gc_decref(a);
    }
    assert_int_equal(gc_heap_free(heap), 0);
    return ref != NULL && told != NULL && f != NULL;
}

static void test_references_out_of_memory(void **state)
{
    bool done = false;

    (void)state;
    for (size_t n = 0; !done; n++) {
        budget b = { .left = n };
        done = refer_on_budget(&b);
        assert_int_equal(b.blocks, 0);
        assert_noted("");
    }
}

static gc_weakref *shared, *told_one;
static gc_finalizer *waiting;

static void prepare_target(gc_heap *heap)
{
    target = new_thing(heap, "target");
}

static void give_up_what_was_made(void)
{
    if (waiting != NULL)
        assert_true(gc_finalizer_detach(waiting));
    gc_xdecref(shared), gc_xdecref(told_one);
}

static bool refer_in_three_ways(gc_heap *heap)
{
    (void)heap;
    shared = gc_weakref_new(target, NULL, NULL);
    told_one = gc_weakref_new(target, note, target);
    waiting = gc_finalize(target, take_down, target);
    if (shared != NULL && told_one != NULL && waiting != NULL)
        return true;
    give_up_what_was_made();
    return false;
}

static void look_at_target(bool succeeded)
{
    assert_int_equal(gc_getweakrefcount(target), succeeded ? 3 : 0);
    assert_int_equal(gc_refcount(target), succeeded ? 2 : 1);
    if (succeeded)
        give_up_what_was_made();
    gc_decref(target);
    assert_noted("");
}

static void test_one_refusal(void **state)
{
    (void)state;
    fail_each_in_turn(&(trial) { prepare_target, refer_in_three_ways,
                                 look_at_target });
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* the list of tests of weak references */
        cmocka_unit_test(test_misplaced_weak_list),
        cmocka_unit_test(test_referent),
        cmocka_unit_test(test_not_weakly_referable),
        cmocka_unit_test(test_list_of_references),
        cmocka_unit_test(test_repr_is_cut),
        cmocka_unit_test(test_dump_of_references),
        cmocka_unit_test(test_all_cleared_before_callbacks),
        cmocka_unit_test(test_callback_that_collects),
        cmocka_unit_test(test_farewells),
        cmocka_unit_test(test_immortal_reference),
        cmocka_unit_test(test_garbage_is_not_called),
        cmocka_unit_test(test_callback_may_drop_its_reference),
        cmocka_unit_test(test_made_by_a_legacy_finalizer),
        cmocka_unit_test(test_shared_one_made_meanwhile),
        cmocka_unit_test(test_made_by_a_finalizer),
        cmocka_unit_test(test_references_to_the_resurrected),
        cmocka_unit_test(test_the_postponed_are_dead),
        cmocka_unit_test(test_dead_are_not_equal),
        cmocka_unit_test(test_reflected_equality),
        cmocka_unit_test(test_equality_and_hash),
        cmocka_unit_test(test_proxy),
        cmocka_unit_test(test_derived_references),
        cmocka_unit_test(test_no_collections_at_exit),
        cmocka_unit_test(test_every_order_of_death),
        cmocka_unit_test(test_finalize_too_late),
        cmocka_unit_test(test_finalize),
        cmocka_unit_test(test_finalize_at_exit),
        cmocka_unit_test(test_references_out_of_memory),
        cmocka_unit_test(test_one_refusal),
        cmocka_unit_test(test_death_that_everybody_hears_of),
        cmocka_unit_test(test_derived_by_wrapping),
        cmocka_unit_test(test_derived_with_a_finalizer),
        cmocka_unit_test(test_immortality_in_mid_collection),
        cmocka_unit_test(test_chain_of_atoms),
        cmocka_unit_test(test_changes_of_mind_at_exit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
