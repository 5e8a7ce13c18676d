/* From chapters 4 and appendix E of The Invisible Janitor; made by make tangle. */
/* test_cpython_gc.c: what CPython's test_gc asks for. */
#include "support.h"
#include <pthread.h>
#include <sched.h>

/* what the tests from test_gc are made with */
typedef struct thing {
    gc_object base;
    gc_weakref *weaklist;
    const char *name;
    void *cls, *attr, *other;
} thing;

static const gc_field thing_fields[] = {
    GC_FIELD(thing, cls), GC_FIELD(thing, attr),
    GC_FIELD(thing, other), GC_END
};

static void thing_repr(const void *object, char *text, size_t size)
{
    snprintf(text, size, "%s", ((const thing *)object)->name);
}

static const gc_type thing_type = {
    .name = "thing", .size = sizeof(thing), .fields = thing_fields,
    .repr = thing_repr,
    .weaklist_offset = offsetof(thing, weaklist),
};

static void *new_thing(gc_heap *heap, const gc_type *type,
                       const char *name)
{
    thing *t = gc_new(heap, type);

    t->name = name;
    return t;
}

/* One that refers to itself. */
static thing *new_loop(gc_heap *heap, const gc_type *type,
                       const char *name)
{
    thing *t = new_thing(heap, type, name);

    gc_set_field(&t->attr, t);
    return t;
}

static gc_type finalized_by(void (*finalize)(void *object))
{
    gc_type type = thing_type;

    type.finalize = finalize;
    return type;
}

typedef struct integer {
    gc_object base;
    int value;
} integer;

static void integer_repr(const void *object, char *text, size_t size)
{
    snprintf(text, size, "%d", ((const integer *)object)->value);
}

static const gc_type integer_type = {
    .name = "int", .size = sizeof(integer), .repr = integer_repr,
};

static void *new_integer(gc_heap *heap, int value)
{
    integer *n = gc_new(heap, &integer_type);

    n->value = value;
    return n;
}

static void sequence_repr(const void *object, char *text, size_t size)
{
    const gc_var_object *s = object;
    const integer *const *items = gc_items(s);
    char *end = text + size - 1;

    *text++ = '[';
    for (size_t i = 0; i < s->length && text + 5 < end; i++) {
        bool known = items[i] && items[i]->base.type == &integer_type;
        text += snprintf(text, 5, i > 0 ? ", %c" : "%c",
                         known ? (char)('0' + items[i]->value) : '.');
    }
    strcpy(text, "]");
}

static const gc_type list_type = {
    .name = "list", .size = sizeof(gc_var_object),
    .item_size = sizeof(void *), .item_refs = true,
    .repr = sequence_repr,
};

static const gc_type dict_type = {
    .name = "dict", .size = sizeof(gc_var_object),
    .item_size = sizeof(void *), .item_refs = true,
    .repr = sequence_repr,
};

static const gc_type tuple_type = {
    .name = "tuple", .size = sizeof(gc_var_object),
    .item_size = sizeof(void *), .item_refs = true,
    .repr = sequence_repr, .immutable = true,
};

static void set_item(void *sequence, size_t i, void *value)
{
    gc_set_field((void **)gc_items(sequence) + i, value);
}

static void give_item(void *sequence, size_t i, void *value)
{
    set_item(sequence, i, value);
    gc_decref(value);
}

static void *new_digits(gc_heap *heap, const gc_type *type,
                         const char *digits)
{
    void *s = gc_new_var(heap, type, strlen(digits));

    for (size_t i = 0; digits[i] != '\0'; i++)
        give_item(s, i, new_integer(heap, digits[i] - '0'));
    return s;
}

/* Close a heap that nothing is left in, not even garbage. */
static void close_empty(gc_heap *heap)
{
    assert_int_equal(gc_heap_count(heap), 0);
    assert_int_equal(gc_heap_free(heap), 0);
}

/* tests from test_gc */
static void check_self(const gc_type *type, size_t length)
{
    gc_heap *heap = gc_heap_new(NULL);
    void *s = gc_new_var(heap, type, length);

    if (length > 1)
        give_item(s, 0, new_integer(heap, 1));
    set_item(s, length - 1, s);
    assert_int_equal(gc_collect(heap), 0);
    gc_decref(s);
    assert_int_equal(gc_collect(heap), 1);
    close_empty(heap);
}

static void test_list(void **state)
{
    (void)state;
    check_self(&list_type, 1);
}

static void test_dict(void **state)
{
    (void)state;
    check_self(&dict_type, 2);
}

static void test_tuple(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    void *list = gc_new_var(heap, &list_type, 1);
    void *tuple = gc_new_var(heap, &tuple_type, 1);

    (void)state;
    set_item(tuple, 0, list);
    set_item(list, 0, tuple);
    assert_int_equal(gc_collect(heap), 0);
    assert_true(gc_is_tracked(tuple));
    gc_decref(tuple);
    assert_int_equal(gc_collect(heap), 0);
    gc_decref(list);
    assert_int_equal(gc_collect(heap), 2);
    close_empty(heap);
}

static void test_instance(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *a = new_loop(heap, &thing_type, "a");

    (void)state;
    assert_int_equal(gc_collect(heap), 0);
    gc_decref(a);
    assert_int_equal(gc_collect(heap), 1);
    close_empty(heap);
}

static thing *new_class(gc_heap *heap, const char *name, thing *base,
                        thing *other_base)
{
    thing *c = new_thing(heap, &thing_type, name);
    void *order = gc_new_var(heap, &tuple_type, 3);

    c->attr = order;
    set_item(order, 0, c);
    set_item(order, 1, base);
    set_item(order, 2, other_base);
    return c;
}

