/* From chapters 8 and 10 of The Invisible Janitor; made by make tangle. */
/* inspect.c: who is there, and why. */
#include "internal.h"

/* keep lists of objects */
/* the layout of a listing */
typedef struct listing {
    _Alignas(max_align_t) gc_link link;
    gc_heap *heap;
    size_t length, room;
} listing;

static gc_object **items_of(listing *l)
{
    return (gc_object **)(void *)(l + 1);
}

static size_t listing_bytes(size_t room)
{
    return sizeof(listing) + room * sizeof(gc_object *);
}

static listing *new_listing(gc_heap *heap, size_t room)
{
    listing *l = gc_allocate(heap, listing_bytes(room));

    if (l == NULL)
        return NULL;
    *l = (listing) { .heap = heap, .room = room };
    list_append(&heap->lists, &l->link);
    return l;
}

static void discard(listing *l)
{
    list_remove(&l->link);
    while (l->length > 0)
        gc_decref(items_of(l)[--l->length]);
    gc_release(l->heap, l, listing_bytes(l->room));
}

/* Add an object to a listing, which may move. False when out of
 * memory, or if there is no listing. */
static bool list_object(listing **l, gc_object *o)
{
    listing *old = *l, *larger;

    if (old != NULL && old->length == old->room) {
        larger = new_listing(old->heap, 2 * old->room);
        if (larger == NULL)
            return false;
        memcpy(items_of(larger), items_of(old),
               old->length * sizeof(gc_object *));
        larger->length = old->length;
        old->length = 0;
        discard(old);
        *l = larger;
    }
    if (*l != NULL)
        items_of(*l)[(*l)->length++] = gc_new_ref(o);
    return *l != NULL;
}

void gc_objects_free(gc_objects *list)
{
    listing *l = (listing *)(void *)list->items;

    if (l != NULL && list->length < (--l)->length)
        l->length = list->length; /* the caller has taken some out */
    *list = (gc_objects) { NULL, 0 };
    if (l != NULL)
        discard(l);
}

enum { FIRST_ROOM = 16 };

static listing *begin_listing(gc_heap *heap)
{
    listing *l = heap->hushed > 0 ? NULL
                                  : new_listing(heap, FIRST_ROOM);

    if (l != NULL)
        gc_hush(heap);
    return l;
}

/* Hand a complete listing over to the caller's list; or nothing, if
 * it has failed. What the caller's list held is given up at last. */
static bool hand_over(listing *l, bool complete, gc_objects *list)
{
    gc_objects old = *list;

    if (l != NULL)
        gc_unhush(l->heap);
    *list = (gc_objects) { NULL, 0 };
    if (l != NULL && complete && l->length > 0)
        *list = (gc_objects) { items_of(l), l->length };
    else if (l != NULL)
        discard(l);
    gc_objects_free(&old);
    return l != NULL && complete;
}
/* ask who is there */
typedef struct query {
    listing *listing;
    bool found, failed;
} query;

static void visit_referent(void *referent, void *arg)
{
    query *q = arg;

    if (referent != NULL && !q->failed)
        q->failed = !list_object(&q->listing, referent);
}

static void list_one(gc_object *o, void *arg)
{
    visit_referent(o, arg);
}

bool gc_get_objects(gc_heap *heap, int generation, gc_objects *list)
{
    bool all = generation == -1, one = generation >= 0
        && generation < GC_GENERATIONS;
    query q = { begin_listing(heap), false, !all && !one };

    q.failed |= q.listing == NULL;
    for (int g = 0; g < GC_GENERATIONS && !q.failed; g++)
        if (all || g == generation)
            gc_each_of(heap, g, list_one, &q);
    return hand_over(q.listing, !q.failed, list);
}

bool gc_get_referents(void *const objects[], size_t number,
                      gc_objects *list)
{
    query q = { NULL, false, false };

    if (number == 0) {
        gc_objects_free(list);
        return true;
    }
    q.listing = begin_listing(gc_heap_of(objects[0]));
    for (size_t i = 0; i < number && !q.failed; i++)
        gc_traverse(objects[i], visit_referent, &q);
    return hand_over(q.listing, !q.failed, list);
}

