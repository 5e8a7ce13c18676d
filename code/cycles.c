/* From chapters 3, 4, 5, 6, 7, 9 and 10 of The Invisible Janitor; made by make tangle. */
/* cycles.c: finding the garbage that counting cannot see. */
#include "internal.h"

/* tell which phase is over */
static void gc_phase(gc_heap *heap, const char *phase)
{
    const gc_options *o = &heap->options;

    if (o->on_phase == NULL)
        return;
    gc_hush(heap);
    o->on_phase(heap, phase, o->phase_context);
    gc_unhush(heap);
}
/* go through the slabs of a collection */
static inline bool is_in(struct gc_set set, uint8_t state)
{
    return (uint8_t)((state & set.mask) - set.least) <= set.span;
}

static inline bool in_set(const gc_heap *heap, uint8_t state)
{
    return is_in(heap->set, state);
}

static gc_slab *next_touched(const gc_heap *heap, size_t *n)
{
    const struct gc_tables *t = &heap->tables;

    for (; *n < t->slabs; ++*n)
        if (t->touched[*n])
            return slab_of(t->rows[(*n)++].first);
    return NULL;
}

static inline gc_object *object_in(const gc_heap *heap,
                                   const gc_slab *s, size_t i)
{
    const struct gc_row *row = &heap->tables.rows[s->number];

    return (gc_object *)(void *)(row->first + i * row->size);
}

static uint32_t base_of(const gc_heap *heap, const gc_slab *s)
{
    return heap->tables.rows[s->number].base;
}

/* choose what is collected */
static int older_than(int g)
{
    return g + 1 < GC_GENERATIONS ? g + 1 : g;
}

/* The tracked objects of generations 0 to g. */
static void choose_generations(gc_heap *heap, int g)
{
    struct gc_tables *t = &heap->tables;

    heap->features = 0;
    heap->set = (struct gc_set) { ALIVE | TRACKED | GENERATION,
                                  ALIVE | TRACKED, (uint8_t)g };
    for (size_t n = 0; n < t->slabs; n++) {
        t->touched[n] = t->youngest[n] <= g;
        t->settled[n] = t->youngest[n] == GC_GENERATIONS - 1;
        if (CHECKING && t->touched[n]) /* are all of them dead? */
            t->touched[n] = slab_of(t->rows[n].first)->used > 0;
        if (t->touched[n])
            t->youngest[n] = (uint8_t)older_than(g);
    }
}

/* The objects that seemed to be garbage. */
static void mark_collecting(gc_object *o, void *older)
{
    head_of(o)->unreachable = false;
    head_of(o)->state = (uint8_t)(ALIVE | TRACKED | COLLECTING
                                  | *(int *)older);
}

static void choose_unreachable(gc_heap *heap, int older)
{
    gc_each_unreachable(heap, mark_collecting, &older);
    heap->set = (struct gc_set) { COLLECTING, COLLECTING, 0 };
}

/* visit references in a hurry */
static unsigned features_of(const gc_type *t)
{
    bool plain = !t->destroy && !t->finalize && !t->legacy_finalize
        && !t->traverse && t->weaklist_offset == 0;

    return (t->immutable ? IMMUTABLE : 0) | (plain ? 0 : NOT_PLAIN);
}

/* What is looked up again and again: handed on by value, so that it
 * stays in registers. */
typedef struct at_hand {
    const struct gc_known *known;
    size_t mask;
    uint32_t *refs;
    uint64_t *zero;
} at_hand;

typedef struct visits {
    at_hand hand;
    const gc_type *type;
    size_t fields;       /* of the type; too many: look it up */
    size_t offsets[8];
    unsigned features;
    uint32_t limit;
    uint32_t waiting; /* index + 1 of the first; its number: the next */
    size_t left;
} visits;

enum { MANY = 9 };

