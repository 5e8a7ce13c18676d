/* From chapter appendix E of The Invisible Janitor; made by make tangle. */
/* ours.c: the world of the library. */
#include "machine.h"
#include "internal.h"
#include <stdlib.h>

_Static_assert(sizeof(gc_object) == sizeof(void *[2]),
               "a node does not begin with a gc_object");

/* hear of our nodes */
/* The collector calls back the first of a list. */
static enum phase phase_of(gc_weakref *ref)
{
#ifndef GC_SLABS
    return gc_heap_of(ref)->calling.next == &head_of(ref)->link
        ? CALLBACKS : BY_COUNT;
#else
    return gc_heap_of(ref)->calling == ref ? CALLBACKS : BY_COUNT;
#endif
}

static void finalize(void *object)
{
    bool collected = gc_is_finalized(object);

    on_finalizer(object, FINALIZED, collected ? FINALIZERS : BY_COUNT);
}

static void finalize_legacy(void *object)
{
    on_finalizer(object, DELETED, BY_COUNT);
}

static void destroy(void *object)
{
    on_death(object);
}

/* define our types */
static const gc_field fields[] = {
    { "0", offsetof(struct node, slots) },
    { "1", offsetof(struct node, slots) + sizeof(void *) },
    { "2", offsetof(struct node, slots) + 2 * sizeof(void *) },
    GC_END
};

static const gc_type types[KINDS] = {
    [PLAIN] = {
        .name = "plain", .size = sizeof(struct node),
        .fields = fields, .destroy = destroy,
        .weaklist_offset = offsetof(struct node, weaklist) },
    [FINALIZER] = {
        .name = "finalizer", .size = sizeof(struct node),
        .fields = fields, .destroy = destroy, .finalize = finalize,
        .weaklist_offset = offsetof(struct node, weaklist) },
    [LEGACY] = {
        .name = "legacy", .size = sizeof(struct node),
        .fields = fields, .destroy = destroy,
        .legacy_finalize = finalize_legacy,
        .weaklist_offset = offsetof(struct node, weaklist) },
    [ATOM] = {
        .name = "atom", .size = sizeof(struct node),
        .destroy = destroy, .finalize = finalize,
        .weaklist_offset = offsetof(struct node, weaklist) },
};

/* begin our world */
static void called_back(gc_weakref *ref, void *closure)
{
    on_callback(closure, ref, ref->hash, phase_of(ref));
}

static void tell(gc_heap *heap, const char *phase, const gc_info *info,
                 void *machine)
{
    (void)heap;
    on_collection(machine, strcmp(phase, "start") == 0,
                  info->generation, info->collected,
                  info->uncollectable);
}

static void begin(struct machine *m)
{
    m->heap = gc_heap_new(NULL);
    if (m->heap == NULL || !gc_add_callback(m->heap, tell, m))
        abort();
}

/* serve the machine */
static void *make(struct machine *m, enum kind kind)
{
    return gc_new(m->heap, &types[kind]);
}

static void *make_ref(void *object, void *closure, bool proxy,
                      size_t id)
{
    gc_weakref *ref = (proxy ? gc_proxy_new : gc_weakref_new)(object,
                          closure ? called_back : NULL, closure);

    if (ref != NULL && ref->hash == 0)
        ref->hash = id;
    return ref;
}

static void *follow(void *ref)
{
    return gc_weakref_get(ref);
}

static bool is_ref(void *object)
{
    return is_weakref(object);
}

static void incref(void *object)
{
    gc_incref(object);
}

static void decref(void *object)
{
    gc_decref(object);
}

static size_t collect(struct machine *m, int generation)
{
    return (size_t)gc_collect_generation(m->heap, generation);
}

static void set(struct machine *m, enum setting setting, bool on)
{
    static void (*const change[][2])(gc_heap *) = {
        [ENABLED] = { gc_disable, gc_enable },
        [FROZEN] = { gc_unfreeze, gc_freeze },
    };

    if (setting == SAVING)
        gc_set_debug(m->heap, on ? GC_DEBUG_SAVEALL : 0);
    else
        change[setting][on](m->heap);
}

static void set_threshold(struct machine *m, const size_t limits[3])
{
    gc_set_threshold(m->heap, limits[0], limits[1], limits[2]);
}

