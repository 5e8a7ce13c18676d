/* From chapter 9 of The Invisible Janitor; made by make tangle. */
/* test_hooks.c: every function of the library, from every hook. */
#include "support.h"

/* the hooks, and who acts in them */
typedef struct actor {
    gc_object base;
    gc_weakref *weaklist;
    struct actor *next;
    gc_object *other;
} actor;

enum hook {
    ALLOCATE, RELEASE, SINK, PHASE, LEAK, REPR, EQUAL, HASH, DESTROY,
    TRAVERSE, CLEAR, FINALIZE, LEGACY, WEAKREF, CALLBACK, WAITING,
    OWNED, PROXY, HOOKS
};

typedef void act(gc_heap *heap, actor *a);

/* The act of this show, in which hook it is given, and how often it
 * has been; a is an object that lives through the show. */
static struct show {
    gc_heap *heap;
    actor *a;
    act *act;
    enum hook hook;
    bool on;
    size_t given;
} show;

static void enter(enum hook hook)
{
    if (!show.on || hook != show.hook)
        return;
    show.on = false;
    show.act(show.heap, show.a);
    show.given++;
    show.on = true;
}

/* Those of the allocator. */
static bool allocates(void)
{
    return show.hook == ALLOCATE || show.hook == RELEASE;
}

/* The hooks that are to look and not to touch, whenever called. */
static bool looks(void)
{
    return allocates() || show.hook == PHASE || show.hook == REPR
        || show.hook == OWNED;
}

/* Those in which the heap is closing. */
static bool closes(void)
{
    return show.hook == LEAK;
}

static void *allocate_and_enter(void *context, size_t size,
                                size_t alignment)
{
    enter(ALLOCATE);
    return budget_allocate(context, size, alignment);
}

static void release_and_enter(void *context, void *block, size_t size)
{
    enter(RELEASE);
    budget_release(context, block, size);
}

static void write_and_enter(void *context, const char *line)
{
    (void)context, (void)line;
    enter(SINK);
}

static void phase_and_enter(gc_heap *heap, const char *phase, void *arg)
{
    (void)heap, (void)phase, (void)arg;
    enter(PHASE);
}

static void leak_and_enter(const gc_leak *leak, void *context)
{
    (void)leak, (void)context;
    show.on = true;
    enter(LEAK);
    show.on = false;
}

static void repr_and_enter(const void *object, char *text, size_t size)
{
    (void)object;
    snprintf(text, size, "actor");
    enter(REPR);
}

static bool equal_and_enter(void *object, void *other)
{
    enter(EQUAL);
    return object == other;
}

static bool hash_and_enter(void *object, size_t *hash)
{
    (void)object;
    *hash = 7;
    enter(HASH);
    return true;
}

static void destroy_and_enter(void *object)
{
    (void)object;
    enter(DESTROY);
}

static void traverse_and_enter(void *object, gc_visit *visit, void *arg)
{
    visit(((actor *)object)->other, arg);
    enter(TRAVERSE);
}

static void clear_and_enter(void *object)
{
    enter(CLEAR);
    gc_clear_field(&((actor *)object)->other);
}

static void speak_and_enter(void *object)
{
    (void)object;
    enter(FINALIZE);
}

static void old_and_enter(void *object)
{
    (void)object;
    enter(LEGACY);
}

static void told_and_enter(gc_weakref *ref, void *closure)
{
    (void)ref, (void)closure;
    enter(WEAKREF);
}

static void begun_and_enter(gc_heap *heap, const char *phase,
                            const gc_info *info, void *context)
{
    (void)heap, (void)phase, (void)info, (void)context;
    enter(CALLBACK);
}

static void wait_and_enter(void *arg)
{
    (void)arg;
    enter(WAITING);
}

static size_t own_and_enter(const void *object)
{
    (void)object;
    enter(OWNED);
    return 0;
}

static void use_and_enter(void *object, void *arg)
{
    (void)object, (void)arg;
    enter(PROXY);
}

