/* From chapters 3, 4, 5, 6, 7 and 9 of The Invisible Janitor; made by make tangle. */
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

/* copy the reference counts */
static void update_refs(gc_link *list)
{
    for (gc_link *l = list->next; l != list; l = l->next) {
        gc_head *head = (gc_head *)l;

        head->gc_refs = saturated(object_at(l)->refcount);
        head->collecting = true;
    }
}

/* subtract the references from inside */
static void visit_decref(void *referent, void *arg)
{
    gc_head *head = referent != NULL ? head_of(referent) : NULL;

    (void)arg;
    if (head == NULL || !head->collecting)
        return;
    /* check that there is something to subtract from */
    if (CHECKING && head->gc_refs == 0)
        gc_stop(referent, "more references to it than its refcount, %zu",
                gc_refcount(referent));
    if (head->gc_refs < UINT32_MAX) /* that many stay that many */
        head->gc_refs--;
}

static void subtract_refs(gc_link *list)
{
    for (gc_link *l = list->next; l != list; l = l->next)
        gc_traverse(object_at(l), visit_decref, NULL);
}

/* sort out the unreachable */
static void visit_reachable(void *referent, void *list)
{
    gc_head *head = referent != NULL ? head_of(referent) : NULL;

    if (head == NULL || !head->collecting || head->gc_refs > 0)
        return;
    head->gc_refs = 1;
    if (head->unreachable) {
        head->unreachable = false;
        list_move(list, &head->link);
    }
}

static void move_unreachable(gc_link *list, gc_link *unreachable)
{
    for (gc_link *l = list->next, *next; l != list; l = next) {
        gc_head *head = (gc_head *)l;

        if (head->gc_refs > 0) {
            gc_traverse(object_at(l), visit_reachable, list);
            head->collecting = false;
            next = l->next;
        } else {
            next = l->next;
            head->unreachable = true;
            list_move(unreachable, l);
        }
    }
}

/* find the unreachable objects */
static void deduce_unreachable(gc_heap *heap)
{
    update_refs(&heap->tracked);
    gc_phase(heap, "update_refs");
    subtract_refs(&heap->tracked);
    gc_phase(heap, "subtract_refs");
    move_unreachable(&heap->tracked, &heap->unreachable);
    gc_phase(heap, "move_unreachable");
}

/* delete the garbage */
static void delete_garbage(gc_heap *heap)
{
    while (!list_is_empty(&heap->unreachable)) {
        gc_link *l = heap->unreachable.next;
        gc_object *o = object_at(l);

        if (heap->debug & GC_DEBUG_SAVEALL) {
            gc_garbage_append(heap, o);
        } else {
            gc_incref(o);
            gc_clear_references(o);
            gc_decref(o);
        }
        /* keep an object that is still alive */
        if (heap->unreachable.next == l) {
            ((gc_head *)l)->collecting = false;
            ((gc_head *)l)->unreachable = false;
            list_move(&heap->tracked, l);
        }
    }
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
    list_merge(&heap->tracked, &gen[g].objects);
    for (int i = 0; i < g; i++)
        list_merge(&heap->tracked, &gen[i].objects);
}

/* move the survivors up */
static gc_link *older_than(gc_heap *heap, int g)
{
    int next = g + 1 < GC_GENERATIONS ? g + 1 : g;

    return &heap->generations[next].objects;
}

static void move_survivors(gc_heap *heap, int g)
{
    /* take note of the long-lived */
    if (g == GC_GENERATIONS - 2)
        heap->long_lived_pending += gc_list_size(&heap->tracked);
    if (g == GC_GENERATIONS - 1) {
        heap->long_lived_total = gc_list_size(&heap->tracked);
        heap->long_lived_pending = 0;
    }
    list_merge(older_than(heap, g), &heap->tracked);
}

/* take the steps of a collection */
/* report what can be collected */
static void report_collectable(gc_heap *heap)
{
    char text[80];
    gc_link *list = &heap->unreachable;

    if (!(heap->debug & GC_DEBUG_COLLECTABLE))
        return;
    for (gc_link *l = list->next; l != list; l = l->next)
        gc_say(heap, "gc: collectable <%s>",
               gc_describe(object_at(l), text, sizeof text));
}

/* untrack what cannot be part of a cycle */
/* is an object free of cycles? */
static bool may_be_tracked(const gc_object *o)
{
    return o == NULL || (has_references(o->type)
        && !(o->type->immutable && !head_of(o)->tracked));
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
    gc_link *list = &heap->tracked;

    for (gc_link *l = list->next, *next; l != list; l = next) {
        next = l->next;
        if (object_at(l)->type->immutable && is_acyclic(object_at(l))) {
            ((gc_head *)l)->tracked = false;
            list_move(&heap->objects, l);
        }
    }
}

/* from the workbench to the statistics */
/* look again at who is garbage */
static void handle_resurrected_objects(gc_heap *heap, gc_link *older)
{
    gc_link *list = &heap->tracked;

    gc_hush(heap);
    gc_phase(heap, "finalize_garbage");
    list_merge(list, &heap->unreachable);
    for (gc_link *l = list->next; l != list; l = l->next)
        ((gc_head *)l)->unreachable = false;
    deduce_unreachable(heap);
    list_merge(older, list);
    /* clear the weak references that the finalizers made */
    gc_clear_weakrefs(heap);
    gc_unhush(heap);
}

static void move_legacy_finalizers(gc_heap *heap)
{
    gc_move_legacy_finalizers(heap);
    if (!list_is_empty(&heap->uncollectable))
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
    gc_link *older = older_than(heap, g);

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
    info->collected += gc_list_size(&heap->unreachable);
    delete_garbage(heap);
    list_merge(older, &heap->tracked);
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