static void want(void *const objects[], size_t number, bool wanted)
{
    for (size_t i = 0; i < number; i++)
        head_of(objects[i])->wanted = wanted;
}

static void visit_wanted(void *referent, void *arg)
{
    query *q = arg;

    if (referent != NULL && head_of(referent)->wanted)
        q->found = true;
}

static void add_referrer(gc_object *o, void *arg)
{
    query *q = arg;

    q->found = false;
    if (!q->failed)
        gc_traverse(o, visit_wanted, q);
    if (q->found)
        q->failed = !list_object(&q->listing, o);
}

bool gc_get_referrers(void *const objects[], size_t number,
                      gc_objects *list)
{
    query q = { NULL, false, false };

    if (number == 0) {
        gc_objects_free(list);
        return true;
    }
    gc_heap *heap = gc_heap_of(objects[0]);
    q.listing = begin_listing(heap);
    want(objects, number, true);
    for (int g = 0; g < GC_GENERATIONS; g++)
        gc_each_of(heap, g, add_referrer, &q);
    want(objects, number, false);
    return hand_over(q.listing, !q.failed, list);
}

typedef struct naming {
    listing *listing;
    const char *name;
    size_t limit;
    bool failed;
} naming;

static void add_named(gc_object *o, void *arg)
{
    naming *n = arg;

    if (!n->failed && n->listing->length < n->limit
        && strcmp(o->type->name, n->name) == 0)
        n->failed = !list_object(&n->listing, o);
}

bool gc_by_type(gc_heap *heap, const char *name, size_t limit,
                gc_objects *list)
{
    naming n = { begin_listing(heap), name, limit, false };

    if (n.listing != NULL)
        gc_each_at_home(heap, add_named, &n);
    return hand_over(n.listing, !n.failed, list);
}

/* count the references from outside */
static void copy_count(gc_object *o, void *arg)
{
    (void)arg;
    *gc_refs_of(o) = saturated(o->refcount);
}

static void visit_subtract(void *referent, void *heap)
{
    if (referent == NULL || gc_heap_of(referent) != heap)
        return;
    uint32_t *refs = gc_refs_of(referent);
    if (*refs > 0 && *refs < UINT32_MAX)
        --*refs;
}

static void subtract(gc_object *o, void *heap)
{
    gc_traverse(o, visit_subtract, heap);
}

static void count_outside(gc_heap *heap)
{
    gc_each_object(heap, copy_count, NULL);
    gc_each_object(heap, subtract, heap);
    for (gc_link *l = heap->lists.next; l != &heap->lists; l = l->next)
        for (size_t i = 0; i < ((listing *)l)->length; i++)
            visit_subtract(items_of((listing *)l)[i], heap);
}

/* search the heap in breadth */
typedef struct step {
    gc_object *object;
    size_t from; /* the step before; NONE for the first of a way */
} step;

typedef struct search {
    gc_heap *heap;
    gc_object *target;
    listing *listing; /* of the way, when it is found */
    step *steps;
    size_t length, room;
    size_t at;  /* the step whose references are visited */
    size_t end; /* the step from which the target was reached */
    bool at_once; /* it was reached without any */
} search;

enum { SEEN = 1 };
static const size_t NONE = SIZE_MAX;

static void take_step(search *s, gc_object *o, size_t from)
{
    *gc_refs_of(o) = SEEN;
    s->steps[s->length++] = (step) { o, from };
}

static void visit_step(void *referent, void *arg)
{
    search *s = arg;

    if (referent == NULL || gc_heap_of(referent) != s->heap)
        return;
    if (referent == s->target && s->end == NONE)
        s->end = s->at;
    if (*gc_refs_of(referent) == 0)
        take_step(s, referent, s->at);
}