static size_t learn_fields(visits *v, const gc_type *type)
{
    const gc_field *f = type->fields;
    size_t n = 0;

    for (; f && f->name && n < MANY - 1; f++)
        v->offsets[n++] = f->offset;
    v->type = type;
    v->features |= features_of(type);
    if ((f && f->name) || type->item_refs || type->traverse)
        n = MANY;
    return v->fields = n;
}

/* count from outside in one pass */
static inline void subtract(at_hand h, const void *referent)
{
    const struct gc_known *k;

    if (referent == NULL)
        return;
    k = gc_known_of(h.known, h.mask, referent);
    if (k != NULL)
        h.refs[gc_index_by(k, referent)]--;
}

static void visit_subtract(void *referent, void *arg)
{
    subtract(*(at_hand *)arg, referent);
}

static void subtract_items(at_hand h, gc_object *o)
{
    gc_object **items = gc_items(o);

    for (size_t i = 0, n = gc_length(o); i < n; i++)
        subtract(h, load(items + i));
}

static inline void subtract_fields(at_hand h, const size_t *offsets,
                                   const char *o, size_t n)
{
    for (; n > 3; n--)
        subtract(h, load(o + *offsets++));
    if (n == 0)
        return;
    subtract(h, load(o + offsets[0]));
    if (n == 1)
        return;
    subtract(h, load(o + offsets[1]));
    if (n == 3)
        subtract(h, load(o + offsets[2]));
}

static inline void subtract_all(at_hand h, visits *v, gc_object *o)
{
    const gc_type *type = o->type;
    size_t n = type == v->type ? v->fields : learn_fields(v, type);

    if (n < MANY)
        subtract_fields(h, v->offsets, (char *)o, n);
    else if (type->traverse == NULL && type->fields == NULL)
        subtract_items(h, o);
    else
        gc_traverse(o, visit_subtract, &v->hand);
}

/* Add each count, and subtract each reference, as we come to them;
 * it will all be right in the end, modulo 2^32. */
static void count_slab(gc_heap *heap, visits *v, const gc_slab *s)
{
    const struct gc_row row = heap->tables.rows[s->number];
    const struct gc_set set = heap->set;
    const at_hand h = v->hand;
    const gc_head *heads = s->heads;
    uint32_t *refs = &h.refs[row.base];
    size_t most = 0, fresh = s->fresh;
    char *p = row.first;

    for (size_t i = 0; i < fresh; i++, p += row.size) {
        gc_object *o = (gc_object *)(void *)p;

        if (!is_in(set, heads[i].state))
            continue;
        refs[i] += (uint32_t)o->refcount;
        most |= o->refcount;
        heap->collected++;
        subtract_all(h, v, o);
    }
    heap->heavy |= most > UINT32_MAX / 2;
}

/* The numbers of those who are not in the set are let alone: the
 * dead that wait have theirs in use. */
static void clear_refs(gc_heap *heap)
{
    gc_slab *s;

    for (size_t n = 0; (s = next_touched(heap, &n)) != NULL;) {
        uint32_t *refs = &heap->tables.refs[base_of(heap, s)];

        const struct gc_set set = heap->set;

        if (heap->postponed == 0)
            memset(refs, 0, s->fresh * sizeof *refs);
        else
            for (size_t i = 0; i < s->fresh; i++)
                if (is_in(set, s->heads[i].state))
                    refs[i] = 0;
    }
}

static void count_outside(gc_heap *heap, visits *v)
{
    gc_slab *s;

    clear_refs(heap);
    heap->collected = 0;
    for (size_t n = 0; (s = next_touched(heap, &n)) != NULL;)
        count_slab(heap, v, s);
}

/* count from outside step by step */
static void update_refs(gc_heap *heap)
{
    gc_slab *s;

    heap->collected = 0;
    for (size_t n = 0; (s = next_touched(heap, &n)) != NULL;)
        for (size_t i = 0; i < s->fresh; i++) {
            gc_object *o = object_in(heap, s, i);

            if (!in_set(heap, s->heads[i].state))
                continue;
            s->heads[i].state |= COLLECTING;
            *gc_refs_of(o) = saturated(o->refcount);
            heap->features |= features_of(o->type);
            heap->collected++;
        }
}