static thing *new_instance(gc_heap *heap, thing *cls, const char *name)
{
    thing *t = new_loop(heap, &thing_type, name);

    gc_set_field(&t->cls, cls);
    return t;
}

static void check_class(bool self)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *a = new_class(heap, "A", NULL, NULL);

    if (self)
        gc_set_field(&a->other, a);
    assert_int_equal(gc_collect(heap), 0);
    gc_decref(a);
    assert_int_equal(gc_collect(heap), 2);
    close_empty(heap);
}

static void test_class(void **state)
{
    (void)state;
    check_class(true);
}

static void test_newstyleclass(void **state)
{
    (void)state;
    check_class(false);
}

static void lose_and_collect(gc_heap *heap, thing *t, size_t number)
{
    assert_int_equal(gc_collect(heap), 0);
    gc_decref(t);
    assert_int_equal(gc_collect(heap), number);
}

static void test_newinstance(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *a = new_class(heap, "A", NULL, NULL);
    thing *b = new_class(heap, "B", NULL, NULL);
    thing *c = new_class(heap, "C", b, a);

    (void)state;
    lose_and_collect(heap, new_instance(heap, a, "a"), 1);
    lose_and_collect(heap, new_instance(heap, c, "c"), 1);
    gc_decref(b);
    lose_and_collect(heap, c, 4);
    a->other = new_instance(heap, a, "a");
    lose_and_collect(heap, a, 3);
    assert_int_equal(gc_collect(heap), 0);
    close_empty(heap);
}

static void test_method(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *function = new_thing(heap, &thing_type, "function");
    thing *a = new_thing(heap, &thing_type, "a");
    thing *method = new_thing(heap, &thing_type, "method");

    (void)state;
    gc_set_field(&method->attr, a);
    gc_set_field(&method->other, function);
    a->attr = method;
    lose_and_collect(heap, a, 2);
    gc_decref(function);
    close_empty(heap);
}

static void test_function(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    void *globals = gc_new_var(heap, &dict_type, 2);
    thing *function = new_thing(heap, &thing_type, "f");

    (void)state;
    gc_set_field(&function->attr, globals);
    give_item(globals, 0, new_integer(heap, 1));
    give_item(globals, 1, function);
    lose_and_collect(heap, globals, 2);
    close_empty(heap);
}

static thing *late;
static gc_weakref *early;
static void *found;
static size_t looks;

static void pass_reference(void *object)
{
    thing *tuple = object, *function = tuple->attr;
    gc_weakref *ref = gc_weakref_new(function, NULL, NULL);
    thing *alive = gc_weakref_get(ref);

    assert_null(gc_weakref_get(early));
    assert_ptr_equal(alive, function);
    gc_decref(alive);
    late->attr = ref;
    gc_clear_field(&late); /* the tuple still refers to it */
}

static void follow_reference(void *object)
{
    found = gc_weakref_get(((thing *)object)->attr);
    looks++;
}

static void test_function_tp_clear_leaves_consistent_state(void **state)
{
    gc_type late_type = finalized_by(follow_reference);
    gc_type tuple_like = finalized_by(pass_reference);
    gc_heap *heap = gc_heap_new(NULL);
    thing *function = new_thing(heap, &thing_type, "function");
    thing *tuple = new_thing(heap, &tuple_like, "tuple");

    (void)state;
    late = new_thing(heap, &late_type, "late");
    early = gc_weakref_new(function, NULL, NULL);
    looks = 0;
    tuple->attr = function;
    gc_set_field(&tuple->other, late);
    function->attr = gc_new_ref(tuple);
    gc_decref(tuple);
    assert_int_equal(gc_collect(heap), 2);
    assert_int_equal(looks, 1);
    assert_null(found);
    gc_decref(early);
    close_empty(heap);
}

static void say_nothing(void *object)
{
    (void)object;
}

static void visit_thing(void *object, gc_visit *visit, void *arg)
{
    thing *t = object;

    visit(t->cls, arg);
    visit(t->attr, arg);
    visit(t->other, arg);
}

static void clear_thing(void *object)
{
    thing *t = object;

    gc_clear_field(&t->cls);
    gc_clear_field(&t->attr);
    gc_clear_field(&t->other);
}

static gc_type new_style(gc_type type)
{
    type.fields = NULL;
    type.traverse = visit_thing;
    type.clear = clear_thing;
    return type;
}

static gc_type legacy(void)
{
    gc_type type = thing_type;

    type.name = "legacy";
    type.legacy_finalize = say_nothing;
    return type;
}

static void check_legacy(gc_type type)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *a = new_loop(heap, &type, "a");
    thing *b = new_loop(heap, &thing_type, "b");

    gc_decref(a);
    gc_decref(b);
    assert_int_equal(gc_collect(heap), 2);
    assert_int_equal(gc_garbage_length(heap), 1);
    assert_ptr_equal(gc_garbage_item(heap, 0), a);
    assert_int_equal(gc_heap_count(heap), 1);
    gc_clear_field(&a->attr);
    assert_ptr_equal(gc_garbage_pop(heap), a);
    gc_decref(a);
    close_empty(heap);
}

static void test_legacy_finalizer(void **state)
{
    (void)state;
    check_legacy(legacy());
}

static void test_legacy_finalizer_newclass(void **state)
{
    (void)state;
    check_legacy(new_style(legacy()));
}