static const gc_field actor_fields[] = {
    GC_FIELD(actor, next), GC_END
};

static const gc_type actor_type = {
    .name = "actor", .size = sizeof(actor), .fields = actor_fields,
    .weaklist_offset = offsetof(actor, weaklist),
    .repr = repr_and_enter, .equal = equal_and_enter,
    .hash = hash_and_enter, .destroy = destroy_and_enter,
    .traverse = traverse_and_enter, .clear = clear_and_enter,
    .finalize = speak_and_enter, .owned_bytes = own_and_enter,
};

static const gc_type old_type = {
    .name = "old", .size = sizeof(actor), .fields = actor_fields,
    .legacy_finalize = old_and_enter, .repr = repr_and_enter,
};

static const gc_type row_type = {
    .name = "row", .size = sizeof(gc_var_object),
    .item_size = sizeof(gc_object *), .item_refs = true,
};

/* acts */
static void *born(void *object)
{
    if (looks() || closes())
        assert_null(object);
    else if (show.hook != SINK && show.hook != TRAVERSE)
        assert_non_null(object);
    return object;
}

static void act_births(gc_heap *heap, actor *a)
{
    gc_place place = { "somewhere", 1 };

    gc_xdecref(born(gc_new(heap, &actor_type)));
    gc_xdecref(born(gc_note_place(
        gc_new_at(heap, &actor_type, 0, place), place)));
    gc_object *row = born(gc_new_var(heap, &row_type, 3));
    if (row != NULL) {
        gc_set_field(gc_items(row), a);
        gc_make_immortal(row);
        assert_true(gc_is_immortal(row));
        gc_decref(row);
    }
    assert_null(gc_get_place(a).file);
}

static void act_counting(gc_heap *heap, actor *a)
{
    size_t count = gc_refcount(a), threshold[GC_GENERATIONS];
    size_t counts[GC_GENERATIONS], hash;

    gc_incref(a), gc_xincref(a), gc_decref(a), gc_xdecref(a);
    gc_decref(gc_new_ref(a));
    gc_set_field(&a->other, a), gc_clear_field(&a->other);
    assert_int_equal(gc_refcount(a), count);
    assert_false(gc_is_immortal(a) || gc_is_finalized(a));
    assert_true(gc_is_tracked(a) && gc_hash(a, &hash));
    assert_true(gc_equal(a, a) && gc_heap_of(a) == heap);
    assert_null(gc_type_error(a->base.type));
    gc_get_count(heap, counts);
    gc_get_threshold(heap, threshold);
    gc_set_threshold(heap, threshold[0], threshold[1], threshold[2]);
    gc_write_unraisable(a, "nothing");
    gc_clear_free_lists(heap);
}

static void act_collections(gc_heap *heap, actor *a)
{
    gc_stats stats[GC_GENERATIONS];
    bool enabled = gc_is_enabled(heap);

    (void)a;
    gc_disable(heap), gc_enable(heap);
    if (!enabled)
        gc_disable(heap);
    if (looks() || closes() || show.hook == CALLBACK) {
        assert_int_equal(gc_collect(heap), 0);
        assert_int_equal(gc_collect_generation(heap, 0), 0);
    } else {
        gc_collect(heap), gc_collect_generation(heap, 0);
    }
    gc_get_stats(heap, stats);
    /* freeze, or be refused */
    size_t frozen = gc_get_freeze_count(heap);
    gc_freeze(heap);
    if ((looks() && !allocates()) || closes()) {
        assert_int_equal(gc_get_freeze_count(heap), frozen);
        gc_unfreeze(heap);
        assert_int_equal(gc_get_freeze_count(heap), frozen);
    }
    gc_unfreeze(heap);
}