static void visit_decref(void *referent, void *heap)
{
    uint32_t i = referent != NULL ? gc_index_of(heap, referent)
                                  : SLOT_NOWHERE;

    if (i == SLOT_NOWHERE || !(head_of(referent)->state & COLLECTING))
        return;
    uint32_t *refs = &((gc_heap *)heap)->tables.refs[i];
    /* check that there is something to subtract from */
    if (CHECKING && *refs == 0)
        gc_stop(referent, "more references to it than its refcount, "
                "%zu", gc_refcount(referent));
    if (*refs < UINT32_MAX) /* that many stay that many */
        --*refs;
}

static void subtract_refs(gc_heap *heap)
{
    gc_slab *s;

    for (size_t n = 0; (s = next_touched(heap, &n)) != NULL;)
        for (size_t i = 0; i < s->fresh; i++)
            if (s->heads[i].state & COLLECTING)
                gc_traverse(object_in(heap, s, i), visit_decref, heap);
}

/* note whose number is zero */
static uint64_t zeros_among(const gc_heap *heap, const gc_slab *s,
                            size_t from)
{
    const uint32_t *refs = &heap->tables.refs[base_of(heap, s)] + from;
    const gc_head *heads = s->heads + from;
    const struct gc_set set = heap->set;
    size_t length = s->fresh - from < 64 ? s->fresh - from : 64;
    uint64_t bits = 0;

    for (size_t i = 0; i < length; i++)
        bits |= (uint64_t)((refs[i] == 0)
                           & is_in(set, heads[i].state)) << i;
    /* take no heavy one for one without references */
    for (size_t i = 0; heap->heavy && i < length; i++)
        if (bits >> i & 1 && object_in(heap, s, from + i)->refcount
                             > UINT32_MAX / 2)
            bits &= ~((uint64_t)1 << i);
    return bits;
}

static void note_zeros(gc_heap *heap, visits *v)
{
    gc_slab *s;

    for (size_t n = 0; (s = next_touched(heap, &n)) != NULL;)
        for (size_t i = 0; i < s->fresh; i += 64) {
            uint64_t bits = zeros_among(heap, s, i);

            heap->tables.zero[(base_of(heap, s) + i) / 64] = bits;
            v->left += (size_t)__builtin_popcountll(bits);
        }
    heap->heavy = false;
}

/* reach what can be reached */
static inline void reach(at_hand h, visits *v, const void *referent)
{
    const struct gc_known *k;

    if (referent == NULL)
        return;
    k = gc_known_of(h.known, h.mask, referent);
    uint32_t i = k != NULL ? gc_index_by(k, referent) : 0;
    uint64_t bits = h.zero[i / 64], bit = (uint64_t)1 << i % 64;
    if (k == NULL || (bits & bit) == 0)
        return;
    h.zero[i / 64] = bits - bit;
    v->left--;
    if (i > v->limit)
        return;
    h.refs[i] = v->waiting;
    v->waiting = i + 1;
}

static void visit_reach(void *referent, void *arg)
{
    reach(((visits *)arg)->hand, arg, referent);
}

static void reach_items(at_hand h, visits *v, gc_object *o)
{
    gc_object **items = gc_items(o);
    visits w = *v; /* in registers */

    for (size_t i = 0, n = gc_length(o); i < n; i++)
        reach(h, &w, load(items + i));
    v->left = w.left;
    v->waiting = w.waiting;
}

static inline void reach_all(visits *v, gc_object *o)
{
    const gc_type *type = o->type;
    size_t n = type == v->type ? v->fields : learn_fields(v, type);

    if (n == MANY && type->traverse == NULL && type->fields == NULL)
        reach_items(v->hand, v, o);
    else if (n == MANY)
        gc_traverse(o, visit_reach, v);
    else
        for (size_t i = 0; i < n; i++)
            reach(v->hand, v, load((char *)o + v->offsets[i]));
}