static void test_saveall(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *l = new_loop(heap, &thing_type, "l");

    (void)state;
    assert_int_equal(gc_collect(heap), 0);
    assert_int_equal(gc_garbage_length(heap), 0);
    gc_set_debug(heap, GC_DEBUG_SAVEALL);
    gc_decref(l);
    gc_collect(heap);
    gc_set_debug(heap, 0);
    assert_int_equal(gc_garbage_length(heap), 1);
    assert_ptr_equal(gc_garbage_item(heap, 0), l);
    assert_ptr_equal(l->attr, l);
    gc_garbage_clear(heap);
    assert_int_equal(gc_collect(heap), 1);
    close_empty(heap);
}

static void close_with_garbage(unsigned debug, transcript *t)
{
    gc_type type = legacy();
    gc_options options = { .sink = { remember, t } };
    gc_heap *heap = gc_heap_new(&options);
    thing *first = new_loop(heap, &type, "first");

    t->text[0] = '\0';
    first->other = new_thing(heap, &type, "second");
    gc_decref(first);
    gc_set_debug(heap, debug);
    assert_int_equal(gc_heap_free(heap), 2);
}

static void test_garbage_at_shutdown(void **state)
{
    transcript t;

    (void)state;
    close_with_garbage(0, &t);
    assert_non_null(strstr(t.text, "gc: 2 uncollectable objects at "
        "shutdown; GC_DEBUG_UNCOLLECTABLE lists them\n"));
    assert_null(strstr(t.text, "<legacy first>"));
    close_with_garbage(GC_DEBUG_UNCOLLECTABLE, &t);
    const char *listed = strstr(t.text, "gc: 2 uncollectable objects "
                                        "at shutdown\n");
    assert_non_null(listed);
    assert_non_null(strstr(listed, "gc: uncollectable <legacy first>"));
    assert_non_null(strstr(listed,
                           "gc: uncollectable <legacy second>"));
    close_with_garbage(GC_DEBUG_SAVEALL, &t);
    assert_null(strstr(t.text, "at shutdown"));
}

static size_t collections(gc_heap *heap)
{
    gc_stats stats[GC_GENERATIONS];

    gc_get_stats(heap, stats);
    return stats[0].collections + stats[1].collections
           + stats[2].collections;
}

static size_t collected_meanwhile;

static void make_things(void *object)
{
    gc_heap *heap = gc_heap_of(object);
    size_t before = collections(heap);
    thing *made[3];

    for (int i = 0; i < 3; i++)
        made[i] = new_thing(heap, &thing_type, "made");
    for (int i = 0; i < 3; i++)
        gc_decref(made[i]);
    collected_meanwhile += collections(heap) - before;
}

static void check_del(gc_type type)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *a = new_loop(heap, &type, "a");

    collected_meanwhile = 0;
    gc_clear_field(&a->attr);
    gc_set_threshold(heap, 1, 10, 10);
    gc_decref(a);
    assert_true(collected_meanwhile > 0);
    close_empty(heap);
}

static void test_del(void **state)
{
    (void)state;
    check_del(finalized_by(make_things));
}

static void test_del_newclass(void **state)
{
    (void)state;
    check_del(new_style(finalized_by(make_things)));
}

enum { NESTED = 150 };
static size_t deaths;

static void collect_now_and_then(void *object)
{
    if (++deaths % 17 == 0)
        gc_collect(gc_heap_of(object));
}

static void *wrap(gc_heap *heap, const gc_type *type, void *inner,
                  void *companion)
{
    if (type == &thing_type) {
        thing *t = new_thing(heap, type, "level");
        t->attr = inner;
        t->other = companion;
        return t;
    }
    void *s = gc_new_var(heap, type, 2);
    give_item(s, 0, inner);
    give_item(s, 1, companion);
    return s;
}

static void test_trashcan(void **state)
{
    gc_type type = finalized_by(collect_now_and_then);
    const gc_type *kinds[] = { &list_type, &tuple_type, &thing_type };
    gc_heap *heap = gc_heap_new(NULL);

    (void)state;
    deaths = 0;
    for (size_t i = 0; i < 6; i++) {
        void *t = new_thing(heap, &thing_type, "innermost");
        for (int n = 0; n < NESTED; n++)
            t = wrap(heap, kinds[i % 3], t,
                     new_thing(heap, &type, "companion"));
        gc_decref(t);
        assert_int_equal(deaths, (i + 1) * NESTED);
    }
    close_empty(heap);
}

#ifndef TEST_SHRINK
#define TEST_SHRINK 1
#endif

enum { NESTING = 60, ROUNDS = 1 + 1000 / TEST_SHRINK };

typedef struct tally {
    size_t made, died, left;
} tally;

typedef struct counted {
    gc_object base;
    void *inner;
    tally *tally;
} counted;

static const gc_field counted_fields[] = {
    GC_FIELD(counted, inner), GC_END
};

static void count_death(void *object)
{
    ((counted *)object)->tally->died++;
    sched_yield();
}

static const gc_type counted_type = {
    .name = "counted", .size = sizeof(counted),
    .fields = counted_fields, .finalize = count_death,
};

static void *make_nests(void *arg)
{
    tally *t = arg;
    gc_heap *heap = gc_heap_new(NULL);

    for (int round = 0; round < ROUNDS; round++) {
        void *nest = NULL;

        for (int i = 0; i < NESTING; i++, t->made++) {
            void *list = gc_new_var(heap, &list_type, 1);
            set_item(list, 0, nest);
            gc_xdecref(nest);
            counted *c = nest = gc_new(heap, &counted_type);
            c->inner = list;
            c->tally = t;
        }
        gc_decref(nest);
    }
    t->left = gc_heap_count(heap) + gc_heap_free(heap);
    return NULL;
}

static void test_trashcan_threads(void **state)
{
    tally tallies[2] = { { 0 } };
    pthread_t threads[2];

    (void)state;
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, make_nests,
                                        &tallies[i]), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(tallies[i].made, ROUNDS * NESTING);
        assert_int_equal(tallies[i].died, tallies[i].made);
        assert_int_equal(tallies[i].left, 0);
    }
}

