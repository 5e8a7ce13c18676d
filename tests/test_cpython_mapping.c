/* From chapter appendix E of The Invisible Janitor; made by make tangle. */
/* test_cpython_mapping.c: CPython's tests of weak dictionaries. */
#include "support.h"

/* objects for CPython's tests of tables */
typedef struct item {
    gc_object base;
    gc_weakref *weaklist; /* numbers do not use it */
    gc_object *cycle;     /* nor this */
    int arg;
} item;

/* Called before two items are compared, and before one is hashed. */
static void (*comparing)(void), (*hashing)(void);

static bool item_equal(void *object, void *other)
{
    item *one = object, *two = other;

    if (comparing != NULL)
        comparing();
    return one->base.type == two->base.type && one->arg == two->arg;
}

static bool item_hash(void *object, size_t *hash)
{
    if (hashing != NULL)
        hashing();
    *hash = (size_t)((item *)object)->arg;
    return true;
}

static const gc_field item_fields[] = {
    GC_FIELD(item, cycle), GC_END
};

static const gc_type number_type = {
    .name = "int", .size = sizeof(item),
    .equal = item_equal, .hash = item_hash,
};

static const gc_type object_type = {
    .name = "Object", .size = sizeof(item), .fields = item_fields,
    .weaklist_offset = offsetof(item, weaklist),
    .equal = item_equal, .hash = item_hash,
};

static const gc_type c_type = {
    .name = "C", .size = sizeof(item), .fields = item_fields,
    .weaklist_offset = offsetof(item, weaklist),
};

static item *new_item(gc_heap *heap, const gc_type *type, int arg)
{
    item *i = gc_new(heap, type);

    if (i != NULL)
        i->arg = arg;
    return i;
}

static item *new_ref_cycle(gc_heap *heap)
{
    item *i = new_item(heap, &c_type, 0);

    gc_set_field(&i->cycle, i);
    return i;
}

/* a dictionary for CPython's tests */
typedef struct kind {
    gc_weakdict *(*make)(gc_heap *heap);
    const gc_type *key, *value; /* the types of what is filed */
} kind;

static kind keyed = { gc_weakkeydict_new, &object_type, &number_type };
static kind valued = { gc_weakvaluedict_new, &number_type,
                       &object_type };

enum { COUNT = 10 };

typedef struct fixture {
    const kind *kind;
    gc_heap *heap;
    gc_weakdict *dict;
    item *objects[COUNT]; /* all that keeps them alive */
    size_t count;         /* of them */
} fixture;

static void set_up_empty(fixture *f, const kind *k)
{
    *f = (fixture) { .kind = k, .heap = gc_heap_new(NULL) };
    f->dict = k->make(f->heap);
}

static void file_objects(fixture *f)
{
    for (int i = 0; i < COUNT; i++) {
        item *o = new_item(f->heap, &object_type, i);
        item *n = new_item(f->heap, &number_type, i);
        assert_true(f->kind == &valued
            ? gc_weakdict_set(f->dict, n, o)
            : gc_weakdict_set(f->dict, o, n));
        f->objects[f->count++] = o;
        gc_decref(n);
    }
}

static void set_up(fixture *f, const kind *k)
{
    set_up_empty(f, k);
    file_objects(f);
}

static void drop_last(fixture *f)
{
    gc_clear_field(&f->objects[--f->count]);
}

static void drop_all(fixture *f)
{
    while (f->count > 0)
        drop_last(f);
}

static void tear_down(fixture *f)
{
    drop_all(f);
    gc_decref(f->dict);
    assert_int_equal(gc_heap_free(f->heap), 0);
}

/* Give up an item; what was its argument? */
static int arg_of(item *i)
{
    int arg = i != NULL ? i->arg : -1;

    gc_xdecref(i);
    return arg;
}

/* The argument filed under that of another, by a key like its own. */
static int look_up_arg(const fixture *f, int arg)
{
    item *key = new_item(f->heap, f->kind->key, arg);
    int found = arg_of(gc_weakdict_get(f->dict, key));

    assert_true(gc_weakdict_contains(f->dict, key) == (found != -1));
    gc_decref(key);
    return found;
}

static bool same_items(gc_weakdict *one, gc_weakdict *two)
{
    bool same = gc_weakdict_len(one) == gc_weakdict_len(two);
    gc_weakdict_iter it;
    size_t met = 0;

    for (gc_weakdict_begin(&it, one); gc_weakdict_next(&it); met++) {
        void *value = gc_weakdict_get(two, it.key);
        same = same && value == it.value;
        gc_xdecref(value);
    }
    gc_weakdict_end(&it);
    return same && met == gc_weakdict_len(one);
}

static gc_weakdict *copy_of(const fixture *f)
{
    gc_weakdict *copy = f->kind->make(f->heap);

    assert_true(gc_weakdict_update(copy, f->dict));
    return copy;
}

/* tests from MappingTestCase */
enum { CYCLES = 20 };

/* File rings: as keys, or each as the value of the key 1. */
static void file_cycles(fixture *f, item *cycles[])
{
    item *one = new_item(f->heap, &number_type, 1);

    for (int i = 0; i < CYCLES; i++) {
        item *c = cycles[i] = new_ref_cycle(f->heap);
        assert_true(f->kind == &valued
            ? gc_weakdict_set(f->dict, one, c)
            : gc_weakdict_set(f->dict, c, one));
    }
    gc_decref(one);
}

static void let_go_of_cycles(item *cycles[])
{
    for (int i = 0; i < CYCLES; i++)
        gc_clear_field(&cycles[i]);
}

static void check_len_cycles(const kind *k)
{
    fixture f;
    item *cycles[CYCLES];
    gc_weakdict_iter it;

    set_up_empty(&f, k);
    file_cycles(&f, cycles);
    assert_int_equal(gc_weakdict_len(f.dict),
                     k == &valued ? 1 : CYCLES);
    gc_weakdict_begin(&it, f.dict);
    assert_true(gc_weakdict_next(&it));
    let_go_of_cycles(cycles);
    gc_collect(f.heap);
    assert_int_equal(gc_weakdict_len(f.dict), 1);
    gc_weakdict_end(&it);
    gc_collect(f.heap);
    assert_int_equal(gc_weakdict_len(f.dict), 0);
    tear_down(&f);
}

