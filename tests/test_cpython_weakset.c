/* From chapter appendix E of The Invisible Janitor; made by make tangle. */
/* test_cpython_weakset.c: CPython's tests of weak sets. */
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

/* sets of letters */
enum { LETTERS = 52 };

typedef struct list {
    size_t length;
    item *items[LETTERS];
} list;

static list new_list(gc_heap *heap, const char *letters)
{
    list l = { .length = strlen(letters) };

    for (size_t i = 0; i < l.length; i++)
        l.items[i] = new_item(heap, &object_type, letters[i]);
    return l;
}

static void pop_letter(list *l)
{
    gc_clear_field(&l->items[--l->length]);
}

static void free_list(list *l)
{
    while (l->length > 0)
        pop_letter(l);
}

static gc_weakdict *new_set(gc_heap *heap, const list *l)
{
    gc_weakdict *s = gc_weakset_new(heap);

    for (size_t i = 0; i < l->length; i++)
        assert_true(gc_weakset_add(s, l->items[i]));
    return s;
}

typedef struct fixture {
    gc_heap *heap;
    list items, items2, letters;
    item *obj, *number; /* to a number there is no weak reference */
    gc_weakdict *s, *s2, *fs, *empty;
} fixture;

static void set_up(fixture *f)
{
    f->heap = gc_heap_new(NULL);
    f->items = new_list(f->heap, "abc");
    f->items2 = new_list(f->heap, "xyz");
    f->letters = new_list(f->heap, "abcdefghijklmnopqrstuvwxyz"
                                   "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    f->obj = new_item(f->heap, &object_type, 'F');
    f->number = new_item(f->heap, &number_type, 1);
    f->s = new_set(f->heap, &f->items);
    f->s2 = new_set(f->heap, &f->items2);
    f->fs = gc_weakset_new(f->heap);
    f->empty = gc_weakset_new(f->heap);
    assert_true(gc_weakset_add(f->fs, f->obj));
}

static void tear_down(fixture *f)
{
    free_list(&f->items), free_list(&f->items2);
    free_list(&f->letters);
    gc_xdecref(f->obj), gc_decref(f->number);
    gc_decref(f->s), gc_decref(f->s2);
    gc_decref(f->fs), gc_decref(f->empty);
    assert_int_equal(gc_heap_free(f->heap), 0);
}

/* Of all the letters, are just these in the set? */
static void assert_letters(const fixture *f, gc_weakdict *s,
                           const char *these)
{
    for (size_t i = 0; i < f->letters.length; i++) {
        item *letter = f->letters.items[i];
        assert_true(gc_weakdict_contains(s, letter)
                    == (strchr(these, letter->arg) != NULL));
    }
    assert_int_equal(gc_weakdict_len(s), strlen(these));
}

static void add_all(gc_weakdict *s, gc_weakdict *other)
{
    assert_true(gc_weakdict_update(s, other));
}

static void take_out(gc_weakdict *s, gc_weakdict *other, bool present)
{
    gc_weakdict_iter it;

    for (gc_weakdict_begin(&it, s); gc_weakdict_next(&it);)
        if (gc_weakdict_contains(other, it.key) == present)
            assert_true(gc_weakdict_delete(s, it.key));
    gc_weakdict_end(&it);
}

static void toggle_all(gc_weakdict *s, gc_weakdict *other)
{
    gc_weakdict_iter it;

    for (gc_weakdict_begin(&it, other); gc_weakdict_next(&it);)
        if (!gc_weakdict_delete(s, it.key))
            assert_true(gc_weakset_add(s, it.key));
    gc_weakdict_end(&it);
}

static gc_weakdict *copy_of(gc_weakdict *s)
{
    gc_weakdict *copy = gc_weakset_new(gc_heap_of(s));

    add_all(copy, s);
    return copy;
}

static bool is_subset(gc_weakdict *s, gc_weakdict *other)
{
    gc_weakdict_iter it;
    bool all = true;

    for (gc_weakdict_begin(&it, s); gc_weakdict_next(&it);)
        all = all && gc_weakdict_contains(other, it.key);
    gc_weakdict_end(&it);
    return all;
}

static bool is_less(gc_weakdict *s, gc_weakdict *other)
{
    return is_subset(s, other)
        && gc_weakdict_len(s) < gc_weakdict_len(other);
}

/* Without all that is in s, nothing of the other is left. */
static bool is_greater(gc_weakdict *s, gc_weakdict *other)
{
    gc_weakdict *rest = copy_of(other);

    take_out(rest, s, true);
    bool none = gc_weakdict_len(rest) == 0;
    gc_decref(rest);
    return none && gc_weakdict_len(s) > gc_weakdict_len(other);
}

static bool is_equal(gc_weakdict *s, gc_weakdict *other)
{
    return is_subset(s, other) && is_subset(other, s)
        && gc_weakdict_len(s) == gc_weakdict_len(other);
}

static bool is_disjoint(gc_weakdict *s, gc_weakdict *other)
{
    gc_weakdict *common = copy_of(s);

    take_out(common, other, false);
    bool none = gc_weakdict_len(common) == 0;
    gc_decref(common);
    return none;
}

/* tests from TestWeakSet */
static void TestWeakSet_test_len(void **state)
{
    fixture f;

    (void)state, set_up(&f);
    assert_int_equal(gc_weakdict_len(f.s), 3);
    assert_int_equal(gc_weakdict_len(f.fs), 1);
    gc_clear_field(&f.obj);
    assert_int_equal(gc_weakdict_len(f.fs), 0);
    tear_down(&f);
}

static void test_contains(void **state)
{
    fixture f;

    (void)state, set_up(&f);
    assert_letters(&f, f.s, "abc");
    assert_false(gc_weakdict_contains(f.s, f.number));
    assert_true(gc_weakdict_contains(f.fs, f.obj));
    gc_clear_field(&f.obj);
    assert_letters(&f, f.fs, "");
    tear_down(&f);
}

static void test_union(void **state)
{
    fixture f;

    (void)state, set_up(&f);
    gc_weakdict *u = copy_of(f.s);
    add_all(u, f.s2);
    assert_letters(&f, u, "abcxyz");
    assert_letters(&f, f.s, "abc");
    pop_letter(&f.items2);
    gc_collect(f.heap);
    assert_letters(&f, u, "abcxy");
    gc_decref(u);
    tear_down(&f);
}

static void test_intersection(void **state)
{
    fixture f;

    (void)state, set_up(&f);
    gc_weakdict *all = new_set(f.heap, &f.letters);
    gc_weakdict *i = copy_of(f.s2);
    take_out(i, all, false);
    assert_letters(&f, i, "xyz");
    assert_int_equal(gc_weakdict_len(all), LETTERS);
    assert_true(is_disjoint(i, f.s));
    pop_letter(&f.items2);
    gc_collect(f.heap);
    assert_letters(&f, i, "xy");
    gc_decref(i), gc_decref(all);
    tear_down(&f);
}

static void test_isdisjoint(void **state)
{
    fixture f;

    (void)state, set_up(&f);
    gc_weakdict *all = new_set(f.heap, &f.letters);
    assert_true(is_disjoint(f.s, f.s2));
    assert_false(is_disjoint(f.s, all));
    gc_decref(all);
    tear_down(&f);
}

static void test_difference(void **state)
{
    fixture f;

    (void)state, set_up(&f);
    gc_weakdict *all = new_set(f.heap, &f.letters);
    gc_weakdict *d = copy_of(f.s);
    take_out(d, f.s2, true);
    assert_letters(&f, d, "abc");
    take_out(d, all, true);
    assert_letters(&f, d, "");
    assert_letters(&f, f.s, "abc");
    gc_decref(d), gc_decref(all);
    tear_down(&f);
}

static void test_symmetric_difference(void **state)
{
    fixture f;

    (void)state, set_up(&f);
    gc_weakdict *d = copy_of(f.s);
    toggle_all(d, f.s2);
    assert_letters(&f, d, "abcxyz");
    assert_letters(&f, f.s, "abc");
    pop_letter(&f.items2);
    gc_collect(f.heap);
    assert_letters(&f, d, "abcxy");
    toggle_all(d, f.s);
    assert_letters(&f, d, "xy");
    gc_decref(d);
    tear_down(&f);
}

typedef struct trio {
    list lists[3];
    gc_weakdict *ab, *abcde, *def;
} trio;

static trio new_trio(gc_heap *heap)
{
    trio t = { .lists = { new_list(heap, "ab"),
        new_list(heap, "abcde"), new_list(heap, "def") } };

    t.ab = new_set(heap, &t.lists[0]);
    t.abcde = new_set(heap, &t.lists[1]);
    t.def = new_set(heap, &t.lists[2]);
    return t;
}

static void free_trio(trio *t)
{
    for (int i = 0; i < 3; i++)
        free_list(&t->lists[i]);
    gc_decref(t->ab), gc_decref(t->abcde), gc_decref(t->def);
}

static void test_sub_and_super(void **state)
{
    fixture f;

    (void)state, set_up(&f);
    trio t = new_trio(f.heap);
    assert_true(is_subset(t.ab, t.abcde));
    assert_true(is_subset(t.abcde, t.abcde));
    assert_false(is_subset(t.abcde, t.ab));
    assert_false(is_subset(t.abcde, t.def));
    assert_false(is_subset(t.def, t.abcde));
    free_trio(&t);
    assert_int_equal(gc_weakdict_len(f.s), 3);
    tear_down(&f);
}

static void test_lt(void **state)
{
    fixture f;

    (void)state, set_up(&f);
    trio t = new_trio(f.heap);
    assert_true(is_less(t.ab, t.abcde));
    assert_false(is_less(t.abcde, t.def));
    assert_false(is_less(t.ab, t.ab));
    assert_false(is_less(f.empty, f.empty));
    free_trio(&t);
    tear_down(&f);
}

static void test_gt(void **state)
{
    fixture f;

    (void)state, set_up(&f);
    trio t = new_trio(f.heap);
    assert_true(is_greater(t.abcde, t.ab));
    assert_false(is_greater(t.abcde, t.def));
    assert_false(is_greater(t.ab, t.ab));
    assert_false(is_greater(f.empty, f.empty));
    free_trio(&t);
    tear_down(&f);
}

typedef struct foo {
    gc_object base;
    gc_weakref *weaklist;
    gc_object *cycle, *sub, *set;
} foo;

static const gc_type foo_type = {
    .name = "Foo", .size = sizeof(foo),
    .fields = (const gc_field[]) { GC_FIELD(foo, cycle),
        GC_FIELD(foo, sub), GC_FIELD(foo, set), GC_END },
    .weaklist_offset = offsetof(foo, weaklist),
};

static void tie(foo *elem, gc_weakdict *s)
{
    gc_weakdict *own = gc_weakset_new(gc_heap_of(s));

    assert_true(gc_weakset_add(own, elem));
    gc_set_field(&elem->cycle, s);
    gc_set_field(&elem->sub, elem);
    gc_set_field(&elem->set, own);
    gc_decref(own);
}

enum { NEST = 1000 };

static void test_gc(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    gc_weakdict *s = gc_weakset_new(heap);
    gc_weakdict_iter it;
    foo *foos[NEST];

    (void)state;
    for (int i = 0; i < NEST; i++) {
        foos[i] = gc_new(heap, &foo_type);
        assert_true(gc_weakset_add(s, foos[i]));
    }
    for (gc_weakdict_begin(&it, s); gc_weakdict_next(&it);)
        tie(it.key, s);
    gc_weakdict_end(&it);
    assert_int_equal(gc_weakdict_len(s), NEST);
    assert_int_equal(gc_refcount(s), NEST + 1);
    for (int i = 0; i < NEST; i++)
        gc_decref(foos[i]);
    gc_decref(s);
    gc_collect(heap);
    assert_int_equal(gc_heap_count(heap), 0);
    assert_int_equal(gc_heap_free(heap), 0);
}

static void test_subclass_with_custom_hash(void **state)
{
    fixture f;

    (void)state, set_up(&f);
    assert_true(gc_weakset_add(f.empty, f.s));
    assert_true(gc_weakdict_contains(f.empty, f.s));
    assert_false(gc_weakdict_contains(f.empty, f.s2));
    assert_true(gc_weakdict_delete(f.empty, f.s));
    assert_false(gc_weakdict_contains(f.empty, f.s));
    assert_true(gc_weakset_add(f.empty, f.s));
    assert_true(gc_weakdict_delete(f.empty, f.s));
    assert_int_equal(gc_weakdict_len(f.empty), 0);
    tear_down(&f);
}

static void test_clear(void **state)
{
    fixture f;

    (void)state, set_up(&f);
    gc_weakdict_clear(f.s);
    assert_true(is_equal(f.s, f.empty));
    assert_int_equal(gc_weakdict_len(f.s), 0);
    assert_letters(&f, f.s, "");
    tear_down(&f);
}

static void test_copy(void **state)
{
    fixture f;

    (void)state, set_up(&f);
    gc_weakdict *dup = copy_of(f.s);
    assert_true(is_equal(f.s, dup));
    gc_weakdict_clear(dup);
    assert_letters(&f, f.s, "abc");
    gc_decref(dup);
    tear_down(&f);
}

static void test_add(void **state)
{
    fixture f;

    (void)state, set_up(&f);
    item *q = new_item(f.heap, &object_type, 'Q');
    assert_true(gc_weakset_add(f.s, q));
    assert_letters(&f, f.s, "abcQ");
    gc_weakdict *dup = copy_of(f.s);
    assert_true(gc_weakset_add(f.s, q));
    assert_true(is_equal(f.s, dup));
    assert_false(gc_weakset_add(f.s, f.number));
    assert_true(is_equal(f.s, dup));
    item *nobodys = new_item(f.heap, &c_type, 0);
    assert_true(gc_weakset_add(f.fs, nobodys));
    gc_decref(nobodys);
    assert_int_equal(gc_weakdict_len(f.fs), 1);
    assert_true(gc_weakset_add(f.fs, f.obj));
    assert_int_equal(gc_weakdict_len(f.fs), 1);
    gc_decref(q), gc_decref(dup);
    tear_down(&f);
}

static void test_remove(void **state)
{
    fixture f;

    (void)state, set_up(&f);
    item *a = new_item(f.heap, &object_type, 'a');
    assert_true(gc_weakdict_delete(f.s, a));
    assert_letters(&f, f.s, "bc");
    assert_false(gc_weakdict_delete(f.s, a));
    assert_false(gc_weakdict_delete(f.s, f.number));
    assert_letters(&f, f.s, "bc");
    gc_decref(a);
    tear_down(&f);
}

static void test_discard(void **state)
{
    fixture f;

    (void)state, set_up(&f);
    list aq = new_list(f.heap, "aQ");
    gc_weakdict_delete(f.s, aq.items[0]);
    assert_letters(&f, f.s, "bc");
    gc_weakdict_delete(f.s, aq.items[1]);
    gc_weakdict_delete(f.s, f.number);
    assert_letters(&f, f.s, "bc");
    free_list(&aq);
    tear_down(&f);
}

static void TestWeakSet_test_pop(void **state)
{
    fixture f;

    (void)state, set_up(&f);
    for (size_t n = 3; n-- > 0;) {
        item *elem = gc_weakset_pop(f.s);
        assert_non_null(elem);
        assert_false(gc_weakdict_contains(f.s, elem));
        assert_int_equal(gc_weakdict_len(f.s), n);
        gc_decref(elem);
    }
    assert_null(gc_weakset_pop(f.s));
    tear_down(&f);
}

static void TestWeakSet_test_update(void **state)
{
    fixture f;

    (void)state, set_up(&f);
    for (size_t i = 0; i < f.items2.length; i++)
        assert_true(gc_weakset_add(f.s, f.items2.items[i]));
    assert_letters(&f, f.s, "abcxyz");
    assert_false(gc_weakset_add(f.s, f.number));
    assert_letters(&f, f.s, "abcxyz");
    tear_down(&f);
}

static void test_update_set(void **state)
{
    fixture f;

    (void)state, set_up(&f);
    assert_true(gc_weakdict_update(f.s, f.s2));
    assert_letters(&f, f.s, "abcxyz");
    assert_letters(&f, f.s2, "xyz");
    tear_down(&f);
}

static void test_intersection_update(void **state)
{
    fixture f;

    (void)state, set_up(&f);
    trio t = new_trio(f.heap);
    take_out(f.s, t.ab, false);
    assert_letters(&f, f.s, "ab");
    take_out(f.s, f.s2, false);
    assert_letters(&f, f.s, "");
    free_trio(&t);
    tear_down(&f);
}

static void test_difference_update(void **state)
{
    fixture f;

    (void)state, set_up(&f);
    trio t = new_trio(f.heap);
    take_out(f.s, f.s2, true);
    assert_letters(&f, f.s, "abc");
    take_out(f.s, t.ab, true);
    assert_letters(&f, f.s, "c");
    free_trio(&t);
    tear_down(&f);
}

static void test_symmetric_difference_update(void **state)
{
    fixture f;

    (void)state, set_up(&f);
    toggle_all(f.s, f.s2);
    assert_letters(&f, f.s, "abcxyz");
    toggle_all(f.s, f.s2);
    assert_letters(&f, f.s, "abc");
    tear_down(&f);
}

static void test_inplace_on_self(void **state)
{
    fixture f;

    (void)state, set_up(&f);
    gc_weakdict *t = copy_of(f.s);
    add_all(t, t);
    assert_true(is_equal(t, f.s));
    take_out(t, t, false);
    assert_true(is_equal(t, f.s));
    take_out(t, t, true);
    assert_true(is_equal(t, f.empty));
    add_all(t, f.s);
    toggle_all(t, t);
    assert_true(is_equal(t, f.empty));
    gc_decref(t);
    tear_down(&f);
}

static void test_eq(void **state)
{
    fixture f;

    (void)state, set_up(&f);
    gc_weakdict *same = new_set(f.heap, &f.items);
    assert_true(is_equal(f.s, f.s));
    assert_true(is_equal(f.s, same));
    assert_false(is_equal(f.s, f.s2));
    assert_false(is_equal(f.s, f.fs));
    pop_letter(&f.items);
    assert_true(is_equal(f.s, same));
    assert_letters(&f, same, "ab");
    gc_decref(same);
    tear_down(&f);
}

static void test_ne(void **state)
{
    fixture f;

    (void)state, set_up(&f);
    gc_weakdict *another = gc_weakset_new(f.heap);
    assert_true(is_equal(f.empty, another));
    assert_false(is_equal(f.s, another));
    gc_decref(another);
    tear_down(&f);
}

static void test_copying(void **state)
{
    fixture f;

    (void)state, set_up(&f);
    gc_weakdict *dup = copy_of(f.s);
    list others = new_list(f.heap, "abc");
    gc_weakdict *deep = new_set(f.heap, &others);
    assert_true(is_equal(dup, f.s));
    assert_true(is_equal(deep, f.s));
    free_list(&f.items);
    assert_letters(&f, dup, "");
    assert_letters(&f, deep, "abc");
    free_list(&others);
    gc_decref(dup), gc_decref(deep);
    tear_down(&f);
}

static void test_weak_destroy_while_iterating(void **state)
{
    fixture f;
    gc_weakdict_iter it;
    size_t rest = 0;

    (void)state, set_up(&f);
    gc_weakdict_begin(&it, f.s);
    assert_true(gc_weakdict_next(&it));
    pop_letter(&f.items);
    gc_collect(f.heap);
    while (gc_weakdict_next(&it))
        rest++;
    assert_int_equal(rest, 1);
    gc_weakdict_end(&it);
    assert_int_equal(gc_weakdict_len(f.s), 2);
    tear_down(&f);
}

/* Begin to iterate; the last letter dies; u is one like it. */
static void enter_context(gc_weakdict_iter *it, gc_weakdict *s,
                          list *letters, item **u)
{
    gc_heap *heap = gc_heap_of(s);
    int letter = letters->items[letters->length - 1]->arg;

    gc_weakdict_begin(it, s);
    assert_true(gc_weakdict_next(it));
    pop_letter(letters);
    gc_collect(heap);
    gc_clear_field(u);
    *u = new_item(heap, &object_type, letter);
}

static void check_not_there(gc_weakdict *s, list *l, item **u)
{
    gc_weakdict_iter it;

    enter_context(&it, s, l, u);
    assert_false(gc_weakdict_contains(s, *u));
    gc_weakdict_end(&it);
    enter_context(&it, s, l, u);
    assert_false(gc_weakdict_delete(s, *u));
    gc_weakdict_end(&it);
    assert_false(gc_weakdict_contains(s, *u));
}

static void check_changes(gc_weakdict *s, list *l, item **u)
{
    gc_weakdict_iter it;

    enter_context(&it, s, l, u);
    assert_true(gc_weakset_add(s, *u));
    gc_weakdict_end(&it);
    assert_true(gc_weakdict_contains(s, *u));
    assert_int_equal(gc_weakdict_len(s), l->length + 1);
    gc_weakdict *t = copy_of(s);
    enter_context(&it, s, l, u);
    assert_true(gc_weakdict_update(s, t));
    gc_weakdict_end(&it);
    assert_int_equal(gc_weakdict_len(s), gc_weakdict_len(t));
    assert_int_equal(gc_weakdict_len(s), l->length);
    gc_decref(t);
    enter_context(&it, s, l, u);
    gc_weakdict_clear(s);
    gc_weakdict_end(&it);
    assert_int_equal(gc_weakdict_len(s), 0);
}

static void
test_weak_destroy_and_mutate_while_iterating(void **state)
{
    fixture f;
    item *u = NULL;

    (void)state, set_up(&f);
    list letters = new_list(f.heap, "abcdefghijklmnopqrstuvwxyz");
    gc_weakdict *s = new_set(f.heap, &letters);
    check_not_there(s, &letters, &u);
    check_changes(s, &letters, &u);
    gc_decref(u), gc_decref(s);
    free_list(&letters);
    tear_down(&f);
}

enum { CYCLES = 20 };

/* Make rings, put them into the set, and let go of them. */
static void add_cycles(gc_weakdict *s)
{
    item *cycles[CYCLES];

    for (int i = 0; i < CYCLES; i++) {
        cycles[i] = new_ref_cycle(gc_heap_of(s));
        assert_true(gc_weakset_add(s, cycles[i]));
    }
    assert_int_equal(gc_weakdict_len(s), CYCLES);
    for (int i = 0; i < CYCLES; i++)
        gc_decref(cycles[i]);
}

static void litter(gc_heap *heap)
{
    for (int i = 0; i < CYCLES; i++)
        gc_decref(new_ref_cycle(heap));
}

static void test_len_cycles(void **state)
{
    fixture f;
    gc_weakdict_iter it;

    (void)state, set_up(&f);
    add_cycles(f.empty);
    gc_weakdict_begin(&it, f.empty);
    assert_true(gc_weakdict_next(&it));
    gc_collect(f.heap);
    assert_int_equal(gc_weakdict_len(f.empty), 1);
    gc_weakdict_end(&it);
    gc_collect(f.heap);
    assert_int_equal(gc_weakdict_len(f.empty), 0);
    tear_down(&f);
}

static void check_race(gc_weakdict *s)
{
    gc_weakdict_iter it;

    add_cycles(s);
    gc_weakdict_begin(&it, s);
    gc_weakdict_next(&it);
    litter(gc_heap_of(s));
    size_t n1 = gc_weakdict_len(s);
    gc_weakdict_end(&it);
    litter(gc_heap_of(s));
    size_t n2 = gc_weakdict_len(s);
    assert_true(n1 <= CYCLES);
    assert_true(n2 <= n1);
}

static void test_len_race(void **state)
{
    (void)state;
    for (size_t th = 1; th < 100; th++) {
        fixture f;
        set_up(&f);
        gc_collect_generation(f.heap, 0);
        gc_set_threshold(f.heap, th, th, th);
        check_race(f.empty);
        gc_collect(f.heap);
        assert_int_equal(gc_weakdict_len(f.empty), 0);
        tear_down(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* the list of tests from TestWeakSet */
        cmocka_unit_test(TestWeakSet_test_len),
        cmocka_unit_test(test_contains),
        cmocka_unit_test(test_union),
        cmocka_unit_test(test_intersection),
        cmocka_unit_test(test_isdisjoint),
        cmocka_unit_test(test_difference),
        cmocka_unit_test(test_symmetric_difference),
        cmocka_unit_test(test_sub_and_super),
        cmocka_unit_test(test_lt),
        cmocka_unit_test(test_gt),
        cmocka_unit_test(test_gc),
        cmocka_unit_test(test_subclass_with_custom_hash),
        cmocka_unit_test(test_clear),
        cmocka_unit_test(test_copy),
        cmocka_unit_test(test_add),
        cmocka_unit_test(test_remove),
        cmocka_unit_test(test_discard),
        cmocka_unit_test(TestWeakSet_test_pop),
        cmocka_unit_test(TestWeakSet_test_update),
        cmocka_unit_test(test_update_set),
        cmocka_unit_test(test_intersection_update),
        cmocka_unit_test(test_difference_update),
        cmocka_unit_test(test_symmetric_difference_update),
        cmocka_unit_test(test_inplace_on_self),
        cmocka_unit_test(test_eq),
        cmocka_unit_test(test_ne),
        cmocka_unit_test(test_copying),
        cmocka_unit_test(test_weak_destroy_while_iterating),
        cmocka_unit_test(test_weak_destroy_and_mutate_while_iterating),
        cmocka_unit_test(test_len_cycles),
        cmocka_unit_test(test_len_race),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