static void act_deaths(gc_heap *heap, actor *a)
{
    size_t count = gc_heap_count(heap);
    bool alone = a->next != NULL && gc_refcount(a->next) == 1;

    if (show.hook == CLEAR) /* it gives up its own, no one else's */
        return;
    gc_clear_field(&a->next);
    if ((looks() && !allocates()) || closes())
        assert_int_equal(gc_heap_count(heap), count);
    else if (alone && !looks() && show.hook != SINK
             && show.hook != TRAVERSE)
        assert_int_equal(gc_heap_count(heap), count - 1);
}

static void hear(gc_heap *heap, const char *phase, const gc_info *info,
                 void *context)
{
    (void)heap, (void)phase, (void)info, (void)context;
}

static void act_control(gc_heap *heap, actor *a)
{
    unsigned debug = gc_get_debug(heap);

    if (gc_add_callback(heap, hear, a))
        assert_true(gc_remove_callback(heap, hear, a));
    gc_set_debug(heap, 0), gc_set_debug(heap, debug);
    gc_set_sink(heap, (gc_sink) { write_and_enter, NULL });
    gc_garbage_item(heap, gc_garbage_length(heap));
    gc_xdecref(gc_garbage_pop(heap));
    gc_garbage_clear(heap);
}

static void touch(void *object, void *arg)
{
    *(bool *)arg = object == show.a;
}

static void see_nothing(void *referent, void *arg)
{
    (void)referent, (void)arg;
}

static void use_reference(gc_weakref *ref)
{
    size_t hash;

    assert_true(gc_weakref_get_callback(ref) == told_and_enter);
    assert_true(gc_weakref_hash(ref, &hash));
    assert_true(gc_weakref_equal(ref, ref));
    gc_weakref_traverse(ref, see_nothing, NULL);
    gc_weakref_clear(ref);
}

static void act_references(gc_heap *heap, actor *a)
{
    gc_weakref *ref = gc_weakref_new(a, NULL, NULL), *first;
    gc_weakref *other = gc_weakref_new_of(&gc_weakref_type, a,
                                          told_and_enter, NULL);
    gc_weakref *proxy = gc_proxy_new(a, NULL, NULL);
    bool touched = false;

    (void)heap;
    gc_getweakrefs(a, &first, 1), gc_getweakrefcount(a);
    if (ref != NULL)
        gc_decref(gc_weakref_get(ref));
    if (other != NULL)
        use_reference(other);
    if (proxy != NULL) {
        assert_true(gc_is_proxy(proxy));
        assert_true(gc_proxy_call(proxy, touch, &touched) && touched);
    }
    gc_xdecref(ref), gc_xdecref(other), gc_xdecref(proxy);
}

static void do_nothing(void *arg)
{
    (void)arg;
}

static void act_finalizers(gc_heap *heap, actor *a)
{
    gc_place place = { "somewhere", 1 };
    gc_finalizer *f = gc_finalize(a, do_nothing, NULL);
    gc_finalizer *g = gc_finalize_at(a, do_nothing, NULL, place);

    (void)heap;
    if (f != NULL && g != NULL) {
        assert_true(gc_finalizer_is_alive(f));
        gc_decref(gc_finalizer_peek(f));
        gc_finalizer_set_atexit(f, false);
        assert_true(gc_finalizer_call(f));
        assert_true(gc_finalizer_detach(g));
    }
}

static void use_dictionary(gc_weakdict *d, actor *a, void *value)
{
    gc_weakdict_iter it;
    void *k;

    gc_weakdict_set(d, a, value);
    gc_xdecref(gc_weakdict_get(d, a));
    gc_weakdict_contains(d, a);
    gc_xdecref(gc_weakdict_setdefault(d, a, value));
    for (gc_weakdict_begin(&it, d); gc_weakdict_next(&it);)
        assert_ptr_equal(it.key, a);
    gc_weakdict_end(&it);
    gc_weakdict_update(d, d);
    gc_weakdict_delete(d, a);
    gc_xdecref(gc_weakdict_pop(d, a));
    if (gc_weakdict_popitem(d, &k, NULL))
        gc_decref(k);
    gc_weakdict_clear(d);
    assert_int_equal(gc_weakdict_len(d), 0);
}