static void test_weak_keyed_len_cycles(void **state)
{
    (void)state;
    check_len_cycles(&keyed);
}

static void test_weak_valued_len_cycles(void **state)
{
    (void)state;
    check_len_cycles(&valued);
}

static void litter(gc_heap *heap)
{
    for (int i = 0; i < CYCLES; i++)
        gc_decref(new_ref_cycle(heap));
}

static void race(fixture *f)
{
    item *cycles[CYCLES];
    gc_weakdict_iter it;

    file_cycles(f, cycles);
    let_go_of_cycles(cycles);
    gc_weakdict_begin(&it, f->dict);
    gc_weakdict_next(&it);
    litter(f->heap);
    size_t n1 = gc_weakdict_len(f->dict);
    gc_weakdict_end(&it);
    litter(f->heap);
    size_t n2 = gc_weakdict_len(f->dict);
    assert_true(n1 <= CYCLES);
    assert_true(n2 <= n1);
}

static void check_len_race(const kind *k)
{
    for (size_t th = 1; th < 100; th++) {
        fixture f;
        set_up_empty(&f, k);
        gc_set_threshold(f.heap, th, th, th);
        race(&f);
        gc_collect(f.heap);
        assert_int_equal(gc_weakdict_len(f.dict), 0);
        tear_down(&f);
    }
}

static void test_weak_keyed_len_race(void **state)
{
    (void)state;
    check_len_race(&keyed);
}

static void test_weak_valued_len_race(void **state)
{
    (void)state;
    check_len_race(&valued);
}

static void check_contents(fixture *f)
{
    for (size_t i = 0; i < f->count; i++) {
        int arg = f->objects[i]->arg;
        assert_int_equal(gc_getweakrefcount(f->objects[i]), 1);
        assert_int_equal(look_up_arg(f, arg), arg);
    }
    gc_weakdict *copy = copy_of(f);
    assert_true(same_items(f->dict, copy));
    assert_int_equal(gc_getweakrefcount(f->objects[0]), 2);
    gc_decref(copy);
    assert_int_equal(gc_weakdict_len(f->dict), COUNT);
    gc_clear_field(&f->objects[0]);
    assert_int_equal(gc_weakdict_len(f->dict), COUNT - 1);
    assert_int_equal(look_up_arg(f, 0), -1);
    drop_all(f);
    assert_int_equal(gc_weakdict_len(f->dict), 0);
}

static void test_weak_values(void **state)
{
    fixture f;

    (void)state;
    set_up(&f, &valued);
    for (int i = 0; i < COUNT; i++) {
        item *key = new_item(f.heap, &number_type, i);
        item *value = gc_weakdict_get(f.dict, key);
        assert_ptr_equal(value, f.objects[i]);
        gc_decref(value), gc_decref(key);
    }
    check_contents(&f);
    item *two = new_item(f.heap, &number_type, 2);
    item *c = new_item(f.heap, &c_type, 0);
    assert_int_equal(look_up_arg(&f, 1), -1);
    assert_true(gc_weakdict_set(f.dict, two, c));
    gc_decref(c);
    assert_null(gc_weakdict_get(f.dict, two));
    gc_decref(two);
    tear_down(&f);
}

static void test_weak_keys(void **state)
{
    fixture f;

    (void)state;
    set_up(&f, &keyed);
    check_contents(&f);
    item *o = new_item(f.heap, &object_type, 42);
    item *number = new_item(f.heap, &number_type, 34);
    assert_true(gc_weakdict_set(f.dict, o, number));
    assert_true(gc_weakdict_contains(f.dict, o));
    assert_false(gc_weakdict_contains(f.dict, number));
    gc_decref(o), gc_decref(number);
    tear_down(&f);
}

static void assert_meets_all(const fixture *f)
{
    bool met[COUNT] = { false };
    gc_weakdict_iter it;
    size_t steps = 0;

    for (gc_weakdict_begin(&it, f->dict); gc_weakdict_next(&it);) {
        item *o = f->kind == &valued ? it.value : it.key;
        int arg = o->arg;
        assert_ptr_equal(o, f->objects[arg]);
        assert_int_equal(((item *)it.key)->arg, arg);
        assert_int_equal(((item *)it.value)->arg, arg);
        assert_false(met[arg]);
        met[arg] = true;
        steps++;
    }
    gc_weakdict_end(&it);
    assert_int_equal(steps, f->count);
}

static void check_iters(const kind *k)
{
    fixture f;
    gc_weakdict_iter it;

    set_up(&f, k);
    assert_meets_all(&f);
    for (gc_weakdict_begin(&it, f.dict); gc_weakdict_next(&it);)
        assert_meets_all(&f);
    gc_weakdict_end(&it);
    for (int i = 0; i < COUNT; i++) {
        gc_weakref *ref;
        assert_int_equal(gc_getweakrefs(f.objects[i], &ref, 1), 1);
        item *o = gc_weakref_get(ref);
        assert_ptr_equal(o, f.objects[i]);
        assert_int_equal(look_up_arg(&f, o->arg), i);
        gc_decref(o);
    }
    tear_down(&f);
}

static void test_weak_keyed_iters(void **state)
{
    (void)state;
    check_iters(&keyed);
}

static void test_weak_valued_iters(void **state)
{
    (void)state;
    check_iters(&valued);
}

static void check_destroy(fixture *f)
{
    size_t n = gc_weakdict_len(f->dict), rest = 0;
    gc_weakdict_iter it;

    gc_weakdict_begin(&it, f->dict);
    assert_true(gc_weakdict_next(&it));
    drop_last(f);
    gc_collect(f->heap);
    while (gc_weakdict_next(&it))
        rest++;
    assert_int_equal(rest, f->count - 1);
    gc_weakdict_end(&it);
    assert_int_equal(gc_weakdict_len(f->dict), n - 1);
}

