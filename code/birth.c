/* From chapters 1, 2, 3, 4 and 10 of The Invisible Janitor; made by make tangle. */
/* birth.c: how objects come into being. */
#include "internal.h"

/* make an object */
/* A slab where an object of a type can be made without further ado;
 * NULL if there is none. */
static gc_slab *open_slab(gc_heap *heap, const gc_type *type)
{
    struct generation *young = &heap->generations[0];

    if (CHECKING || STRESSED || SANITIZED || type->size > SLOT_SMALL
        || heap->careful > 0)
        return NULL;
    if (young->count >= young->threshold && !heap->disabled)
        return NULL;
    size_t kind = (type->size + SLOT_GRAIN - 1) / SLOT_GRAIN;
    return heap->kinds[kind].roomy;
}

static void *new_in(gc_heap *heap, gc_slab *s, const gc_type *type)
{
    gc_object *o = gc_take_from(s);
    gc_head *head = &s->heads[gc_slot_of(s, o)];

    gc_wipe((char *)o, type->size);
    o->refcount = 1;
    o->type = type;
    heap->count++;
    *head = (gc_head) { .state = ALIVE };
    if (has_references(type)) {
        head->state = ALIVE | TRACKED;
        heap->generations[0].count++;
        heap->tables.youngest[s->number] = 0;
    }
    return o;
}

void *gc_new(gc_heap *heap, const gc_type *type)
{
    gc_slab *s = open_slab(heap, type);

    return s != NULL ? new_in(heap, s, type)
                     : gc_new_var(heap, type, 0);
}

void *gc_new_at(gc_heap *heap, const gc_type *type, size_t length,
                gc_place place)
{
    return gc_note_place(gc_new_var(heap, type, length), place);
}

void *gc_new_var(gc_heap *heap, const gc_type *type, size_t length)
{
    /* check that the type makes sense */
    if (CHECKING && gc_type_error(type) != NULL)
        gc_stop(NULL, "type %s: %s", type->name ? type->name : "?",
                gc_type_error(type));
    if (heap->closing)
        return NULL;
    /* nobody is born while the heap is hushed */
    if (heap->hushed > 0)
        return NULL;
    gc_object *o = gc_allocate_object(heap, type, length);
    if (o == NULL)
        return NULL;
    /* fill in the new object */
    heap->count++;
    o->type = type;
    if (type->item_size > 0)
        ((gc_var_object *)o)->length = length;
    o->refcount = 1;
    /* before the new object is on a list */
    if (CHECKING)
        heap->given_up--;
    if (has_references(type))
        gc_count_new(heap);
    gc_adopt(heap, o);
    return o;
}