static size_t questions, patience;

static void boom(void *object)
{
    if (++questions >= patience)
        gc_clear_field(&((thing *)object)->attr);
}

static bool boom_equal(void *object, void *other)
{
    boom(object);
    return object == other;
}

static bool boom_hash(void *object, size_t *hash)
{
    boom(object);
    *hash = 1;
    return true;
}

static void boom_repr(const void *object, char *text, size_t size)
{
    boom((void *)(uintptr_t)object);
    snprintf(text, size, "boom");
}

static void check_boom(size_t allowed)
{
    gc_type type = thing_type;
    gc_heap *heap = gc_heap_new(NULL);

    type.equal = boom_equal;
    type.hash = boom_hash;
    type.repr = boom_repr;
    questions = 0;
    patience = allowed;
    thing *a = new_thing(heap, &type, "a");
    thing *b = a->attr = new_thing(heap, &type, "b");
    gc_set_field(&b->attr, a);
    gc_decref(a);
    assert_int_equal(gc_collect(heap), 2);
    assert_int_equal(gc_garbage_length(heap), 0);
    assert_int_equal(questions, 0);
    close_empty(heap);
}

static void test_boom(void **state)
{
    (void)state;
    check_boom(1);
}

static void test_boom2(void **state)
{
    (void)state;
    check_boom(2);
}

static void drop_attr(void *object)
{
    deaths++;
    gc_clear_field(&((thing *)object)->attr);
}

static void check_suicide(const size_t order[3])
{
    gc_type types[] = { thing_type, finalized_by(drop_attr),
                        thing_type };
    gc_heap *heap = gc_heap_new(NULL);
    thing *t[3];

    deaths = 0;
    for (size_t i = 0; i < 3; i++)
        t[order[i]] = new_thing(heap, &types[order[i]], "t");
    gc_set_field(&t[0]->attr, t[1]);
    gc_set_field(&t[1]->attr, t[0]);
    t[1]->other = t[2];
    gc_decref(t[0]);
    gc_decref(t[1]);
    assert_int_equal(gc_collect(heap), 0);
    assert_int_equal(deaths, 1);
    close_empty(heap);
}

static void test_bug21435(void **state)
{
    static const size_t orders[6][3] = {
        { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 },
        { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 },
    };

    (void)state;
    for (int i = 0; i < 6; i++)
        check_suicide(orders[i]);
}

static void assert_counts(gc_heap *heap, size_t count0, size_t count1,
                          size_t count2)
{
    size_t count[GC_GENERATIONS];

    gc_get_count(heap, count);
    assert_int_equal(count[0], count0);
    assert_int_equal(count[1], count1);
    assert_int_equal(count[2], count2);
}

static void test_get_count(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);

    (void)state;
    /* not under stress */
    #ifdef GC_STRESS
    gc_heap_free(heap);
    skip();
    #endif
    gc_collect(heap);
    assert_counts(heap, 0, 0, 0);
    void *list = gc_new_var(heap, &list_type, 0);
    assert_counts(heap, 1, 0, 0);
    gc_decref(list);
    assert_counts(heap, 0, 0, 0);
    close_empty(heap);
}

static void test_collect_generations(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    void *list;

    (void)state;
    gc_collect(heap);
    list = gc_new_var(heap, &list_type, 0);
    gc_collect_generation(heap, 0);
    assert_counts(heap, 0, 1, 0);
    gc_collect_generation(heap, 1);
    assert_counts(heap, 0, 0, 1);
    gc_collect_generation(heap, 2);
    assert_counts(heap, 0, 0, 0);
    gc_decref(list);
    close_empty(heap);
}

static void assert_collections(gc_heap *heap, const gc_stats *old,
                               size_t g0, size_t g1, size_t g2)
{
    gc_stats stats[GC_GENERATIONS];

    gc_get_stats(heap, stats);
    assert_int_equal(stats[0].collections - old[0].collections, g0);
    assert_int_equal(stats[1].collections - old[1].collections, g1);
    assert_int_equal(stats[2].collections - old[2].collections, g2);
}

static void test_get_stats(void **state)
{
    gc_stats old[GC_GENERATIONS];
    gc_heap *heap = gc_heap_new(NULL);

    (void)state;
    gc_get_stats(heap, old);
    for (int g = 0; g < GC_GENERATIONS; g++)
        assert_true(old[g].collections == 0 && old[g].collected == 0
                    && old[g].uncollectable == 0);
    gc_collect_generation(heap, 0);
    assert_collections(heap, old, 1, 0, 0);
    gc_collect_generation(heap, 2);
    assert_collections(heap, old, 1, 0, 1);
    close_empty(heap);
}

static void test_freeze(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    void *list = gc_new_var(heap, &list_type, 0);

    (void)state;
    gc_freeze(heap);
    assert_int_equal(gc_get_freeze_count(heap), 1);
    gc_unfreeze(heap);
    assert_int_equal(gc_get_freeze_count(heap), 0);
    gc_decref(list);
    close_empty(heap);
}

static void assert_tracked(void *object, bool tracked)
{
    assert_int_equal(gc_is_tracked(object), tracked);
    gc_decref(object);
}