/* Those who wait are behind us. Fetch a few at a time. */
enum { AHEAD = 16 };

static void reach_waiting(gc_heap *heap, visits *v)
{
    gc_object *ring[AHEAD];
    size_t in = 0, out = 0;

    while (v->waiting > 0 || in > out) {
        while (v->waiting > 0 && in - out < AHEAD) {
            uint32_t i = v->waiting - 1;
            gc_object *o = gc_object_at(heap, i);

            v->waiting = v->hand.refs[i];
            __builtin_prefetch(o);
            __builtin_prefetch((char *)o + 32);
            ring[in++ % AHEAD] = o;
        }
        reach_all(v, ring[out++ % AHEAD]);
    }
}

static void reach_from(gc_heap *heap, visits *v, gc_slab *s)
{
    uint32_t base = base_of(heap, s);

    for (uint32_t i = 0; i < s->fresh && v->left > 0; i++) {
        if (!in_set(heap, s->heads[i].state)
            || gc_test_bit(v->hand.zero, base + i))
            continue;
        v->limit = base + i;
        reach_all(v, object_in(heap, s, i));
        if (v->waiting > 0)
            reach_waiting(heap, v);
    }
}

/* tell the garbage from the others */
static void mark(gc_head *head, uint32_t *refs, bool garbage)
{
    head->unreachable = garbage;
    if (garbage) {
        *refs = 0;
        head->state |= COLLECTING;
    } else {
        head->state &= (uint8_t)~COLLECTING;
    }
}

/* Is there nothing in the slab to be marked? */
static bool is_marked(const gc_heap *heap, const gc_slab *s)
{
    const uint64_t *zero = &heap->tables.zero[base_of(heap, s) / 64];
    uint64_t any = CHECKING || heap->options.on_phase != NULL;

    for (size_t w = 0; w < (s->fresh + 63) / 64; w++)
        any |= zero[w];
    return any == 0 && heap->set.mask != COLLECTING;
}

static void tell_apart(gc_heap *heap)
{
    gc_slab *s;

    for (size_t n = 0; (s = next_touched(heap, &n)) != NULL;) {
        uint32_t base = base_of(heap, s);

        if (is_marked(heap, s))
            continue;
        for (uint32_t i = 0; i < s->fresh; i++)
            if (in_set(heap, s->heads[i].state))
                mark(&s->heads[i], &heap->tables.refs[base + i],
                     gc_test_bit(heap->tables.zero, base + i));
    }
}

/* find the unreachable objects */
static void deduce_unreachable(gc_heap *heap)
{
    const struct gc_tables *t = &heap->tables;
    visits v = { .hand = { t->known, t->mask, t->refs, t->zero } };
    gc_slab *s;

    if (CHECKING || heap->options.on_phase != NULL) {
        update_refs(heap);
        gc_phase(heap, "update_refs");
        subtract_refs(heap);
        gc_phase(heap, "subtract_refs");
    } else {
        count_outside(heap, &v);
        heap->features |= v.features;
    }
    note_zeros(heap, &v);
    for (size_t n = 0; v.left > 0 && (s = next_touched(heap, &n));)
        reach_from(heap, &v, s);
    heap->unreachable = v.left;
    heap->collected -= v.left;
    tell_apart(heap);
    gc_phase(heap, "move_unreachable");
}

/* forget who was garbage */
static void forget_garbage(gc_heap *heap)
{
    struct gc_tables *t = &heap->tables;

    for (size_t n = 0; n < t->slabs; n++)
        if (t->touched[n]) {
            size_t capacity = slab_of(t->rows[n].first)->capacity;
            memset(&t->zero[t->rows[n].base / 64], 0,
                   (capacity + 63) / 64 * sizeof(uint64_t));
            t->touched[n] = false;
        }
}