static bool search_begin(search *s, gc_object *target)
{
    gc_heap *heap = gc_heap_of(target);

    *s = (search) { .heap = heap, .target = target, .end = NONE,
                    .room = heap->count };
    if (!heap->collecting && (s->listing = begin_listing(heap)) != NULL)
        s->steps = gc_allocate(heap, s->room * sizeof *s->steps);
    return s->steps != NULL;
}

static void search_run(search *s)
{
    for (s->at = 0; s->at < s->length && s->end == NONE; s->at++)
        gc_traverse(s->steps[s->at].object, visit_step, s);
}

static bool search_end(search *s, gc_objects *chain)
{
    size_t before = NONE, at = s->end, next;
    bool done = true;

    while (at != NONE) {
        next = s->steps[at].from;
        s->steps[at].from = before;
        before = at;
        at = next;
    }
    for (at = before; at != NONE && done; at = s->steps[at].from)
        done = list_object(&s->listing, s->steps[at].object);
    if (done && (s->end != NONE || s->at_once))
        done = list_object(&s->listing, s->target);
    gc_release(s->heap, s->steps, s->room * sizeof *s->steps);
    return hand_over(s->listing, done, chain);
}

/* find the chain and the cycle */
static void begin_at_roots(gc_object *o, void *arg)
{
    search *s = arg;

    if (*gc_refs_of(o) > 0)
        take_step(s, o, NONE);
}

bool gc_find_chain(void *object, gc_objects *chain)
{
    search s;

    if (!search_begin(&s, object))
        return hand_over(s.listing, false, chain);
    count_outside(s.heap);
    s.at_once = *gc_refs_of(object) > 0;
    if (!s.at_once) {
        gc_each_object(s.heap, begin_at_roots, &s);
        search_run(&s);
    }
    return search_end(&s, chain);
}

static void unmark(gc_object *o, void *arg)
{
    (void)arg;
    *gc_refs_of(o) = 0;
}

bool gc_find_cycle(void *object, gc_objects *cycle)
{
    search s;

    if (!search_begin(&s, object))
        return hand_over(s.listing, false, cycle);
    gc_each_object(s.heap, unmark, NULL);
    take_step(&s, object, NONE);
    search_run(&s);
    return search_end(&s, cycle);
}

/* name the references of an object */
/* Call fn for each reference, with its name: a field's, or [i], or
 * "-" for one that only the type knows. */
typedef void named_fn(const char *name, gc_object *to, void *arg);

typedef struct named {
    named_fn *fn;
    void *arg;
} named;

static void visit_unnamed(void *referent, void *arg)
{
    const named *n = arg;

    if (referent != NULL)
        n->fn("-", referent, n->arg);
}

static void each_reference(gc_object *o, named_fn *fn, void *arg)
{
    named n = { fn, arg };
    char item[32];
    gc_object *to;

    for (const gc_field *f = o->type->fields; f && f->name; f++)
        if ((to = load((char *)o + f->offset)) != NULL)
            fn(f->name, to, arg);
    for (size_t i = 0; o->type->item_refs && i < gc_length(o); i++)
        if ((to = load((gc_object **)gc_items(o) + i)) != NULL) {
            snprintf(item, sizeof item, "[%zu]", i);
            fn(item, to, arg);
        }
    if (o->type->traverse != NULL)
        o->type->traverse(o, visit_unnamed, &n);
}

/* write a chain */
typedef struct edge {
    const gc_object *to;
    char name[40]; /* empty until it is found */
} edge;

static void find_edge(const char *name, gc_object *to, void *arg)
{
    edge *e = arg;

    if (to == e->to && e->name[0] == '\0')
        snprintf(e->name, sizeof e->name, "%s", name);
}