static void test_is_tracked(void **state)
{
    gc_type visited = new_style(thing_type), bare = thing_type;
    gc_heap *heap = gc_heap_new(NULL);
    thing *t = new_thing(heap, &thing_type, "t");

    (void)state;
    bare.fields = NULL;
    assert_tracked(new_integer(heap, 1), false);
    assert_tracked(new_thing(heap, &bare, "bare"), false);
    assert_tracked(gc_new_var(heap, &list_type, 0), true);
    assert_tracked(gc_new_var(heap, &dict_type, 0), true);
    assert_tracked(gc_new_var(heap, &tuple_type, 1), true);
    assert_tracked(new_class(heap, "class", NULL, NULL), true);
    assert_tracked(new_thing(heap, &visited, "visited"), true);
    assert_tracked(gc_weakref_new(t, NULL, NULL), true);
    assert_tracked(t, true);
    gc_collect(heap); /* the class */
    close_empty(heap);
}

enum { NOWHERE = -1 };

/* The generation in whose list the object is. */
static int generation_of(gc_heap *heap, const void *object)
{
    gc_objects list = { 0 };
    int where = NOWHERE;

    for (int g = 0; g < GC_GENERATIONS; g++) {
        assert_true(gc_get_objects(heap, g, &list));
        for (size_t i = 0; i < list.length; i++)
            if ((void *)list.items[i] == object)
                where = g;
    }
    gc_objects_free(&list);
    return where;
}

static void test_get_objects(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *l = new_loop(heap, &thing_type, "l");

    (void)state;
    assert_int_equal(generation_of(heap, l), 0);
    gc_decref(l);
    assert_int_equal(generation_of(heap, l), 0);
    gc_collect(heap);
    assert_int_equal(generation_of(heap, l), NOWHERE);
    close_empty(heap);
}

static void test_get_objects_generations(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *l = new_loop(heap, &thing_type, "l");

    (void)state;
    assert_int_equal(generation_of(heap, l), 0);
    gc_collect_generation(heap, 0);
    assert_int_equal(generation_of(heap, l), 1);
    gc_collect_generation(heap, 1);
    assert_int_equal(generation_of(heap, l), 2);
    gc_collect_generation(heap, 2);
    assert_int_equal(generation_of(heap, l), 2);
    gc_decref(l);
    assert_int_equal(gc_collect(heap), 1);
    close_empty(heap);
}

static void test_get_objects_arguments(void **state)
{
    static const int wrong[] = { 1000, -1000, GC_GENERATIONS, -2 };
    gc_heap *heap = gc_heap_new(NULL);
    thing *l = new_loop(heap, &thing_type, "l");
    gc_objects list = { 0 };

    (void)state;
    gc_decref(l);
    assert_true(gc_get_objects(heap, -1, &list));
    assert_int_equal(list.length, 1);
    for (int i = 0; i < 4; i++) {
        assert_false(gc_get_objects(heap, wrong[i], &list));
        assert_int_equal(list.length, 0);
    }
    gc_objects_free(&list);
    assert_int_equal(gc_collect_generation(heap, 2), 1);
    close_empty(heap);
}

static void insert_sorted(char *digits, int digit)
{
    size_t n = strlen(digits), i = n;

    for (; i > 0 && digits[i - 1] > '0' + digit; i--)
        digits[i] = digits[i - 1];
    digits[i] = (char)('0' + digit);
    digits[n + 1] = '\0';
}

static void assert_referents(void *const objects[], size_t number,
                             const char *expected)
{
    gc_objects list = { 0 };
    char digits[20] = "";

    assert_true(gc_get_referents(objects, number, &list));
    for (size_t i = 0; i < list.length; i++)
        insert_sorted(digits, ((integer *)list.items[i])->value);
    gc_objects_free(&list);
    assert_string_equal(digits, expected);
}

static void test_get_referents(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    void *atom = new_integer(heap, 1);
    void *list = new_digits(heap, &list_type, "12");
    void *dict = new_digits(heap, &dict_type, "3415");
    void *tuple = new_digits(heap, &tuple_type, "000");

    (void)state;
    assert_referents(&list, 1, "12");
    assert_referents(&dict, 1, "1345");
    assert_referents(&tuple, 1, "000");
    assert_referents((void *[]) { list, dict, tuple, atom }, 4,
                     "000112345");
    assert_referents(&atom, 1, "");
    gc_decref(list), gc_decref(dict), gc_decref(tuple);
    gc_decref(atom);
    close_empty(heap);
}

static void test_get_referents_on_capsule(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    void *tuple = new_digits(heap, &tuple_type, "123");

    (void)state;
    gc_collect(heap);
    assert_false(gc_is_tracked(tuple));
    assert_int_equal(generation_of(heap, tuple), NOWHERE);
    assert_referents(&tuple, 1, "123");
    gc_decref(tuple);
    close_empty(heap);
}

static thing *risen[2];
static size_t rises;

static void rise(void *object)
{
    assert_true(rises < 2);
    risen[rises++] = gc_new_ref(object);
}

static void test_is_finalized(void **state)
{
    gc_type lazarus = finalized_by(rise);
    gc_heap *heap = gc_heap_new(NULL);
    void *three = new_integer(heap, 3);
    thing *t = new_thing(heap, &lazarus, "lazarus");

    (void)state;
    rises = 0;
    assert_false(gc_is_finalized(three));
    assert_false(gc_is_finalized(t));
    gc_decref(t);
    assert_ptr_equal(risen[0], t);
    assert_true(gc_is_finalized(t));
    gc_decref(t);
    gc_decref(three);
    close_empty(heap);
}

static void test_resurrection_only_happens_once_per_object(void **state)
{
    gc_type lazarus = finalized_by(rise);
    gc_heap *heap = gc_heap_new(NULL);
    thing *t = new_loop(heap, &lazarus, "lazarus");

    (void)state;
    rises = 0;
    gc_decref(t);
    assert_int_equal(gc_collect(heap), 0);
    assert_int_equal(rises, 1);
    gc_decref(risen[0]);
    assert_int_equal(gc_collect(heap), 1);
    assert_int_equal(rises, 1);
    close_empty(heap);
}