static void act_dictionaries(gc_heap *heap, actor *a)
{
    gc_weakdict *dicts[] = { gc_weakvaluedict_new(heap),
                             gc_weakkeydict_new(heap) };
    gc_weakdict *set = gc_weakset_new(heap);

    for (int i = 0; i < 2; i++)
        if (dicts[i] != NULL)
            use_dictionary(dicts[i], a, a);
    if (set != NULL) {
        if (gc_weakset_add(set, a))
            gc_xdecref(gc_weakset_pop(set));
        use_dictionary(set, a, NULL);
    }
    gc_xdecref(set), gc_xdecref(dicts[0]), gc_xdecref(dicts[1]);
}

static void act_pools(gc_heap *heap, actor *a)
{
    gc_place place = { "somewhere", 1 };
    gc_pool *pool = gc_pool_new(heap, &row_type, 2);
    gc_pool *other = gc_pool_new_at(heap, &row_type, 1, place);

    if (pool != NULL) {
        void *row = gc_pool_get(pool);
        assert_int_equal(gc_pool_size(pool), 2);
        if (row != NULL)
            assert_int_equal(gc_pool_release(pool, row),
                             GC_POOL_RELEASED);
        assert_int_equal(gc_pool_release(pool, a), GC_POOL_NOT_OURS);
        gc_pool_available(pool);
    }
    gc_xdecref(pool), gc_xdecref(other);
}

static void act_questions(gc_heap *heap, actor *a)
{
    gc_objects list = { 0 };
    void *o = a;
    bool answers[] = {
        gc_get_objects(heap, -1, &list),
        gc_get_referents(&o, 1, &list),
        gc_get_referrers(&o, 1, &list),
        gc_by_type(heap, "actor", 10, &list),
    };

    for (int i = 0; looks() && i < 4; i++)
        assert_false(answers[i]);
    FILE *out = tmpfile();
    if (gc_find_chain(a, &list))
        gc_print_chain(&list, out);
    bool found[] = { gc_find_chain(a, &list), gc_find_cycle(a, &list),
                     gc_draw(a, 2, 10, out) };
    for (int i = 0; looks() && i < 3; i++)
        assert_false(found[i]);
    gc_dump(heap, NULL, out);
    fclose(out);
    gc_objects_free(&list);
}

static void act_snapshots(gc_heap *heap, actor *a)
{
    gc_snapshot *s = gc_take_snapshot(heap);
    FILE *out = tmpfile();

    (void)a;
    if (s != NULL) {
        gc_snapshot *types = gc_snapshot_by_type(s);
        gc_snapshot *d = gc_snapshot_compare(s, s);
        gc_snapshot_print(s, 10, out);
        gc_snapshot_free(types), gc_snapshot_free(d);
    }
    gc_write_line(out, "the end");
    gc_snapshot_free(s);
    fclose(out);
}

static void act_closing(gc_heap *heap, actor *a)
{
    size_t count = gc_heap_count(heap), bytes = gc_heap_bytes(heap);
    gc_heap *other = gc_heap_new(NULL);

    (void)a;
    assert_true(gc_heap_free(heap) == SIZE_MAX);
    assert_int_equal(gc_heap_free(other), 0);
    assert_int_equal(gc_heap_count(heap), count);
    assert_int_equal(gc_heap_bytes(heap), bytes);
}

/* a show that provokes all hooks */
static void lose_ring(gc_heap *heap, const gc_type *type)
{
    actor *ring = gc_new(heap, type);

    gc_set_field(&ring->next, ring);
    gc_decref(ring);
}

/* What has a finalizer of the old kind is for us to take apart. */
static void take_rings_apart(gc_heap *heap)
{
    actor *ring;

    while ((ring = gc_garbage_pop(heap)) != NULL) {
        gc_clear_field(&ring->next);
        gc_decref(ring);
    }
}

