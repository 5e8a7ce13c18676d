/* From chapter 7 of The Invisible Janitor; made by make tangle. */
/* test_weakdict.c: the tests of Chapter 7, dictionaries and sets. */
#include "support.h"
#include "internal.h" /* for gc_probe */

/* a thing equal to others of its name */
typedef struct thing {
    gc_object base;
    gc_weakref *weaklist;
    gc_object *other;
    int number;
} thing;

static void (*compared)(void);

static bool thing_equal(void *object, void *other)
{
    thing *one = object, *two = other;

    if (compared != NULL)
        compared();
    return one->base.type == two->base.type
        && one->number == two->number;
}

static bool thing_hash(void *object, size_t *hash)
{
    *hash = (size_t)((thing *)object)->number % 8;
    return true;
}

static const gc_type thing_type = {
    .name = "thing", .size = sizeof(thing),
    .fields = (const gc_field[]) { GC_FIELD(thing, other), GC_END },
    .weaklist_offset = offsetof(thing, weaklist),
    .equal = thing_equal, .hash = thing_hash,
};

static thing *new_thing(gc_heap *heap, int number)
{
    thing *t = gc_new(heap, &thing_type);

    if (t != NULL)
        t->number = number;
    return t;
}

enum { MANY = 100 };

/* So many keys and values, owned by the test, in a dictionary. */
static void fill(gc_weakdict *d, thing *keys[], thing *values[])
{
    gc_heap *heap = gc_heap_of(d);

    for (int i = 0; i < MANY; i++) {
        keys[i] = new_thing(heap, i);
        values[i] = new_thing(heap, 1000 + i);
        assert_true(gc_weakdict_set(d, keys[i], values[i]));
    }
    assert_int_equal(gc_weakdict_len(d), MANY);
}

static void let_go_of(thing *things[])
{
    for (int i = 0; i < MANY; i++)
        gc_clear_field(&things[i]);
}

/* tests of weak dictionaries */
static size_t steps_for(unsigned shift)
{
    static size_t index[2048];
    size_t steps = 0;

    memset(index, 0, sizeof index);
    for (uint64_t i = 1; i <= 1000; i++) {
        size_t step = 0, *at;

        while (*(at = gc_probe(index, 2048, i << shift, step)) != 0)
            step++;
        *at = i;
        steps += step + 1;
    }
    return steps;
}

static void test_every_bit_of_a_hash(void **state)
{
    (void)state;
    for (unsigned shift = 0; shift <= 54; shift++)
        assert_in_range(steps_for(shift), 1000, 4000);
}

static int number_of(void *object)
{
    int number = object != NULL ? ((thing *)object)->number : -1;

    gc_xdecref(object);
    return number;
}

static gc_weakdict *growing;
static thing *ten_keys[10], *one_value;
static int entered;

static void prepare_entries(gc_heap *heap)
{
    growing = gc_weakvaluedict_new(heap);
    one_value = new_thing(heap, 1000);
    for (int i = 0; i <= entered; i++)
        ten_keys[i] = new_thing(heap, i);
    for (int i = 0; i < entered; i++)
        assert_true(gc_weakdict_set(growing, ten_keys[i], one_value));
}

static bool enter_one_more(gc_heap *heap)
{
    (void)heap;
    return gc_weakdict_set(growing, ten_keys[entered], one_value);
}

static void look_at_entries(bool succeeded)
{
    size_t length = (size_t)entered + succeeded;

    assert_int_equal(gc_weakdict_len(growing), length);
    for (int i = 0; i <= entered; i++)
        assert_int_equal(gc_weakdict_contains(growing, ten_keys[i]),
                         i < entered || succeeded);
    gc_clear_field(&one_value);
    assert_int_equal(gc_weakdict_len(growing), 0);
    for (int i = 0; i <= entered; i++) {
        assert_int_equal(gc_refcount(ten_keys[i]), 1);
        gc_clear_field(&ten_keys[i]);
    }
    gc_clear_field(&growing);
}

static void test_one_refusal(void **state)
{
    (void)state;
    for (entered = 0; entered < 10; entered++)
        fail_each_in_turn(&(trial) { prepare_entries, enter_one_more,
                                     look_at_entries });
}