static void test_resurrection_is_transitive(void **state)
{
    gc_type lazarus = finalized_by(rise);
    gc_heap *heap = gc_heap_new(NULL);
    thing *t = new_thing(heap, &lazarus, "lazarus");
    thing *cargo = new_loop(heap, &thing_type, "cargo");

    (void)state;
    rises = 0;
    gc_set_field(&t->attr, cargo);
    cargo->other = t;
    gc_decref(cargo);
    assert_int_equal(gc_collect(heap), 0);
    assert_int_equal(rises, 1);
    assert_ptr_equal(risen[0]->attr, cargo);
    assert_ptr_equal(cargo->attr, cargo);
    gc_decref(risen[0]);
    assert_int_equal(gc_collect(heap), 2);
    close_empty(heap);
}

static void assert_collects(gc_heap *heap, size_t number)
{
    gc_stats old[GC_GENERATIONS], stats[GC_GENERATIONS];

    gc_get_stats(heap, old);
    assert_int_equal(gc_collect(heap), number);
    gc_get_stats(heap, stats);
    assert_int_equal(stats[2].collected - old[2].collected, number);
    assert_int_equal(stats[2].uncollectable, 0);
}

static void lose_loops(gc_heap *heap, const gc_type *type,
                       size_t number)
{
    for (size_t i = 0; i < number; i++)
        gc_decref(new_loop(heap, type, "loop"));
}

static void test_resurrection_does_not_block_cleanup_of_other_objects(
    void **state)
{
    enum { N = 100 };
    gc_type lazarus = finalized_by(rise);
    gc_heap *heap = gc_heap_new(NULL);

    (void)state;
    /* not under stress */
    #ifdef GC_STRESS
    gc_heap_free(heap);
    skip();
    #endif
    rises = 0;
    gc_disable(heap);
    lose_loops(heap, &thing_type, N);
    assert_collects(heap, N);
    lose_loops(heap, &lazarus, 1);
    assert_collects(heap, 0);
    lose_loops(heap, &thing_type, N);
    lose_loops(heap, &lazarus, 1);
    assert_collects(heap, N);
    assert_int_equal(rises, 2);
    gc_decref(risen[0]);
    gc_decref(risen[1]);
    assert_collects(heap, 2);
    close_empty(heap);
}

static gc_weakref *watched[2];
static size_t calls, living;

static void ask_for_both(gc_weakref *ref, void *closure)
{
    (void)ref, (void)closure;
    calls++;
    for (int i = 0; i < 2; i++) {
        void *object = gc_weakref_get(watched[i]);
        living += object != NULL;
        gc_xdecref(object);
    }
}

static void test_bug1055820b(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *c[2];

    (void)state;
    calls = living = 0;
    for (int i = 0; i < 2; i++)
        c[i] = new_loop(heap, &thing_type, "c");
    for (int i = 0; i < 2; i++)
        watched[i] = gc_weakref_new(c[i], ask_for_both, NULL);
    assert_int_equal(gc_collect(heap), 0);
    assert_int_equal(calls, 0);
    gc_decref(c[0]), gc_decref(c[1]);
    assert_int_equal(gc_collect(heap), 2);
    assert_int_equal(calls, 2);
    assert_int_equal(living, 0);
    gc_decref(watched[0]), gc_decref(watched[1]);
    close_empty(heap);
}

static bool gc_happened;

static void note_collection(gc_weakref *ref, void *closure)
{
    (void)ref, (void)closure;
    gc_happened = true;
}

static gc_weakref *new_detector(gc_heap *heap)
{
    thing *t = new_loop(heap, &thing_type, "detector");
    gc_weakref *ref = gc_weakref_new(t, note_collection, NULL);

    gc_decref(t);
    gc_happened = false;
    return ref;
}

enum { MOST_JUNK = 10000 };

/* Make objects until there is a collection, and return how many. */
static size_t wait_for_collection(gc_heap *heap)
{
    gc_weakref *detector = new_detector(heap);
    void *junk = NULL;
    size_t made = 0;

    while (!gc_happened && made < MOST_JUNK) {
        assert_int_equal(calls, 0);
        void *list = gc_new_var(heap, &list_type, 1);
        set_item(list, 0, junk);
        gc_xdecref(junk);
        junk = list;
        made++;
    }
    gc_xdecref(junk);
    gc_decref(detector);
    return made;
}

static void ask_for_neighbour(gc_weakref *ref, void *closure)
{
    void *neighbour = gc_weakref_get(watched[0]);

    (void)ref, (void)closure;
    calls++;
    living += neighbour != NULL;
    gc_xdecref(neighbour);
}

static void speak_of_neighbour(void *object)
{
    (void)object;
    ask_for_neighbour(NULL, NULL);
}

static void check_old_neighbour(const gc_type *type,
                                gc_weakref_callback *callback)
{
    gc_stats old[GC_GENERATIONS];
    gc_heap *heap = gc_heap_new(NULL);
    /* not under stress */
    #ifdef GC_STRESS
    gc_heap_free(heap);
    skip();
    #endif
    thing *c0 = new_thing(heap, type, "c0");
    gc_weakref *ref = gc_weakref_new(c0, callback, NULL);

    gc_collect(heap);
    thing *c1 = new_loop(heap, &thing_type, "c1");
    c1->other = c0;
    thing *c2 = new_loop(heap, &thing_type, "c2");
    watched[0] = gc_weakref_new(c2, NULL, NULL);
    calls = living = 0;
    gc_decref(c1), gc_decref(c2);
    gc_get_stats(heap, old);
    assert_true(wait_for_collection(heap) < MOST_JUNK);
    assert_collections(heap, old, 1, 0, 0);
    assert_int_equal(calls, 1);
    assert_int_equal(living, 0);
    gc_decref(ref), gc_decref(watched[0]);
    close_empty(heap);
}