static void play(gc_heap *heap)
{
    actor *x = gc_new(heap, &actor_type);
    actor *y = gc_new(heap, &actor_type);
    actor *old = gc_new(heap, &old_type);
    gc_weakdict *set = gc_weakset_new(heap);
    gc_weakref *ref = gc_weakref_new(x, told_and_enter, NULL);
    gc_objects list = { 0 };

    assert_non_null(gc_finalize(x, wait_and_enter, NULL));
    assert_true(gc_weakset_add(set, x) && gc_weakset_add(set, y));
    gc_set_field(&x->next, y), gc_set_field(&y->next, x);
    gc_set_field(&x->other, old);
    /* the show goes on */
    gc_by_type(heap, "actor", 10, &list);
    gc_objects_free(&list);
    gc_write_unraisable(x, "only pretended");
    gc_decref(x), gc_decref(y), gc_decref(old);
    lose_ring(heap, &old_type);
    gc_set_debug(heap, GC_DEBUG_STATS | GC_DEBUG_COLLECTABLE
                           | GC_DEBUG_UNCOLLECTABLE);
    gc_collect(heap);
    gc_set_debug(heap, 0);

    /* what the end of the show leaves behind */
    gc_decref(gc_new(heap, &old_type));
    lose_ring(heap, &actor_type);
    FILE *out = tmpfile();
    gc_dump(heap, NULL, out);
    fclose(out);
    if (show.hook == OWNED)
        gc_snapshot_free(gc_take_snapshot(heap));
    gc_weakref *proxy = gc_proxy_new(show.a, NULL, NULL);
    assert_true(gc_proxy_call(proxy, use_and_enter, NULL));
    gc_decref(proxy), gc_decref(ref), gc_decref(set);
}
static size_t immortals(gc_heap *heap)
{
    gc_objects list = { 0 };
    size_t number = 0;

    assert_true(gc_by_type(heap, "row", SIZE_MAX, &list));
    for (size_t i = 0; i < list.length; i++)
        number += gc_is_immortal(list.items[i]);
    gc_objects_free(&list);
    return number;
}

/* give every act in every hook */
static void give(act *fn, enum hook hook)
{
    budget b = { .left = SIZE_MAX };
    gc_options options = {
        .allocator = { allocate_and_enter, release_and_enter, &b },
        .sink = { write_and_enter, NULL },
        .on_phase = phase_and_enter, .on_leak = leak_and_enter };

    show = (struct show) { .act = fn, .hook = hook };
    gc_heap *heap = show.heap = gc_heap_new(&options);
    /* make the object that all acts are about, and its friend */
    show.a = gc_new(heap, &actor_type);
    show.a->next = gc_new(heap, &old_type);
    gc_freeze(heap);
    assert_true(gc_add_callback(heap, begun_and_enter, NULL));
    gc_disable(heap);
    show.on = true;
    play(heap);
    show.on = false;
    assert_true(gc_remove_callback(heap, begun_and_enter, NULL));
    /* see that all are gone whom nobody holds */
    gc_collect(heap);
    take_rings_apart(heap);
    size_t friends = show.a->next != NULL;
    assert_int_equal(gc_heap_count(heap), 1 + friends + immortals(heap));
    assert_int_equal(gc_heap_free(heap), 1 + friends);
    assert_int_equal(b.blocks, 0);
    assert_true(show.given > 0);
}

static act *const acts[] = {
    act_births, act_counting, act_collections, act_deaths,
    act_control, act_references, act_finalizers, act_dictionaries,
    act_pools, act_questions, act_snapshots, act_closing,
};

static void test_every_function_in_every_hook(void **state)
{
    (void)state;
    for (int hook = 0; hook < HOOKS; hook++)
        for (size_t i = 0; i < sizeof acts / sizeof *acts; i++)
            give(acts[i], (enum hook)hook);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_function_in_every_hook),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