static void test_values(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    gc_weakdict *d = gc_weakvaluedict_new(heap);
    thing *keys[MANY], *values[MANY], *same = new_thing(heap, 7);

    (void)state;
    fill(d, keys, values);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(number_of(gc_weakdict_get(d, keys[i])),
                         1000 + i);
    assert_int_equal(number_of(gc_weakdict_get(d, same)), 1007);
    gc_clear_field(&values[7]);
    assert_false(gc_weakdict_contains(d, same));
    assert_int_equal(gc_weakdict_len(d), MANY - 1);
    assert_int_equal(gc_refcount(keys[7]), 1);
    let_go_of(keys);
    assert_int_equal(gc_weakdict_len(d), MANY - 1);
    let_go_of(values);
    assert_int_equal(gc_weakdict_len(d), 0);
    assert_int_equal(gc_heap_count(heap), 2);
    gc_decref(same), gc_decref(d);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_keys(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    gc_weakdict *d = gc_weakkeydict_new(heap);
    thing *keys[MANY], *values[MANY];

    (void)state;
    fill(d, keys, values);
    let_go_of(values);
    assert_int_equal(gc_weakdict_len(d), MANY);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(number_of(gc_weakdict_get(d, keys[i])),
                         1000 + i);
    for (int i = 0; i < MANY; i += 2)
        gc_clear_field(&keys[i]);
    assert_int_equal(gc_weakdict_len(d), MANY / 2);
    gc_decref(d);
    let_go_of(keys);
    assert_int_equal(gc_heap_count(heap), 0);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_operations(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    gc_weakdict *d = gc_weakvaluedict_new(heap);
    thing *k = new_thing(heap, 1), *v = new_thing(heap, 2);
    thing *w = new_thing(heap, 3);

    (void)state;
    assert_null(gc_weakdict_get(d, k));
    assert_false(gc_weakdict_delete(d, k));
    assert_false(gc_weakdict_set(d, k, NULL));
    assert_null(gc_weakdict_pop(d, k));
    assert_int_equal(number_of(gc_weakdict_setdefault(d, k, v)), 2);
    assert_int_equal(number_of(gc_weakdict_setdefault(d, k, w)), 2);
    assert_true(gc_weakdict_set(d, k, w));
    assert_int_equal(gc_weakdict_len(d), 1);
    assert_int_equal(number_of(gc_weakdict_pop(d, k)), 3);
    assert_true(gc_weakdict_set(d, k, v));
    assert_true(gc_weakdict_delete(d, k));
    assert_int_equal(gc_weakdict_len(d), 0);
    gc_decref(k), gc_decref(v), gc_decref(w), gc_decref(d);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void pop_all(gc_weakdict *d)
{
    void *key, *value;

    for (int i = MANY; i-- > 0;) {
        assert_true(gc_weakdict_popitem(d, &key, &value));
        assert_int_equal(number_of(key), i);
        assert_int_equal(number_of(value), 1000 + i);
    }
    assert_false(gc_weakdict_popitem(d, &key, &value));
}

static void test_popitem_update_clear(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    gc_weakdict *d = gc_weakkeydict_new(heap);
    gc_weakdict *copy = gc_weakkeydict_new(heap);
    thing *keys[MANY], *values[MANY];

    (void)state;
    fill(d, keys, values);
    assert_true(gc_weakdict_update(copy, d));
    assert_true(gc_weakdict_update(copy, copy));
    pop_all(d);
    assert_int_equal(gc_weakdict_len(copy), MANY);
    gc_weakdict_clear(copy);
    assert_int_equal(gc_weakdict_len(copy), 0);
    assert_true(gc_weakdict_set(copy, keys[0], values[0]));
    let_go_of(keys), let_go_of(values);
    gc_decref(d), gc_decref(copy);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_set(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    gc_weakdict *s = gc_weakset_new(heap);
    thing *a = new_thing(heap, 1), *b = new_thing(heap, 2);
    thing *same = new_thing(heap, 1);

    (void)state;
    assert_true(gc_weakset_add(s, a) && gc_weakset_add(s, b));
    assert_true(gc_weakset_add(s, same));
    assert_int_equal(gc_weakdict_len(s), 2);
    assert_true(gc_weakdict_contains(s, same));
    assert_false(gc_weakdict_set(s, a, b));
    gc_clear_field(&a);
    assert_false(gc_weakdict_contains(s, same));
    assert_int_equal(number_of(gc_weakset_pop(s)), 2);
    assert_null(gc_weakset_pop(s));
    gc_decref(b), gc_decref(same), gc_decref(s);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_replaced_value(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    gc_weakdict *d = gc_weakvaluedict_new(heap);
    thing *k = new_thing(heap, 1), *v = new_thing(heap, 2);
    thing *w = new_thing(heap, 3);

    (void)state;
    gc_set_field(&v->other, v);
    assert_true(gc_weakdict_set(d, k, v));
    gc_decref(v);
    gc_disable(heap);
    assert_true(gc_weakdict_set(d, k, w));
    gc_collect(heap);
    assert_int_equal(number_of(gc_weakdict_get(d, k)), 3);
    gc_decref(k), gc_decref(w), gc_decref(d);
    assert_int_equal(gc_heap_free(heap), 0);
}

static thing **dying;
static int left_to_die;

static void kill_one(void)
{
    if (left_to_die > 0)
        gc_clear_field(&dying[--left_to_die]);
}

static void test_cascading_deletes(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    gc_weakdict *d = gc_weakkeydict_new(heap);
    thing *keys[MANY], *values[MANY], *none = new_thing(heap, 504);

    (void)state;
    fill(d, keys, values);
    dying = keys;
    left_to_die = MANY;
    compared = kill_one;
    assert_false(gc_weakdict_contains(d, none));
    compared = NULL;
    assert_int_equal(gc_weakdict_len(d), (size_t)left_to_die);
    let_go_of(keys), let_go_of(values);
    gc_decref(none), gc_decref(d);
    assert_int_equal(gc_heap_free(heap), 0);
}

static gc_weakdict *shrinking;
static thing *sixteen[16], *another;

static void build_anew(void)
{
    compared = NULL;
    for (int i = 0; i < 15; i++)
        assert_true(gc_weakdict_delete(shrinking, sixteen[i]));
    another = new_thing(gc_heap_of(shrinking), 8 * 16);
    assert_true(gc_weakset_add(shrinking, another));
}

static void test_built_anew_while_searching(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *same = new_thing(heap, 8 * 15);

    (void)state;
    shrinking = gc_weakset_new(heap);
    for (int i = 0; i < 16; i++) {
        sixteen[i] = new_thing(heap, 8 * i);
        assert_true(gc_weakset_add(shrinking, sixteen[i]));
    }
    compared = build_anew;
    assert_true(gc_weakdict_contains(shrinking, same));
    assert_null(compared);
    assert_int_equal(gc_weakdict_len(shrinking), 2);
    for (int i = 0; i < 16; i++)
        gc_decref(sixteen[i]);
    gc_decref(same), gc_decref(another), gc_decref(shrinking);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void take_out_the_first(void)
{
    compared = NULL;
    assert_true(gc_weakdict_delete(shrinking, sixteen[0]));
}

static void test_taken_out_while_compared(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *same = new_thing(heap, 3);

    (void)state;
    for (int i = 0; i < 2; i++) {
        shrinking = gc_weakset_new(heap);
        for (int k = 0; k < 2; k++) {
            sixteen[k] = new_thing(heap, 3 + 8 * k);
            assert_true(gc_weakset_add(shrinking, sixteen[k]));
        }
        compared = take_out_the_first;
        assert_false(i == 0 ? gc_weakdict_contains(shrinking, same)
                            : gc_weakdict_delete(shrinking, same));
        assert_int_equal(gc_weakdict_len(shrinking), 1);
        gc_decref(sixteen[0]), gc_decref(sixteen[1]);
        gc_decref(shrinking);
    }
    gc_decref(same);
    assert_int_equal(gc_heap_free(heap), 0);
}

static thing *added[MANY];

static void make_it_grow(void)
{
    compared = NULL;
    for (int i = 0; i < MANY; i++) {
        added[i] = new_thing(gc_heap_of(shrinking), 1000 + i);
        assert_true(gc_weakset_add(shrinking, added[i]));
    }
}

/* Two of each hash, one after the other. */
static int number_of_place(int i)
{
    return i / 2 + i % 2 * 8;
}

static void search_while_it_grows(int size, int wanted)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *same = new_thing(heap, number_of_place(wanted));

    shrinking = gc_weakset_new(heap);
    for (int i = 0; i < size; i++) {
        sixteen[i] = new_thing(heap, number_of_place(i));
        assert_true(gc_weakset_add(shrinking, sixteen[i]));
    }
    compared = make_it_grow;
    assert_true(gc_weakdict_contains(shrinking, same));
    assert_null(compared);
    for (int i = 0; i < size; i++)
        gc_decref(sixteen[i]);
    let_go_of(added), gc_decref(same), gc_decref(shrinking);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_growth_while_searching(void **state)
{
    (void)state;
    for (int size = 1; size <= 16; size++)
        for (int wanted = 0; wanted < size; wanted++)
            search_while_it_grows(size, wanted);
}

static bool refuse_to_hash(void *object, size_t *hash)
{
    (void)object, (void)hash;
    return false;
}

static void must_not_compare(void)
{
    fail();
}

static void try_key(gc_weakdict *d, thing *other, thing *key,
                    thing *value)
{
    assert_true(gc_weakdict_set(d, other, value));
    compared = must_not_compare;
    assert_false(gc_weakdict_set(d, key, value));
    assert_null(gc_weakdict_setdefault(d, key, value));
    assert_null(gc_weakdict_get(d, key));
    assert_null(gc_weakdict_pop(d, key));
    assert_false(gc_weakdict_contains(d, key));
    assert_false(gc_weakdict_delete(d, key));
    compared = NULL;
    assert_int_equal(gc_weakdict_len(d), 1);
    assert_int_equal(gc_refcount(key), 1);
    gc_decref(d);
}

static void test_unhashable_keys(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    gc_type type = thing_type;

    (void)state;
    type.hash = refuse_to_hash;
    thing *key = gc_new(heap, &type), *value = new_thing(heap, 1);
    thing *other = new_thing(heap, 0);
    try_key(gc_weakkeydict_new(heap), other, key, value);
    try_key(gc_weakvaluedict_new(heap), other, key, value);
    try_key(gc_weakset_new(heap), other, key, NULL);
    gc_decref(key), gc_decref(value), gc_decref(other);
    assert_int_equal(gc_heap_free(heap), 0);
}

static bool fill_on_budget(budget *b)
{
    gc_options options = { .allocator = on_budget(b) };
    gc_heap *heap = gc_heap_new(&options);
    gc_weakdict *d = heap ? gc_weakkeydict_new(heap) : NULL;
    thing *keys[20] = { NULL };
    size_t set = 0;

    for (int i = 0; d != NULL && i < 20; i++) {
        keys[i] = new_thing(heap, i);
        if (keys[i] != NULL)
            set += gc_weakdict_set(d, keys[i], keys[0]);
        assert_int_equal(gc_weakdict_len(d), set);
    }
    for (int i = 0; i < 20; i++)
        gc_xdecref(keys[i]);
    gc_xdecref(d);
    assert_int_equal(gc_heap_free(heap), 0);
    return set == 20;
}

static void test_dictionaries_out_of_memory(void **state)
{
    bool done = false;

    (void)state;
    for (size_t n = 0; !done; n++) {
        budget b = { .left = n };
        done = fill_on_budget(&b);
        assert_int_equal(b.blocks, 0);
    }
}

static void test_changes_while_iterating(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    gc_weakdict *d = gc_weakvaluedict_new(heap);
    thing *keys[MANY], *values[MANY], *late = new_thing(heap, 500);
    gc_weakdict_iter it;
    int met = 0;

    (void)state, fill(d, keys, values);
    for (gc_weakdict_begin(&it, d); gc_weakdict_next(&it); met++) {
        int i = ((thing *)it.key)->number;
        if (it.key == late)
            break;
        gc_clear_field(&values[i]);
        gc_weakdict_delete(d, keys[i + 1]);
        gc_weakdict_set(d, late, late);
    }
    gc_weakdict_end(&it);
    assert_true(met == MANY / 2 && gc_weakdict_len(d) == 1);
    let_go_of(keys), let_go_of(values);
    gc_decref(late), gc_decref(d);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_growth_while_iterating(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    gc_weakdict *d = gc_weakkeydict_new(heap);
    thing *keys[MANY], *values[MANY], *more[MANY];
    gc_weakdict_iter it;

    (void)state;
    fill(d, keys, values);
    gc_weakdict_begin(&it, d);
    for (int i = 0; i < MANY - 1; i++)
        gc_clear_field(&keys[i]);
    for (int i = 0; i < MANY; i++) {
        more[i] = new_thing(heap, 2000 + i);
        assert_true(gc_weakdict_set(d, more[i], more[i]));
    }
    for (int i = 0; i <= MANY + 1; i++)
        assert_int_equal(gc_weakdict_next(&it), i <= MANY);
    gc_weakdict_end(&it);
    let_go_of(keys), let_go_of(values);
    gc_decref(d);
    let_go_of(more);
    assert_int_equal(gc_heap_free(heap), 0);
}

static bool meet(gc_weakdict_iter *it, int met[4])
{
    if (!gc_weakdict_next(it))
        return false;
    if (((thing *)it->key)->number < 4)
        met[((thing *)it->key)->number]++;
    return true;
}

static void grow_under_iteration(int steps, int hole)
{
    gc_heap *heap = gc_heap_new(NULL);
    gc_weakdict *s = gc_weakset_new(heap);
    thing *things[MANY];
    int met[4] = { 0 };
    gc_weakdict_iter it;

    for (int i = 0; i < 4; i++)
        gc_weakset_add(s, things[i] = new_thing(heap, i));
    gc_weakdict_begin(&it, s);
    for (int i = 0; i < steps; i++)
        assert_true(meet(&it, met));
    assert_true(gc_weakdict_delete(s, things[hole]));
    for (int i = 4; i < MANY; i++)
        gc_weakset_add(s, things[i] = new_thing(heap, i));
    while (meet(&it, met))
        ;
    gc_weakdict_end(&it);
    for (int i = 0; i < 4; i++)
        assert_int_equal(met[i], i != hole || hole < steps);
    let_go_of(things), gc_decref(s);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_holes_while_iterating(void **state)
{
    (void)state;
    for (int steps = 0; steps <= 4; steps++)
        for (int hole = 0; hole < 4; hole++)
            grow_under_iteration(steps, hole);
}

static void test_iteration_is_over(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    gc_weakdict *s = gc_weakset_new(heap);
    thing *last = new_thing(heap, 0);
    size_t bytes = SIZE_MAX;
    gc_weakdict_iter it;

    (void)state;
    gc_weakdict_begin(&it, s);
    gc_weakdict_end(&it);
    assert_true(gc_weakset_add(s, last));
    for (int i = 0; i < 1000; i++) {
        /* let a thing pass through the set */
        thing *t = new_thing(heap, i);
        assert_true(gc_weakset_add(s, t));
        gc_decref(last);
        last = t;
        if (i == 100)
            bytes = gc_heap_bytes(heap);
        if (!KEEPS_THE_DEAD)
            assert_true(gc_heap_bytes(heap) <= bytes);
    }
    gc_decref(last), gc_decref(s);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_rings(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    gc_weakdict *d = gc_weakvaluedict_new(heap);
    thing *keys[MANY], *values[MANY];

    (void)state;
    fill(d, keys, values);
    for (int i = 0; i < MANY; i++)
        gc_set_field(&values[i]->other, values[i]);
    let_go_of(values);
    gc_collect(heap);
    assert_int_equal(gc_weakdict_len(d), 0);
    let_go_of(keys);
    thing *k = new_thing(heap, 1), *v = new_thing(heap, 2);
    gc_set_field(&k->other, d);
    assert_true(gc_weakdict_set(d, k, v));
    gc_decref(k), gc_decref(d);
    gc_collect(heap);
    assert_int_equal(gc_heap_count(heap), 1);
    gc_decref(v);
    assert_int_equal(gc_heap_free(heap), 0);
}

static gc_weakdict *in_between;
static thing *probe;
static int visits, met_in_between;

static void walk_and_take(gc_weakref *ref, void *closure)
{
    gc_weakdict_iter it;
    void *key, *value;

    (void)ref, (void)closure;
    visits++;
    gc_weakdict_begin(&it, in_between);
    while (gc_weakdict_next(&it))
        met_in_between++;
    gc_weakdict_end(&it);
    met_in_between += gc_weakdict_contains(in_between, probe);
    met_in_between += gc_weakdict_popitem(in_between, &key, &value);
}

static void meet_no_dead(gc_weakdict *d, thing *dead[], thing *kept[])
{
    gc_heap *heap = gc_heap_of(d);

    visits = met_in_between = 0;
    in_between = d;
    probe = new_thing(heap, 1);
    for (int i = 0; i < MANY; i++)
        gc_set_field(&dead[i]->other, dead[(i + 1) % MANY]);
    gc_weakref *ref = gc_weakref_new(dead[0], walk_and_take, NULL);
    let_go_of(dead);
    gc_collect(heap);
    assert_int_equal(visits, 1);
    assert_int_equal(met_in_between, 0);
    assert_int_equal(gc_weakdict_len(d), 0);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(gc_refcount(kept[i]), 1);
    let_go_of(kept), gc_decref(ref), gc_decref(d), gc_decref(probe);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_dead_are_not_met(void **state)
{
    gc_heap *heap = gc_heap_new(NULL), *other = gc_heap_new(NULL);
    gc_weakdict *d = gc_weakvaluedict_new(heap);
    gc_weakdict *e = gc_weakkeydict_new(other);
    thing *keys[MANY], *values[MANY];

    (void)state;
    fill(d, keys, values);
    meet_no_dead(d, values, keys);
    fill(e, keys, values);
    meet_no_dead(e, keys, values);
}

typedef struct keeper {
    gc_object base;
    gc_weakdict *dict;
    struct keeper *self;
} keeper;

static gc_weakdict *kept;

static void keep_the_dictionary(void *object)
{
    kept = gc_new_ref(((keeper *)object)->dict);
}

static const gc_type keeper_type = {
    .name = "keeper", .size = sizeof(keeper),
    .fields = (const gc_field[]) { GC_FIELD(keeper, dict),
                                   GC_FIELD(keeper, self), GC_END },
    .finalize = keep_the_dictionary,
};

/* A set of three that are alive, which has come back from the dead. */
static void bring_back_a_set(gc_heap *heap, thing *members[3])
{
    keeper *k = gc_new(heap, &keeper_type);

    k->dict = gc_weakset_new(heap);
    for (int i = 0; i < 3; i++) {
        members[i] = new_thing(heap, i);
        assert_true(gc_weakset_add(k->dict, members[i]));
    }
    gc_set_field(&k->self, k);
    gc_decref(k);
    gc_collect(heap);
    assert_int_equal(gc_weakdict_len(kept), 3);
}

static void test_dictionary_that_comes_back(void **state)
{
    (void)state;
    for (int way = 0; way < 3; way++) {
        gc_heap *heap = gc_heap_new(NULL);
        gc_weakdict *other = gc_weakset_new(heap);
        thing *members[3];

        bring_back_a_set(heap, members);
        if (way == 0)
            assert_null(gc_weakset_pop(kept));
        else if (way == 1)
            assert_true(gc_weakdict_update(kept, other));
        else
            for (int i = 0; i < 2; i++)
                assert_true(gc_weakset_add(kept, members[i]));
        assert_int_equal(gc_weakdict_len(kept), way == 2 ? 2 : 0);
        for (int i = 0; i < 3; i++)
            gc_decref(members[i]);
        gc_decref(kept), gc_decref(other);
        assert_int_equal(gc_heap_free(heap), 0);
    }
}

static void test_value_that_is_a_filed_reference(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    gc_weakdict *d = gc_weakkeydict_new(heap);
    thing *one = new_thing(heap, 1), *nine = new_thing(heap, 9);
    thing *leaf = new_thing(heap, 0);
    gc_weakref *ref;

    (void)state;
    assert_true(gc_weakdict_set(d, one, leaf));
    assert_true(gc_weakdict_set(d, nine, leaf));
    assert_int_equal(gc_getweakrefs(nine, &ref, 1), 1);
    assert_true(gc_weakdict_set(d, one, ref));
    gc_decref(nine);
    assert_int_equal(gc_weakdict_len(d), 1);
    assert_true(gc_weakdict_contains(d, one));
    assert_int_equal(gc_refcount(leaf), 1);
    gc_decref(leaf), gc_decref(one), gc_decref(d);
    assert_int_equal(gc_heap_free(heap), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* the list of tests of weak dictionaries */
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_operations),
        cmocka_unit_test(test_popitem_update_clear),
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_growth_while_iterating),
        cmocka_unit_test(test_holes_while_iterating),
        cmocka_unit_test(test_iteration_is_over),
        cmocka_unit_test(test_changes_while_iterating),
        cmocka_unit_test(test_replaced_value),
        cmocka_unit_test(test_cascading_deletes),
        cmocka_unit_test(test_every_bit_of_a_hash),
        cmocka_unit_test(test_taken_out_while_compared),
        cmocka_unit_test(test_growth_while_searching),
        cmocka_unit_test(test_built_anew_while_searching),
        cmocka_unit_test(test_unhashable_keys),
        cmocka_unit_test(test_dead_are_not_met),
        cmocka_unit_test(test_rings),
        cmocka_unit_test(test_dictionaries_out_of_memory),
        cmocka_unit_test(test_one_refusal),
        cmocka_unit_test(test_dictionary_that_comes_back),
        cmocka_unit_test(test_value_that_is_a_filed_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