void gc_print_chain(const gc_objects *chain, FILE *out)
{
    gc_heap *heap = chain->length > 0 ? gc_heap_of(chain->items[0])
                                      : NULL;
    char text[80];

    if (heap == NULL)
        fprintf(out, "no way leads there\n");
    else
        gc_hush(heap);
    for (size_t i = 0; i < chain->length; i++) {
        edge e = { chain->items[i], "" };

        if (i > 0)
            each_reference(chain->items[i - 1], find_edge, &e);
        gc_describe(e.to, text, sizeof text);
        if (i == 0)
            fprintf(out, "%s\n", text);
        else
            fprintf(out, "  %-10s -> %s\n", e.name, text);
    }
    if (heap != NULL)
        gc_unhush(heap);
}
/* draw the neighbours */
typedef struct picture {
    gc_heap *heap;
    gc_object **objects;
    size_t length, limit;
    size_t level; /* those numbered up to here were there before */
    bool referrer;
} picture;

static void include(picture *p, gc_object *o)
{
    if (*gc_refs_of(o) > 0 || p->length == p->limit)
        return;
    p->objects[p->length++] = o;
    *gc_refs_of(o) = (uint32_t)p->length;
}

static void visit_include(void *referent, void *arg)
{
    picture *p = arg;

    if (referent != NULL && gc_heap_of(referent) == p->heap)
        include(p, referent);
}

static void visit_drawn(void *referent, void *arg)
{
    picture *p = arg;

    if (referent != NULL && gc_heap_of(referent) == p->heap
        && *gc_refs_of(referent) > 0
        && *gc_refs_of(referent) <= p->level)
        p->referrer = true;
}

static void include_referrer(gc_object *o, void *arg)
{
    picture *p = arg;

    p->referrer = false;
    if (*gc_refs_of(o) == 0)
        gc_traverse(o, visit_drawn, p);
    if (p->referrer)
        include(p, o);
}

static void include_neighbours(picture *p)
{
    p->level = p->length;
    for (size_t i = 0; i < p->level; i++)
        gc_traverse(p->objects[i], visit_include, p);
    gc_each_object(p->heap, include_referrer, p);
}

typedef struct arrow {
    FILE *out;
    gc_heap *heap;
    unsigned from;
    size_t hidden;
} arrow;

/* write the picture */
static void write_arrow(const char *name, gc_object *to, void *arg)
{
    arrow *a = arg;
    bool here = gc_heap_of(to) == a->heap
        && *gc_refs_of(to) > 0;

    if (here)
        fprintf(a->out, "n%u -> n%u [label=\"%s\"];\n", a->from,
                (unsigned)*gc_refs_of(to),
                strcmp(name, "-") == 0 ? "" : name);
    else
        a->hidden++;
}

static void write_box(picture *p, size_t i, FILE *out)
{
    arrow a = { .out = out, .heap = p->heap, .from = (unsigned)i + 1 };
    gc_object *o = p->objects[i];
    char text[80];

    fprintf(out, "n%u [label=\"", a.from);
    gc_write_escaped(out, gc_describe(o, text, sizeof text));
    fprintf(out, "\"%s];\n", i == 0 ? ", style=bold" : "");
    each_reference(o, write_arrow, &a);
    if (a.hidden > 0)
        fprintf(out, "m%u [shape=plaintext, label=\"%zu more\"];\n"
                "n%u -> m%u [style=dotted];\n", a.from, a.hidden,
                a.from, a.from);
}

bool gc_draw(void *object, unsigned steps, size_t limit, FILE *out)
{
    gc_heap *heap = gc_heap_of(object);
    picture p = { .heap = heap, .limit = limit > 0 ? limit : 1 };

    if (p.limit > heap->count)
        p.limit = heap->count;
    if (heap->collecting || heap->hushed > 0
        || !(p.objects = gc_allocate(heap,
                                     p.limit * sizeof *p.objects)))
        return false;
    gc_hush(heap);
    gc_each_object(heap, unmark, NULL);
    include(&p, object);
    for (unsigned i = 0; i < steps && p.level < p.length; i++)
        include_neighbours(&p);
    fprintf(out, "digraph {\nrankdir=LR; node [shape=box];\n");
    for (size_t i = 0; i < p.length; i++)
        write_box(&p, i, out);
    fprintf(out, "}\n");
    gc_unhush(heap);
    gc_release(heap, p.objects, p.limit * sizeof *p.objects);
    return true;
}