typedef struct context {
    gc_weakdict_iter it;
    item *key, *value; /* kept until the next context */
} context;

static void enter_context(context *c, fixture *f)
{
    gc_weakdict_begin(&c->it, f->dict);
    assert_true(gc_weakdict_next(&c->it));
    int arg = f->objects[f->count - 1]->arg;
    drop_last(f);
    gc_collect(f->heap);
    gc_clear_field(&c->key);
    gc_clear_field(&c->value);
    c->key = new_item(f->heap, f->kind->key, arg);
    c->value = new_item(f->heap, f->kind->value, arg);
}

static void leave_context(context *c, fixture *f)
{
    gc_weakdict_end(&c->it);
    gc_collect(f->heap);
}

static void check_not_there(context *c, fixture *f)
{
    enter_context(c, f);
    assert_false(gc_weakdict_contains(f->dict, c->key));
    leave_context(c, f);
    enter_context(c, f);
    assert_false(gc_weakdict_delete(f->dict, c->key));
    leave_context(c, f);
    assert_false(gc_weakdict_contains(f->dict, c->key));
    enter_context(c, f);
    assert_null(gc_weakdict_pop(f->dict, c->key));
    leave_context(c, f);
    assert_false(gc_weakdict_contains(f->dict, c->key));
}

static void check_set_again(context *c, fixture *f)
{
    enter_context(c, f);
    assert_true(gc_weakdict_set(f->dict, c->key, c->value));
    leave_context(c, f);
    item *value = gc_weakdict_get(f->dict, c->key);
    assert_ptr_equal(value, c->value);
    gc_decref(value);
    gc_weakdict *copy = copy_of(f);
    enter_context(c, f);
    assert_true(gc_weakdict_update(f->dict, copy));
    leave_context(c, f);
    assert_true(same_items(f->dict, copy));
    gc_decref(copy);
    enter_context(c, f);
    gc_weakdict_clear(f->dict);
    leave_context(c, f);
    assert_int_equal(gc_weakdict_len(f->dict), 0);
}

static void check_destroy_and_mutate(const kind *k)
{
    fixture f;
    context c = { .key = NULL };

    set_up(&f, k);
    check_not_there(&c, &f);
    check_set_again(&c, &f);
    gc_decref(c.key), gc_decref(c.value);
    tear_down(&f);
}

static item *first_key(gc_weakdict *d)
{
    gc_weakdict_iter it;

    gc_weakdict_begin(&it, d);
    assert_true(gc_weakdict_next(&it));
    item *key = gc_new_ref(it.key);
    gc_weakdict_end(&it);
    return key;
}

static void pop_latest(gc_weakdict *d)
{
    void *key, *value;

    assert_true(gc_weakdict_popitem(d, &key, &value));
    gc_decref(key), gc_decref(value);
}

/* One of COUNT dies; the first is popped, and o comes. */
static void check_len_after_pop(context *c, fixture *f, item *o)
{
    enter_context(c, f);
    item *key = first_key(f->dict);
    gc_decref(gc_weakdict_pop(f->dict, key));
    gc_decref(key);
    assert_int_equal(gc_weakdict_len(f->dict), COUNT - 2);
    assert_true(gc_weakdict_set(f->dict, o, o));
    assert_int_equal(gc_weakdict_len(f->dict), COUNT - 1);
    leave_context(c, f);
    enter_context(c, f);
    assert_int_equal(gc_weakdict_len(f->dict), COUNT - 2);
    pop_latest(f->dict);
    assert_false(gc_weakdict_contains(f->dict, o));
    assert_int_equal(gc_weakdict_len(f->dict), COUNT - 3);
    leave_context(c, f);
}

static void check_len_after_delete(context *c, fixture *f)
{
    enter_context(c, f);
    assert_int_equal(gc_weakdict_len(f->dict), COUNT - 4);
    item *key = first_key(f->dict);
    assert_true(gc_weakdict_delete(f->dict, key));
    gc_decref(key);
    assert_int_equal(gc_weakdict_len(f->dict), COUNT - 5);
    leave_context(c, f);
    enter_context(c, f);
    assert_int_equal(gc_weakdict_len(f->dict), COUNT - 6);
    pop_latest(f->dict);
    assert_int_equal(gc_weakdict_len(f->dict), COUNT - 7);
    leave_context(c, f);
    enter_context(c, f);
    gc_weakdict_clear(f->dict);
    assert_int_equal(gc_weakdict_len(f->dict), 0);
    leave_context(c, f);
    assert_int_equal(gc_weakdict_len(f->dict), 0);
}

static void check_del_and_len(const kind *k)
{
    fixture f;
    context c = { .key = NULL };

    set_up(&f, k);
    item *o = new_item(f.heap, &object_type, 123456);
    check_len_after_pop(&c, &f, o);
    check_len_after_delete(&c, &f);
    gc_decref(c.key), gc_decref(c.value), gc_decref(o);
    tear_down(&f);
}

static void check_destroy_while_iterating(const kind *k)
{
    fixture f;

    set_up(&f, k);
    for (int i = 0; i < 4; i++)
        check_destroy(&f);
    tear_down(&f);
    check_destroy_and_mutate(k);
    check_del_and_len(k);
}

static void test_weak_keys_destroy_while_iterating(void **state)
{
    (void)state;
    check_destroy_while_iterating(&keyed);
}

static void test_weak_values_destroy_while_iterating(void **state)
{
    (void)state;
    check_destroy_while_iterating(&valued);
}