/* delete the garbage */
static void drop(gc_heap *heap, void *field)
{
    gc_object *o = load(field), *nobody = NULL;
    uint32_t i = o != NULL ? gc_index_of(heap, o) : SLOT_NOWHERE;

    if (o == NULL
        || (i != SLOT_NOWHERE && gc_test_bit(heap->tables.zero, i)))
        return;
    memcpy(field, &nobody, sizeof nobody);
    gc_decref(o);
}

/* Give up what somebody refers to who is not garbage. */
static void drop_all(gc_object *o, void *heap)
{
    gc_object **items = gc_items(o);

    for (const gc_field *f = o->type->fields; f && f->name; f++)
        drop(heap, (char *)o + f->offset);
    for (size_t i = 0; o->type->item_refs && i < gc_length(o); i++)
        drop(heap, items + i);
}

/* When nobody has anything to say to it, all of the garbage can go at
 * once. */
static bool delete_at_once(gc_heap *heap, size_t number)
{
    if (CHECKING || heap->features & NOT_PLAIN
        || heap->debug & GC_DEBUG_SAVEALL || number == 0)
        return false;
    gc_each_unreachable(heap, drop_all, heap);
    gc_bulk_release(heap, number);
    return true;
}

static void delete_one(gc_object *o, void *older)
{
    gc_heap *heap = gc_heap_of(o);

    gc_incref(o);
    if (heap->debug & GC_DEBUG_SAVEALL)
        gc_garbage_append(heap, o);
    else
        gc_clear_references(o);
    /* keep an object that is still alive */
    if (o->refcount > 1)
        gc_keep(o, *(int *)older);
    gc_decref(o);
}

static void delete_garbage(gc_heap *heap, int older)
{
    if (delete_at_once(heap, heap->unreachable))
        return;
    gc_each_unreachable(heap, delete_one, &older);
}

/* collect */
/* put a generation on the workbench */
static void merge_generations(gc_heap *heap, int g)
{
    struct generation *gen = heap->generations;

    if (g + 1 < GC_GENERATIONS)
        gen[g + 1].count++;
    for (int i = 0; i <= g; i++)
        gen[i].count = 0;
    choose_generations(heap, g);
}

/* move the survivors up */
static void move_up(gc_heap *heap, int older)
{
    gc_slab *s;

    for (size_t n = 0; (s = next_touched(heap, &n)) != NULL;)
        for (size_t i = 0; i < s->fresh; i++)
            if (!heap->tables.settled[s->number]
                && in_set(heap, s->heads[i].state)
                && !s->heads[i].unreachable)
                s->heads[i].state = (uint8_t)(ALIVE | TRACKED | older);
}

static void move_survivors(gc_heap *heap, int g)
{
    /* take note of the long-lived */
    if (g == GC_GENERATIONS - 2)
        heap->long_lived_pending += heap->collected;
    if (g == GC_GENERATIONS - 1) {
        heap->long_lived_total = heap->collected;
        heap->long_lived_pending = 0;
    }
    move_up(heap, older_than(g));
}

/* take the steps of a collection */
/* report what can be collected */
static void report_one(gc_object *o, void *heap)
{
    char text[80];

    gc_say(heap, "gc: collectable <%s>",
           gc_describe(o, text, sizeof text));
}

static void report_collectable(gc_heap *heap)
{
    if (heap->debug & GC_DEBUG_COLLECTABLE)
        gc_each_unreachable(heap, report_one, heap);
}

/* untrack what cannot be part of a cycle */
/* is an object free of cycles? */
static bool may_be_tracked(const gc_object *o)
{
    return o == NULL || (has_references(o->type)
        && !(o->type->immutable && !gc_is_tracked(o)));
}

static void visit_untrackable(void *referent, void *acyclic)
{
    if (may_be_tracked(referent))
        *(bool *)acyclic = false;
}