static void *garbage_item(struct machine *m, size_t i)
{
    return gc_garbage_item(m->heap, i);
}

static void garbage_clear(struct machine *m)
{
    gc_garbage_clear(m->heap);
}

/* look at our objects */
#ifndef GC_SLABS
static void *next(struct machine *m, int generation, void *object)
{
    gc_heap *heap = m->heap;
    gc_link *list = generation < GC_GENERATIONS
        ? &heap->generations[generation].objects : &heap->permanent;
    gc_link *link = object ? head_of(object)->link.next : list->next;

    return link == list ? NULL : object_at(link);
}
#else
static bool is_of(const gc_head *head, int generation)
{
    uint8_t mask = ALIVE | TRACKED | GENERATION;

    return (head->state & mask) == (ALIVE | TRACKED | generation)
        && !head->unreachable && !head->apart;
}

static void *next(struct machine *m, int generation, void *object)
{
    const struct gc_tables *t = &((gc_heap *)m->heap)->tables;
    size_t n = object ? slab_of(object)->number : 0;
    size_t i = object ? gc_slot_of(slab_of(object), object) + 1 : 0;

    for (; n < t->slabs; n++, i = 0) {
        char *first = t->rows[n].first;
        const gc_slab *s = first != NULL ? slab_of(first) : NULL;
        for (; s != NULL && i < s->fresh; i++)
            if (is_of(&s->heads[i], generation))
                return first + i * s->size;
    }
    return NULL;
}
#endif

static size_t id_of(gc_object *o)
{
    if (o == NULL)
        return 0;
    return is_weakref(o) ? ref_id(((gc_weakref *)o)->hash)
                         : ((struct node *)(void *)o)->id;
}

static void look(void *object, struct seen *seen)
{
    gc_weakref *ref = object;
    struct node *n = object;

    *seen = (struct seen) {
        id_of(object), gc_refcount(object), gc_is_finalized(object),
        gc_is_tracked(object), { 0 } };
    if (is_weakref(object)) {
        seen->slots[0] = id_of(ref->referent);
        seen->slots[1] = id_of(ref->closure);
        return;
    }
    for (int i = 0; i < SLOTS; i++)
        seen->slots[i] = id_of(n->slots[i]);
}

static void look_around(struct machine *m, struct state *state)
{
    gc_heap *heap = m->heap;
    gc_stats stats[GC_GENERATIONS];

    gc_get_stats(heap, stats);
    gc_get_count(heap, state->count);
    gc_get_threshold(heap, state->threshold);
    for (int g = 0; g < GC_GENERATIONS; g++) {
        state->collections[g] = stats[g].collections;
        state->collected[g] = stats[g].collected;
        state->uncollectable[g] = stats[g].uncollectable;
    }
    state->alive = gc_heap_count(heap);
    state->enabled = gc_is_enabled(heap);
    state->total = heap->long_lived_total;
    state->pending = heap->long_lived_pending;
    state->garbage = gc_garbage_length(heap);
}

/* search for our references */
struct search {
    gc_object *target;
    size_t *ids, found;
};

static void visit_any(void *referent, void *search)
{
    struct search *s = search;

    if (referent != NULL)
        s->ids[s->found++] = id_of(referent);
}

static void visit_target(void *referent, void *found)
{
    struct search *s = found;

    if (referent == s->target)
        s->target = NULL;
}

static size_t referents(struct machine *m, void *object, size_t *ids)
{
    struct search s = { NULL, ids, 0 };

    (void)m;
    gc_traverse(object, visit_any, &s);
    return s.found;
}

static size_t referrers(struct machine *m, void *object, size_t *ids)
{
    size_t found = 0;

    for (int g = 0; g < GC_GENERATIONS; g++)
        for (void *o = next(m, g, NULL); o; o = next(m, g, o)) {
            struct search s = { object, NULL, 0 };
            gc_traverse(o, visit_target, &s);
            if (s.target == NULL)
                ids[found++] = id_of(o);
        }
    return found;
}

const struct world our_world = {
    "ours", begin, make, make_ref, gc_getweakrefcount, follow, is_ref,
    incref, decref, collect, set, set_threshold, garbage_item,
    garbage_clear, next, look, look_around, referrers, referents,
};