static void check_make_from(const kind *k, const kind *from)
{
    gc_heap *heap = gc_heap_new(NULL);
    gc_weakdict *old = from->make(heap), *new = k->make(heap);
    item *key = new_item(heap, &object_type, 3);
    item *value = new_item(heap, &object_type, 364);

    assert_true(gc_weakdict_set(old, key, value));
    assert_true(gc_weakdict_update(new, old));
    assert_true(same_items(new, old));
    gc_decref(old);
    item *found = gc_weakdict_get(new, key);
    assert_ptr_equal(found, value);
    gc_decref(found), gc_decref(key), gc_decref(value);
    assert_int_equal(gc_weakdict_len(new), 0);
    gc_decref(new);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_make_weak_keyed_dict_from_dict(void **state)
{
    (void)state;
    check_make_from(&keyed, &valued);
}

static void test_make_weak_keyed_dict_from_weak_keyed_dict(void **state)
{
    (void)state;
    check_make_from(&keyed, &keyed);
}

static void test_make_weak_valued_dict_from_dict(void **state)
{
    (void)state;
    check_make_from(&valued, &keyed);
}

static void
test_make_weak_valued_dict_from_weak_valued_dict(void **state)
{
    (void)state;
    check_make_from(&valued, &valued);
}

static void assert_pops(gc_weakdict *d, void *key, void *value)
{
    void *k, *v;

    assert_true(gc_weakdict_popitem(d, &k, &v));
    assert_ptr_equal(k, key);
    assert_ptr_equal(v, value);
    gc_decref(k), gc_decref(v);
}

/* Four things to be filed: two keys and two values. */
static void make_pairs(const fixture *f, item *keys[2], item *values[2])
{
    const gc_type *n = &number_type, *c = &c_type;

    for (int i = 0; i < 2; i++) {
        keys[i] = new_item(f->heap, f->kind == &valued ? n : c, i);
        values[i] = new_item(f->heap, f->kind == &valued ? c : n, i);
    }
}

static void check_popitem(const kind *k)
{
    fixture f;
    item *keys[2], *values[2];

    set_up_empty(&f, k);
    make_pairs(&f, keys, values);
    for (int i = 0; i < 2; i++)
        assert_true(gc_weakdict_set(f.dict, keys[i], values[i]));
    assert_int_equal(gc_weakdict_len(f.dict), 2);
    assert_pops(f.dict, keys[1], values[1]);
    assert_int_equal(gc_weakdict_len(f.dict), 1);
    assert_pops(f.dict, keys[0], values[0]);
    assert_int_equal(gc_weakdict_len(f.dict), 0);
    for (int i = 0; i < 2; i++)
        gc_decref(keys[i]), gc_decref(values[i]);
    tear_down(&f);
}

static void check_setdefault(const kind *k)
{
    fixture f;
    item *keys[2], *values[2], *found;

    set_up_empty(&f, k);
    make_pairs(&f, keys, values);
    for (int i = 0; i < 2; i++) {
        found = gc_weakdict_setdefault(f.dict, keys[0], values[i]);
        assert_ptr_equal(found, values[0]);
        gc_decref(found);
        assert_true(gc_weakdict_contains(f.dict, keys[0]));
        found = gc_weakdict_get(f.dict, keys[0]);
        assert_ptr_equal(found, values[0]);
        gc_decref(found);
    }
    assert_int_equal(gc_weakdict_len(f.dict), 1);
    for (int i = 0; i < 2; i++)
        gc_decref(keys[i]), gc_decref(values[i]);
    tear_down(&f);
}

/* Update a dictionary with three entries, of all sorts. */
static void check_update(const kind *k)
{
    fixture f;
    item *keys[3], *values[3];
    const gc_type *sorts[] = { &object_type, &c_type, k->key };

    set_up_empty(&f, k);
    for (int i = 0; i < 3; i++) {
        keys[i] = new_item(f.heap, sorts[i], 'a' + i);
        values[i] = new_item(f.heap, k->value, i);
        assert_true(gc_weakdict_set(f.dict, keys[i], values[i]));
    }
    gc_weakdict *new = copy_of(&f);
    assert_int_equal(gc_weakdict_len(new), 3);
    assert_true(same_items(new, f.dict));
    assert_true(same_items(f.dict, new));
    gc_decref(new);
    for (int i = 0; i < 3; i++)
        gc_decref(keys[i]), gc_decref(values[i]);
    tear_down(&f);
}

static void test_weak_valued_dict_popitem(void **state)
{
    (void)state;
    check_popitem(&valued);
}

static void test_weak_keyed_dict_popitem(void **state)
{
    (void)state;
    check_popitem(&keyed);
}

static void test_weak_valued_dict_setdefault(void **state)
{
    (void)state;
    check_setdefault(&valued);
}

static void test_weak_keyed_dict_setdefault(void **state)
{
    (void)state;
    check_setdefault(&keyed);
}

static void test_weak_valued_dict_update(void **state)
{
    (void)state;
    check_update(&valued);
}

static void test_weak_keyed_dict_update(void **state)
{
    (void)state;
    check_update(&keyed);
}

static void check_delitem(const kind *k)
{
    fixture f;
    item *keys[2], *values[2];
    gc_weakdict_iter it;

    set_up_empty(&f, k);
    make_pairs(&f, keys, values);
    for (int i = 0; i < 2; i++)
        assert_true(gc_weakdict_set(f.dict, keys[i], values[i]));
    assert_int_equal(gc_weakdict_len(f.dict), 2);
    assert_true(gc_weakdict_delete(f.dict, keys[0]));
    assert_int_equal(gc_weakdict_len(f.dict), 1);
    gc_weakdict_begin(&it, f.dict);
    assert_true(gc_weakdict_next(&it));
    assert_true(it.key == keys[1] && it.value == values[1]);
    assert_false(gc_weakdict_next(&it));
    gc_weakdict_end(&it);
    for (int i = 0; i < 2; i++)
        gc_decref(keys[i]), gc_decref(values[i]);
    tear_down(&f);
}

static void test_weak_keyed_delitem(void **state)
{
    (void)state;
    check_delitem(&keyed);
}

static void test_weak_valued_delitem(void **state)
{
    (void)state;
    check_delitem(&valued);
}

static void test_weak_keyed_bad_delitem(void **state)
{
    fixture f;

    (void)state;
    set_up(&f, &keyed);
    item *o = new_item(f.heap, &object_type, COUNT);
    item *number = new_item(f.heap, &number_type, 1);
    assert_false(gc_weakdict_delete(f.dict, o));
    assert_null(gc_weakdict_get(f.dict, o));
    assert_false(gc_weakdict_delete(f.dict, number));
    assert_null(gc_weakdict_get(f.dict, number));
    assert_false(gc_weakdict_set(f.dict, number, number));
    assert_int_equal(gc_weakdict_len(f.dict), COUNT);
    gc_decref(o), gc_decref(number);
    tear_down(&f);
}

static item **doomed;
static size_t left;

static void kill_last(void)
{
    if (left > 0)
        gc_clear_field(&doomed[--left]);
}

static void delete_by_equal(gc_weakdict *d, const item *o)
{
    item *same = new_item(gc_heap_of(d), &object_type, o->arg);

    comparing = kill_last;
    bool deleted = gc_weakdict_delete(d, same);
    comparing = NULL;
    assert_true(deleted);
    gc_decref(same);
}

static void test_weak_keyed_cascading_deletes(void **state)
{
    item *objects[4], *value;
    size_t count;
    fixture f;

    (void)state;
    set_up_empty(&f, &keyed);
    value = new_item(f.heap, &number_type, 0);
    for (int i = 0; i < 4; i++) {
        objects[3 - i] = new_item(f.heap, &object_type, i);
        assert_true(gc_weakdict_set(f.dict, objects[3 - i], value));
    }
    doomed = objects, left = 4;
    for (count = 0; count < left; count++)
        delete_by_equal(f.dict, objects[count]);
    assert_int_equal(count, 2);
    assert_int_equal(gc_weakdict_len(f.dict), 0);
    assert_int_equal(gc_refcount(value), 1);
    gc_decref(objects[0]), gc_decref(objects[1]), gc_decref(value);
    tear_down(&f);
}

#ifndef TEST_SHRINK
#define TEST_SHRINK 1
#endif

static gc_heap *collected;

static void collect(void)
{
    gc_collect(collected);
}

/* Only comparisons collect from now on. */
static void set_up_racing(fixture *f, const kind *k)
{
    set_up_empty(f, k);
    gc_disable(f->heap);
    collected = f->heap;
    comparing = collect;
}

/* Make the entry of an object the latest one. */
static void set_last(const fixture *f, item *o)
{
    item *key = new_item(f->heap, &number_type, o->arg);

    gc_weakdict_delete(f->dict, key);
    assert_true(gc_weakdict_set(f->dict, key, o));
    gc_decref(key);
}

static void tear_down_racing(fixture *f)
{
    comparing = hashing = NULL;
    gc_collect(f->heap);
    assert_int_equal(gc_weakdict_len(f->dict), 0);
    tear_down(f);
}

static void test_threaded_weak_valued_setdefault(void **state)
{
    fixture f;

    (void)state;
    set_up_racing(&f, &valued);
    item *last = new_item(f.heap, &object_type, 11);
    for (int i = 0; i < 100000 / TEST_SHRINK; i++) {
        item *ten = new_item(f.heap, &number_type, 10);
        item *c = new_ref_cycle(f.heap);
        item *x = gc_weakdict_setdefault(f.dict, ten, c);
        assert_ptr_equal(x, c);
        set_last(&f, last);
        assert_int_equal(gc_weakdict_len(f.dict), 2);
        gc_decref(x), gc_decref(c), gc_decref(ten);
    }
    gc_decref(last);
    tear_down_racing(&f);
}

/* Every other time the value is collected while it is looked for. */
static void test_threaded_weak_valued_pop(void **state)
{
    fixture f;

    (void)state;
    set_up_racing(&f, &valued);
    item *last = new_item(f.heap, &object_type, 11);
    for (int i = 0; i < 100000 / TEST_SHRINK; i++) {
        item *ten = new_item(f.heap, &number_type, 10);
        item *same = new_item(f.heap, &number_type, 10);
        item *c = new_ref_cycle(f.heap);
        assert_true(gc_weakdict_set(f.dict, ten, c));
        set_last(&f, last);
        gc_decref(c);
        comparing = i % 2 != 0 ? collect : NULL;
        item *x = gc_weakdict_pop(f.dict, same);
        assert_ptr_equal(x, i % 2 != 0 ? NULL : c);
        assert_int_equal(gc_weakdict_len(f.dict), 1);
        gc_xdecref(x), gc_decref(ten), gc_decref(same);
    }
    gc_decref(last);
    tear_down_racing(&f);
}

static void test_threaded_weak_valued_consistency(void **state)
{
    fixture f;

    (void)state;
    set_up_racing(&f, &valued);
    item *last = new_item(f.heap, &object_type, 11);
    for (int i = 0; i < 200000 / TEST_SHRINK; i++) {
        item *ten = new_item(f.heap, &number_type, 10);
        item *o = new_ref_cycle(f.heap);
        assert_true(gc_weakdict_set(f.dict, ten, o));
        set_last(&f, last);
        assert_int_equal(gc_weakdict_len(f.dict), 2);
        gc_decref(o), gc_decref(ten);
    }
    gc_decref(last);
    tear_down_racing(&f);
}

static void test_weak_valued_consistency(void **state)
{
    fixture f;
    gc_weakref *ref;

    (void)state;
    set_up_empty(&f, &valued);
    gc_disable(f.heap);
    item *ten = new_item(f.heap, &number_type, 10);
    item *old = new_ref_cycle(f.heap), *o = new_ref_cycle(f.heap);
    assert_true(gc_weakdict_set(f.dict, ten, old));
    assert_int_equal(gc_getweakrefs(old, &ref, 1), 1);
    gc_incref(ref);
    assert_true(gc_weakdict_set(f.dict, ten, o));
    gc_decref(old);
    gc_collect(f.heap);
    assert_null(gc_weakref_get(ref));
    assert_int_equal(gc_weakdict_len(f.dict), 1);
    gc_decref(ref), gc_decref(o), gc_decref(ten);
    gc_collect(f.heap);
    assert_int_equal(gc_weakdict_len(f.dict), 0);
    tear_down(&f);
}

enum { ENTRIES = 70000 / TEST_SHRINK };

static unsigned seed = 1;

static void kill_any(void)
{
    if (left == 0)
        return;
    seed = seed * 1664525u + 1013904223u;
    item **one = &doomed[(seed >> 8) % left], **last = &doomed[--left];
    gc_object *dying = &(*one)->base;
    *one = *last, *last = NULL;
    gc_decref(dying);
    if (left % 1000 == 0)
        gc_collect(collected);
}

/* File that many entries. CPython's have keys by identity. */
static void file_many(const fixture *f)
{
    static item *objects[ENTRIES];

    doomed = objects;
    for (left = 0; left < ENTRIES; left++) {
        int arg = (int)left;
        item *key = new_item(f->heap, f->kind->key, arg);
        item *value = new_item(f->heap, f->kind->value, arg);
        assert_true(gc_weakdict_set(f->dict, key, value));
        objects[left] = f->kind == &valued ? value : key;
        gc_decref(f->kind == &valued ? key : value);
    }
}

static void check_copy(const kind *k)
{
    fixture f;

    set_up_racing(&f, k);
    file_many(&f);
    hashing = kill_any;
    gc_weakdict *copy = copy_of(&f);
    hashing = comparing = NULL;
    assert_true(left > 0 && left < ENTRIES);
    assert_int_equal(gc_weakdict_len(copy), left);
    assert_true(same_items(f.dict, copy));
    while (left > 0)
        kill_last();
    assert_int_equal(gc_weakdict_len(copy), 0);
    gc_decref(copy);
    tear_down_racing(&f);
}

static void test_threaded_weak_key_dict_copy(void **state)
{
    (void)state;
    check_copy(&keyed);
}

static void test_threaded_weak_value_dict_copy(void **state)
{
    (void)state;
    check_copy(&valued);
}

static void test_remove_closure(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    gc_weakdict *d = gc_weakvaluedict_new(heap);
    item *o = new_item(heap, &object_type, 1);

    (void)state;
    gc_disable(heap);
    assert_true(gc_weakdict_set(d, o, o));
    assert_int_equal(gc_refcount(d), 1);
    gc_weakref *ref = gc_weakref_new(d, NULL, NULL);
    gc_decref(d);
    assert_null(gc_weakref_get(ref));
    gc_decref(ref);
    assert_int_equal(gc_refcount(o), 1);
    assert_int_equal(gc_heap_count(heap), 1);
    gc_decref(o);
    assert_int_equal(gc_heap_free(heap), 0);
}

/* tests of the mapping protocol */
enum { IN = 1, OTHER = 2, PAIRS = 3 };

typedef struct mapping {
    const kind *kind;
    gc_heap *heap;
    gc_weakdict *empty, *reference;   /* pairs 0 and IN */
    item *keys[PAIRS], *values[PAIRS];
} mapping;

static mapping new_mapping(void **state)
{
    const kind *k = *state;
    gc_heap *heap = gc_heap_new(NULL);
    mapping m = { k, heap, k->make(heap), k->make(heap), { 0 }, { 0 } };

    for (int i = 0; i < PAIRS; i++) {
        m.keys[i] = new_item(heap, k->key, i + 1);
        m.values[i] = new_item(heap, k->value, i + 1);
        if (i != OTHER)
            assert_true(gc_weakdict_set(m.reference, m.keys[i],
                                        m.values[i]));
    }
    return m;
}

static void free_mapping(mapping *m)
{
    gc_decref(m->empty), gc_decref(m->reference);
    for (int i = 0; i < PAIRS; i++)
        gc_decref(m->keys[i]), gc_decref(m->values[i]);
    assert_int_equal(gc_heap_free(m->heap), 0);
}

/* Is the value under the key the one that it should be, or none? */
static void assert_has(const mapping *m, gc_weakdict *d, int i)
{
    item *found = gc_weakdict_get(d, m->keys[i]);

    assert_ptr_equal(found, m->values[i]);
    assert_true(gc_weakdict_contains(d, m->keys[i]));
    gc_decref(found);
}

static void assert_lacks(const mapping *m, gc_weakdict *d, int i)
{
    assert_null(gc_weakdict_get(d, m->keys[i]));
    assert_false(gc_weakdict_contains(d, m->keys[i]));
}

/* Go through the reference; key or value i is met at step i. */
static void assert_items(const mapping *m, gc_weakdict *d)
{
    gc_weakdict_iter it;
    int i = 0;

    for (gc_weakdict_begin(&it, d); gc_weakdict_next(&it); i++) {
        assert_true(i <= IN);
        assert_ptr_equal(it.key, m->keys[i]);
        assert_ptr_equal(it.value, m->values[i]);
    }
    gc_weakdict_end(&it);
    assert_int_equal(i, OTHER);
}

static void mapping_read(void **state)
{
    mapping m = new_mapping(state);

    assert_has(&m, m.reference, 0), assert_has(&m, m.reference, IN);
    assert_lacks(&m, m.reference, OTHER);
    assert_int_equal(gc_weakdict_len(m.empty), 0);
    assert_int_equal(gc_weakdict_len(m.reference), 2);
    assert_true(same_items(m.empty, m.empty));
    assert_true(same_items(m.reference, m.reference));
    assert_false(same_items(m.empty, m.reference));
    assert_false(same_items(m.reference, m.empty));
    assert_items(&m, m.reference);
    free_mapping(&m);
}

static void check_set_and_delete(mapping *m)
{
    gc_weakdict *p = m->empty;

    for (int i = 0; i < OTHER; i++) {
        assert_true(gc_weakdict_set(p, m->keys[i], m->values[i]));
        assert_has(m, p, i);
    }
    for (int i = 0; i < OTHER; i++) {
        assert_true(gc_weakdict_delete(p, m->keys[i]));
        assert_lacks(m, p, i);
    }
    assert_true(gc_weakdict_update(p, m->reference));
    assert_items(m, p);
    gc_weakdict_clear(p);
}

/* The value that was popped, or was the default, is this one. */
static void assert_is(item *found, const item *value)
{
    assert_ptr_equal(found, value);
    gc_decref(found);
}

static void check_setdefault_and_pop(mapping *m)
{
    gc_weakdict *d = m->reference;
    item **k = m->keys, **v = m->values;

    assert_is(gc_weakdict_setdefault(d, k[0], v[OTHER]), v[0]);
    assert_has(m, d, 0);
    assert_is(gc_weakdict_setdefault(d, k[OTHER], v[OTHER]), v[OTHER]);
    assert_has(m, d, OTHER);
    assert_is(gc_weakdict_pop(d, k[OTHER]), v[OTHER]);
    assert_lacks(m, d, OTHER);
    assert_null(gc_weakdict_pop(d, k[OTHER]));
    assert_true(gc_weakdict_set(d, k[OTHER], v[OTHER]));
    assert_is(gc_weakdict_pop(d, k[OTHER]), v[OTHER]);
    assert_lacks(m, d, OTHER);
}

static void mapping_write(void **state)
{
    mapping m = new_mapping(state);
    void *key, *value;

    check_set_and_delete(&m);
    check_setdefault_and_pop(&m);
    assert_pops(m.reference, m.keys[IN], m.values[IN]);
    assert_lacks(&m, m.reference, IN);
    assert_has(&m, m.reference, 0);
    assert_false(gc_weakdict_popitem(m.empty, &key, &value));
    free_mapping(&m);
}

static void mapping_constructor(void **state)
{
    mapping m = new_mapping(state);
    gc_weakdict *another = m.kind->make(m.heap);

    assert_true(same_items(m.empty, another));
    assert_true(gc_weakdict_update(another, m.reference));
    assert_int_equal(gc_weakdict_len(m.empty), 0);
    gc_decref(another);
    free_mapping(&m);
}

static void mapping_bool(void **state)
{
    mapping m = new_mapping(state);

    assert_false(gc_weakdict_len(m.empty));
    assert_true(gc_weakdict_len(m.reference));
    gc_weakdict_clear(m.reference);
    assert_false(gc_weakdict_len(m.reference));
    free_mapping(&m);
}

static bool is_empty(gc_weakdict *d)
{
    gc_weakdict_iter it;

    gc_weakdict_begin(&it, d);
    bool met = gc_weakdict_next(&it);
    gc_weakdict_end(&it);
    return !met;
}

static void mapping_keys(void **state)
{
    mapping m = new_mapping(state);

    assert_true(is_empty(m.empty));
    assert_true(gc_weakdict_contains(m.reference, m.keys[IN]));
    assert_false(gc_weakdict_contains(m.reference, m.keys[OTHER]));
    free_mapping(&m);
}

static void mapping_values(void **state)
{
    mapping m = new_mapping(state);

    assert_true(is_empty(m.empty));
    gc_weakdict_clear(m.reference);
    assert_true(is_empty(m.reference));
    free_mapping(&m);
}

static void mapping_items(void **state)
{
    mapping m = new_mapping(state);

    assert_true(is_empty(m.empty));
    for (int i = 0; i < OTHER; i++)
        assert_true(gc_weakdict_delete(m.reference, m.keys[i]));
    assert_true(is_empty(m.reference));
    free_mapping(&m);
}

static void mapping_len(void **state)
{
    mapping m = new_mapping(state);

    assert_int_equal(gc_weakdict_len(m.empty), 0);
    for (int i = OTHER; i-- > 0;) {
        pop_latest(m.reference);
        assert_int_equal(gc_weakdict_len(m.reference), i);
    }
    free_mapping(&m);
}

static void mapping_getitem(void **state)
{
    mapping m = new_mapping(state);

    assert_is(gc_weakdict_get(m.reference, m.keys[IN]), m.values[IN]);
    free_mapping(&m);
}

static void mapping_get(void **state)
{
    mapping m = new_mapping(state);

    assert_lacks(&m, m.empty, OTHER);
    assert_lacks(&m, m.reference, OTHER);
    assert_has(&m, m.reference, IN);
    free_mapping(&m);
}

/* A default that is missing: NULL. */
static void mapping_setdefault(void **state)
{
    mapping m = new_mapping(state);

    assert_null(gc_weakdict_setdefault(m.empty, m.keys[0], NULL));
    assert_int_equal(gc_weakdict_len(m.empty), 0);
    free_mapping(&m);
}

static void mapping_popitem(void **state)
{
    mapping m = new_mapping(state);
    void *key, *value;

    assert_false(gc_weakdict_popitem(m.empty, &key, &value));
    pop_latest(m.reference), pop_latest(m.reference);
    assert_false(gc_weakdict_popitem(m.reference, &key, &value));
    free_mapping(&m);
}

static void mapping_pop(void **state)
{
    mapping m = new_mapping(state);
    gc_weakdict *d = m.empty;

    assert_true(gc_weakdict_set(d, m.keys[IN], m.values[IN]));
    assert_null(gc_weakdict_pop(d, m.keys[OTHER]));
    assert_is(gc_weakdict_pop(d, m.keys[IN]), m.values[IN]);
    assert_int_equal(gc_weakdict_len(d), 0);
    assert_null(gc_weakdict_pop(d, m.keys[IN]));
    free_mapping(&m);
}

/* Copy nine entries, the last of which makes the table grow, with so
 * many allocations. Was that enough? */
static bool update_on_budget(const kind *k, size_t allocations)
{
    budget b = { .left = 1000 };
    gc_options options = { .allocator = on_budget(&b) };
    fixture f = { .kind = k, .heap = gc_heap_new(&options) };

    f.dict = k->make(f.heap);
    file_objects(&f);
    drop_last(&f);
    gc_weakdict *copy = k->make(f.heap);
    b.left = allocations;
    bool done = gc_weakdict_update(copy, f.dict);
    b.left = 1000;
    assert_true(done == (gc_weakdict_len(copy) == f.count));
    assert_true(gc_weakdict_update(copy, f.dict));
    assert_true(same_items(copy, f.dict));
    gc_decref(copy);
    tear_down(&f);
    assert_int_equal(b.blocks, 0);
    return done;
}

static void mapping_update(void **state)
{
    mapping m = new_mapping(state);
    gc_weakdict *d = m.kind->make(m.heap);

    assert_true(gc_weakdict_update(d, m.empty));
    assert_true(is_empty(d));
    assert_true(gc_weakdict_set(m.empty, m.keys[OTHER],
                                m.values[OTHER]));
    assert_true(gc_weakdict_update(d, m.empty));
    assert_true(same_items(d, m.empty));
    gc_weakdict_clear(d);
    assert_true(gc_weakdict_update(d, m.reference));
    assert_items(&m, d);
    assert_true(gc_weakdict_update(d, m.empty));
    assert_int_equal(gc_weakdict_len(d), PAIRS);
    gc_decref(d);
    free_mapping(&m);
    for (size_t n = 0; !update_on_budget(m.kind, n); n++)
        continue;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* the list of tests from MappingTestCase */
        cmocka_unit_test(test_weak_keyed_len_cycles),
        cmocka_unit_test(test_weak_valued_len_cycles),
        cmocka_unit_test(test_weak_keyed_len_race),
        cmocka_unit_test(test_weak_valued_len_race),
        cmocka_unit_test(test_weak_values),
        cmocka_unit_test(test_weak_keys),
        cmocka_unit_test(test_weak_keyed_iters),
        cmocka_unit_test(test_weak_valued_iters),
        cmocka_unit_test(test_weak_keys_destroy_while_iterating),
        cmocka_unit_test(test_weak_values_destroy_while_iterating),
        cmocka_unit_test(test_make_weak_keyed_dict_from_dict),
        cmocka_unit_test(test_make_weak_keyed_dict_from_weak_keyed_dict),
        cmocka_unit_test(test_make_weak_valued_dict_from_dict),
        cmocka_unit_test(test_make_weak_valued_dict_from_weak_valued_dict),
        cmocka_unit_test(test_weak_valued_dict_popitem),
        cmocka_unit_test(test_weak_keyed_dict_popitem),
        cmocka_unit_test(test_weak_valued_dict_setdefault),
        cmocka_unit_test(test_weak_keyed_dict_setdefault),
        cmocka_unit_test(test_weak_valued_dict_update),
        cmocka_unit_test(test_weak_keyed_dict_update),
        cmocka_unit_test(test_weak_keyed_delitem),
        cmocka_unit_test(test_weak_valued_delitem),
        cmocka_unit_test(test_weak_keyed_bad_delitem),
        cmocka_unit_test(test_weak_keyed_cascading_deletes),
        cmocka_unit_test(test_threaded_weak_valued_setdefault),
        cmocka_unit_test(test_threaded_weak_valued_pop),
        cmocka_unit_test(test_threaded_weak_valued_consistency),
        cmocka_unit_test(test_weak_valued_consistency),
        cmocka_unit_test(test_threaded_weak_key_dict_copy),
        cmocka_unit_test(test_threaded_weak_value_dict_copy),
        cmocka_unit_test(test_remove_closure),
        /* the list of tests of WeakKeyDictionaryTestCase */
        { "WeakKeyDictionaryTestCase_test_bool",
          mapping_bool, NULL, NULL, &keyed },
        { "WeakKeyDictionaryTestCase_test_constructor",
          mapping_constructor, NULL, NULL, &keyed },
        { "WeakKeyDictionaryTestCase_test_get",
          mapping_get, NULL, NULL, &keyed },
        { "WeakKeyDictionaryTestCase_test_getitem",
          mapping_getitem, NULL, NULL, &keyed },
        { "WeakKeyDictionaryTestCase_test_items",
          mapping_items, NULL, NULL, &keyed },
        { "WeakKeyDictionaryTestCase_test_keys",
          mapping_keys, NULL, NULL, &keyed },
        { "WeakKeyDictionaryTestCase_test_len",
          mapping_len, NULL, NULL, &keyed },
        { "WeakKeyDictionaryTestCase_test_pop",
          mapping_pop, NULL, NULL, &keyed },
        { "WeakKeyDictionaryTestCase_test_popitem",
          mapping_popitem, NULL, NULL, &keyed },
        { "WeakKeyDictionaryTestCase_test_read",
          mapping_read, NULL, NULL, &keyed },
        { "WeakKeyDictionaryTestCase_test_setdefault",
          mapping_setdefault, NULL, NULL, &keyed },
        { "WeakKeyDictionaryTestCase_test_update",
          mapping_update, NULL, NULL, &keyed },
        { "WeakKeyDictionaryTestCase_test_values",
          mapping_values, NULL, NULL, &keyed },
        { "WeakKeyDictionaryTestCase_test_write",
          mapping_write, NULL, NULL, &keyed },
        /* the list of tests of WeakValueDictionaryTestCase */
        { "WeakValueDictionaryTestCase_test_bool",
          mapping_bool, NULL, NULL, &valued },
        { "WeakValueDictionaryTestCase_test_constructor",
          mapping_constructor, NULL, NULL, &valued },
        { "WeakValueDictionaryTestCase_test_get",
          mapping_get, NULL, NULL, &valued },
        { "WeakValueDictionaryTestCase_test_getitem",
          mapping_getitem, NULL, NULL, &valued },
        { "WeakValueDictionaryTestCase_test_items",
          mapping_items, NULL, NULL, &valued },
        { "WeakValueDictionaryTestCase_test_keys",
          mapping_keys, NULL, NULL, &valued },
        { "WeakValueDictionaryTestCase_test_len",
          mapping_len, NULL, NULL, &valued },
        { "WeakValueDictionaryTestCase_test_pop",
          mapping_pop, NULL, NULL, &valued },
        { "WeakValueDictionaryTestCase_test_popitem",
          mapping_popitem, NULL, NULL, &valued },
        { "WeakValueDictionaryTestCase_test_read",
          mapping_read, NULL, NULL, &valued },
        { "WeakValueDictionaryTestCase_test_setdefault",
          mapping_setdefault, NULL, NULL, &valued },
        { "WeakValueDictionaryTestCase_test_update",
          mapping_update, NULL, NULL, &valued },
        { "WeakValueDictionaryTestCase_test_values",
          mapping_values, NULL, NULL, &valued },
        { "WeakValueDictionaryTestCase_test_write",
          mapping_write, NULL, NULL, &valued },
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