static bool is_acyclic(gc_object *o)
{
    bool acyclic = true;

    gc_traverse(o, visit_untrackable, &acyclic);
    return acyclic;
}

static void untrack_acyclic(gc_heap *heap)
{
    gc_slab *s;

    if (!(heap->features & IMMUTABLE))
        return;
    for (size_t n = 0; (s = next_touched(heap, &n)) != NULL;)
        for (size_t i = 0; i < s->fresh; i++) {
            gc_object *o = object_in(heap, s, i);

            if (in_set(heap, s->heads[i].state)
                && !s->heads[i].unreachable
                && o->type->immutable && is_acyclic(o)) {
                s->heads[i].state = ALIVE;
                heap->collected--;
            }
        }
}

/* from the workbench to the statistics */
/* look again at who is garbage */
static void handle_resurrected_objects(gc_heap *heap, int older)
{
    gc_hush(heap);
    gc_phase(heap, "finalize_garbage");
    choose_unreachable(heap, older);
    deduce_unreachable(heap);
    /* clear the weak references that the finalizers made */
    gc_clear_weakrefs(heap);
    gc_unhush(heap);
}

static void move_legacy_finalizers(gc_heap *heap)
{
    if (gc_move_legacy_finalizers(heap))
        gc_phase(heap, "move_legacy_finalizers");
}

/* add it to the statistics */
static void add_to_statistics(gc_heap *heap, const gc_info *info)
{
    gc_stats *stats = &heap->generations[info->generation].stats;

    stats->collections++;
    stats->collected += info->collected;
    stats->uncollectable += info->uncollectable;
    /* a full collection is over */
    if (info->generation == GC_GENERATIONS - 1)
        gc_clear_free_lists(heap);
}

static size_t collect_main(gc_heap *heap, gc_info *info)
{
    int g = info->generation;
    int older = older_than(g);

    /* sort, while the heap is hushed */
    gc_hush(heap);
    merge_generations(heap, g);
    deduce_unreachable(heap);
    untrack_acyclic(heap);
    move_survivors(heap, g);
    move_legacy_finalizers(heap);
    report_collectable(heap);
    /* clear the weak references to the garbage */
    gc_clear_weakrefs(heap);
    gc_unhush(heap);
    /* tell those who referred weakly to the garbage */
    info->collected += gc_handle_callbacks(heap, older);
    heap->spoken = gc_finalize_garbage(heap);
    if (heap->spoken) {
        handle_resurrected_objects(heap, older);
        /* tell those who have come late */
        info->collected += gc_handle_callbacks(heap, older);
    }
    info->collected += heap->unreachable;
    delete_garbage(heap, older);
    forget_garbage(heap);
    info->uncollectable = gc_handle_legacy_finalizers(heap, older);
    add_to_statistics(heap, info);
    return info->collected + info->uncollectable;
}

/* collect, and tell those who want to know */
size_t gc_collect_main(gc_heap *heap, int g)
{
    gc_info info = { .generation = g };
    size_t found;

    if (heap->collecting || heap->closing || heap->hushed > 0
        || heap->allocating)
        return 0;
    heap->collecting = true;
    gc_invoke_callbacks(heap, "start", &info);
    gc_report_start(heap, g);
    found = collect_main(heap, &info);
    gc_report_stop(heap, &info);
    gc_invoke_callbacks(heap, "stop", &info);
    heap->collecting = false;
    /* the collection is over */
    gc_gather_immortals(heap);
    gc_tidy_tables(heap);
    return found;
}

/* collect on request */
ptrdiff_t gc_collect_generation(gc_heap *heap, int generation)
{
    if (generation < 0 || generation >= GC_GENERATIONS)
        return -1;
    return (ptrdiff_t)gc_collect_main(heap, generation);
}

size_t gc_collect(gc_heap *heap)
{
    return gc_collect_main(heap, GC_GENERATIONS - 1);
}