static void test_bug1055820c(void **state)
{
    (void)state;
    check_old_neighbour(&thing_type, ask_for_neighbour);
}

static void test_bug1055820d(void **state)
{
    gc_type speaks = finalized_by(speak_of_neighbour);

    (void)state;
    check_old_neighbour(&speaks, NULL);
}

static void test_indirect_calls_with_gc_disabled(void **state)
{
    gc_stats old[GC_GENERATIONS];
    gc_heap *heap = gc_heap_new(NULL);

    (void)state;
    /* not under stress */
    #ifdef GC_STRESS
    gc_heap_free(heap);
    skip();
    #endif
    calls = 0;
    gc_get_stats(heap, old);
    assert_true(wait_for_collection(heap) < MOST_JUNK);
    assert_collections(heap, old, 1, 0, 0);
    gc_disable(heap);
    assert_int_equal(wait_for_collection(heap), MOST_JUNK);
    assert_collections(heap, old, 1, 0, 0);
    gc_enable(heap);
    assert_int_equal(gc_collect(heap), 1);
    close_empty(heap);
}

typedef struct keeper {
    gc_object base;
    thing *hidden; /* owned; the collector is not told */
} keeper;

static void give_up_hidden(void *object)
{
    gc_clear_field(&((keeper *)object)->hidden);
}

static const gc_type keeper_type = {
    .name = "keeper", .size = sizeof(keeper),
    .finalize = give_up_hidden,
};

static void count_call(gc_weakref *ref, void *closure)
{
    (void)ref, (void)closure;
    calls++;
}

static void test_trash_weakref_clear(void **state)
{
    gc_heap *heap = gc_heap_new(NULL);
    thing *a = new_loop(heap, &thing_type, "a");
    keeper *y = gc_new(heap, &keeper_type);
    thing *z = y->hidden = new_thing(heap, &thing_type, "z");
    gc_weakref *ref = gc_weakref_new(z, count_call, NULL);
    void *ring = gc_new_var(heap, &list_type, 2);

    (void)state;
    calls = 0;
    a->other = y;
    gc_set_field(&a->cls, ref);
    give_item(ring, 0, ref);
    set_item(ring, 1, ring);
    assert_int_equal(gc_collect(heap), 0);
    gc_decref(a);
    gc_decref(ring);
    assert_int_equal(gc_collect(heap), 3);
    assert_int_equal(calls, 0);
    close_empty(heap);
}

typedef struct visit {
    int who;
    bool stop;
    gc_info info;
} visit;

static visit visits[10];
static size_t visit_count;
static bool clean_up;
static int visitors[] = { 1, 2 };

static void break_garbage(gc_heap *heap)
{
    thing *t;

    while ((t = gc_garbage_pop(heap)) != NULL) {
        gc_clear_field(&t->attr);
        gc_decref(t);
    }
}

static void take_note(gc_heap *heap, const char *phase,
                      const gc_info *info, void *who)
{
    bool stop = strcmp(phase, "stop") == 0;

    assert_true(visit_count < 10);
    visits[visit_count++] = (visit) { *(int *)who, stop, *info };
    if (stop && clean_up && who == &visitors[1])
        break_garbage(heap);
}

static gc_heap *new_noted_heap(void)
{
    gc_heap *heap = gc_heap_new(NULL);

    visit_count = 0;
    clean_up = false;
    assert_true(gc_add_callback(heap, take_note, &visitors[0]));
    assert_true(gc_add_callback(heap, take_note, &visitors[1]));
    return heap;
}

static size_t count_visits(int who, bool stop)
{
    size_t number = 0;

    for (size_t i = 0; i < visit_count; i++)
        number += visits[i].who == who && visits[i].stop == stop;
    return number;
}

static void close_noted(gc_heap *heap)
{
    assert_true(gc_remove_callback(heap, take_note, &visitors[0]));
    assert_true(gc_remove_callback(heap, take_note, &visitors[1]));
    assert_false(gc_remove_callback(heap, take_note, &visitors[1]));
    close_empty(heap);
}

static void test_collect(void **state)
{
    gc_heap *heap = new_noted_heap();

    (void)state;
    gc_collect(heap);
    assert_int_equal(visit_count, 4);
    for (int who = 1; who <= 2; who++) {
        assert_int_equal(count_visits(who, false), 1);
        assert_int_equal(count_visits(who, true), 1);
    }
    assert_true(visits[2].stop && visits[3].stop);
    for (size_t i = 0; i < visit_count; i++)
        assert_true(visits[i].info.collected == 0
                    && visits[i].info.uncollectable == 0);
    close_noted(heap);
}

static void test_collect_generation(void **state)
{
    gc_heap *heap = new_noted_heap();

    (void)state;
    for (int g = GC_GENERATIONS - 1; g >= 0; g--) {
        visit_count = 0;
        gc_collect_generation(heap, g);
        assert_int_equal(visit_count, 4);
        for (size_t i = 0; i < visit_count; i++)
            assert_int_equal(visits[i].info.generation, g);
    }
    close_noted(heap);
}

static void lose_pair(gc_heap *heap, const gc_type *type)
{
    thing *t = new_thing(heap, type, "one");
    thing *partner = new_thing(heap, type, "two");

    t->attr = partner;
    gc_set_field(&partner->attr, t);
    gc_decref(t);
}

static void assert_told(gc_heap *heap, size_t collected,
                        size_t uncollectable)
{
    visit_count = 0;
    assert_int_equal(gc_collect(heap), collected + uncollectable);
    assert_int_equal(visit_count, 4);
    for (size_t i = 0; i < 4; i++)
        if (visits[i].stop) {
            gc_info info = visits[i].info;
            assert_int_equal(info.collected, collected);
            assert_int_equal(info.uncollectable, uncollectable);
        }
}

static void test_collect_garbage(void **state)
{
    gc_type type = legacy();
    gc_heap *heap = new_noted_heap();

    (void)state;
    /* not under stress */
    #ifdef GC_STRESS
    gc_heap_free(heap);
    skip();
    #endif
    lose_pair(heap, &type);
    lose_pair(heap, &type);
    lose_loops(heap, &thing_type, 1);
    assert_told(heap, 1, 4);
    assert_int_equal(gc_garbage_length(heap), 4);
    for (size_t i = 0; i < 4; i++)
        assert_ptr_equal(((gc_object *)gc_garbage_item(heap, i))->type,
                         &type);
    /* let a callback clean up the garbage list */
    thing *kept = gc_new_ref(gc_garbage_item(heap, 3));
    gc_garbage_clear(heap);
    clean_up = true;
    assert_told(heap, 0, 2);
    assert_int_equal(gc_garbage_length(heap), 0);
    assert_int_equal(gc_heap_count(heap), 2);
    gc_clear_field(&kept->attr);
    gc_decref(kept);
    close_noted(heap);
}

static void give_up_too_much(void)
{
    gc_heap *heap = gc_heap_new(NULL);
    void *globals = gc_new_var(heap, &dict_type, 2);
    void *a = new_digits(heap, &list_type, "123");
    void *b = gc_new_var(heap, &list_type, 1);

    set_item(b, 0, a);
    give_item(globals, 0, a);
    give_item(globals, 1, b);
    gc_decref(a); /* not ours */
    gc_collect(heap);
}

static void test_refcount_errors(void **state)
{
    (void)state;
    assert_stops(give_up_too_much, "list [1, 2, 3]: more references "
                 "to it than its refcount, 1");
}

static char destroyed[10];

static void note_destruction(void *object)
{
    thing *t = object;

    assert_null(t->cls);
    strcat(destroyed, t->name);
}

static thing *last_owner(gc_heap *heap, const gc_type *type,
                         const char *cls, const char *name)
{
    thing *t = new_thing(heap, type, name);

    t->cls = new_thing(heap, type, cls);
    return t;
}

static void test_ast_fini(void **state)
{
    gc_type type = thing_type;
    gc_heap *heap = gc_heap_new(NULL);

    (void)state;
    type.destroy = note_destruction;
    destroyed[0] = '\0';
    void *x = gc_new_var(heap, &list_type, 2);
    thing *tree = last_owner(heap, &type, "T", "t");
    tree->attr = last_owner(heap, &type, "L", "l");
    give_item(x, 0, tree);
    set_item(x, 1, x);
    gc_decref(x);
    assert_int_equal(gc_heap_free(heap), 0);
    assert_int_equal(strlen(destroyed), 4);
    assert_true(strchr(destroyed, 'T') < strchr(destroyed, 't'));
    assert_true(strchr(destroyed, 'L') < strchr(destroyed, 'l'));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* the list of tests from test_gc */
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_dict),
        cmocka_unit_test(test_tuple),
        cmocka_unit_test(test_class),
        cmocka_unit_test(test_newstyleclass),
        cmocka_unit_test(test_instance),
        cmocka_unit_test(test_newinstance),
        cmocka_unit_test(test_method),
        cmocka_unit_test(test_function),
        cmocka_unit_test(test_function_tp_clear_leaves_consistent_state),
        cmocka_unit_test(test_legacy_finalizer),
        cmocka_unit_test(test_legacy_finalizer_newclass),
        cmocka_unit_test(test_saveall),
        cmocka_unit_test(test_garbage_at_shutdown),
        cmocka_unit_test(test_del),
        cmocka_unit_test(test_del_newclass),
        cmocka_unit_test(test_trashcan),
        cmocka_unit_test(test_trashcan_threads),
        cmocka_unit_test(test_boom),
        cmocka_unit_test(test_boom2),
        cmocka_unit_test(test_bug21435),
        cmocka_unit_test(test_get_count),
        cmocka_unit_test(test_collect_generations),
        cmocka_unit_test(test_get_stats),
        cmocka_unit_test(test_freeze),
        cmocka_unit_test(test_is_tracked),
        cmocka_unit_test(test_get_objects),
        cmocka_unit_test(test_get_objects_generations),
        cmocka_unit_test(test_get_objects_arguments),
        cmocka_unit_test(test_get_referents),
        cmocka_unit_test(test_get_referents_on_capsule),
        cmocka_unit_test(test_is_finalized),
        cmocka_unit_test(test_resurrection_only_happens_once_per_object),
        cmocka_unit_test(test_resurrection_is_transitive),
        cmocka_unit_test(
            test_resurrection_does_not_block_cleanup_of_other_objects),
        cmocka_unit_test(test_bug1055820b),
        cmocka_unit_test(test_bug1055820c),
        cmocka_unit_test(test_bug1055820d),
        cmocka_unit_test(test_indirect_calls_with_gc_disabled),
        cmocka_unit_test(test_trash_weakref_clear),
        cmocka_unit_test(test_collect),
        cmocka_unit_test(test_collect_generation),
        cmocka_unit_test(test_collect_garbage),
        cmocka_unit_test(test_refcount_errors),
        cmocka_unit_test(test_ast_fini),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
