/* From chapters 1, 2, 3, 4, 5, 6, 7, 8 and 9 of The Invisible Janitor; made by make tangle. */
/* object.c: what an object is made of. */
#include "internal.h"

/* memory for an object */
/* how large the block of an object is */
/* The bytes of an object with its head. 0 if they are too many, or
 * if items are wanted of a type that has none. */
static size_t block_size(const gc_type *type, size_t length)
{
    size_t fixed = sizeof(gc_head) + type->size;

    if (length == 0)
        return fixed;
    if (type->item_size == 0
        || length > (PTRDIFF_MAX - fixed) / type->item_size)
        return 0;
    return fixed + length * type->item_size;
}

/* take and give back the block of an object */
gc_object *gc_allocate_object(gc_heap *heap, const gc_type *type,
                              size_t length)
{
    size_t size = block_size(type, length), front = gc_front_of(heap);
    char *block = size > 0 ? gc_take_block(heap, size + front) : NULL;

    if (block == NULL)
        return NULL;
    memset(block, 0, size + front);
    gc_head *head = (gc_head *)(void *)(block + front);
    head->heap = heap;
    return (gc_object *)(head + 1);
}

void gc_release_object(gc_object *o)
{
    gc_heap *heap = head_of(o)->heap;
    char *block = (char *)head_of(o) - gc_front_of(heap);

    gc_give_block(heap, block, block_size(o->type, gc_length(o))
                                   + gc_front_of(heap));
}

/* how many bytes an object takes */
size_t gc_bytes_of(const gc_object *o)
{
    size_t size = block_size(o->type, gc_length(o))
        + gc_front_of(head_of(o)->heap);

    if (o->type->owned_bytes != NULL)
        size += o->type->owned_bytes(o);
    return size;
}

/* put an object on its list */
/* Put an object that is on no list on the one it belongs to. */
void gc_adopt(gc_heap *heap, gc_object *o)
{
    gc_link *list = &heap->objects;

    /* choose another list for some objects */
    head_of(o)->tracked = has_references(o->type);
    if (head_of(o)->tracked)
        list = &heap->generations[0].objects;
    list_append(list, &head_of(o)->link);
}

/* free an object */
/* Give back what an object owns, and then its memory. It is on no
 * list any more. */
void gc_finish(gc_object *o)
{
    gc_heap *heap = head_of(o)->heap;

    if (o->type->destroy != NULL) {
        heap->destroying++;
        o->type->destroy(o);
        heap->destroying--;
    }
    heap->count--;
    /* an object is gone */
    if (has_references(o->type) && heap->generations[0].count > 0)
        heap->generations[0].count--;
    /* in the checking build, keep the dead */
    if (CHECKING) {
        head_of(o)->dead = true;
        list_append(&heap->dead, &head_of(o)->link);
        return;
    }
    gc_release_object(o);
}

/* visit every object */
void gc_each_in(gc_link *list, gc_object_fn *fn, void *arg)
{
    gc_link *next;

    for (gc_link *l = list->next; l != list; l = next) {
        next = l->next;
        fn(object_at(l), arg);
    }
}

void gc_each_object(gc_heap *heap, gc_object_fn *fn, void *arg)
{
    gc_each_in(&heap->objects, fn, arg);
    /* visit the objects on the other lists */
    gc_each_in(&heap->immortal, fn, arg);
    gc_each_in(&heap->tracked, fn, arg);
    gc_each_in(&heap->unreachable, fn, arg);
    for (int g = 0; g < GC_GENERATIONS; g++)
        gc_each_in(&heap->generations[g].objects, fn, arg);
    gc_each_in(&heap->permanent, fn, arg);
    gc_each_in(&heap->seen, fn, arg);
    gc_each_in(&heap->uncollectable, fn, arg);
    gc_each_in(&heap->calling, fn, arg);
}

size_t gc_list_size(const gc_link *list)
{
    size_t size = 0;

    for (const gc_link *l = list->next; l != list; l = l->next)
        size++;
    return size;
}

void gc_each_at_home(gc_heap *heap, gc_object_fn *fn, void *arg)
{
    gc_each_in(&heap->objects, fn, arg);
    gc_each_in(&heap->immortal, fn, arg);
    for (int g = 0; g < GC_GENERATIONS; g++)
        gc_each_in(&heap->generations[g].objects, fn, arg);
    gc_each_in(&heap->permanent, fn, arg);
}

/* answer questions */
gc_heap *gc_heap_of(const void *object)
{
    return head_of(object)->heap;
}

void *gc_items(const void *object)
{
    const gc_object *o = object;

    return (char *)(uintptr_t)object + o->type->size;
}

static const char *field_error(const gc_type *type, size_t least)
{
    for (const gc_field *f = type->fields; f && f->name; f++) {
        if (f->offset < least
            || f->offset > type->size - sizeof(gc_object *))
            return "a field lies outside the object";
        if (f->offset % _Alignof(gc_object *) != 0)
            return "a field is not where a pointer can be";
        for (const gc_field *g = type->fields; g < f; g++)
            if (g->offset == f->offset)
                return "a field is declared twice";
    }
    return NULL;
}

const char *gc_type_error(const gc_type *type)
{
    size_t least = type->item_size > 0 ? sizeof(gc_var_object)
                                       : sizeof(gc_object);

    if (type->name == NULL || type->name[0] == '\0'
        || strpbrk(type->name, " \"\n") != NULL)
        return "its name is not one word";
    if (type->size < least || type->size > PTRDIFF_MAX / 2)
        return "its size cannot be right";
    if (type->item_refs && (type->item_size != sizeof(gc_object *)
                            || type->size % _Alignof(gc_object *)))
        return "its items are not references, by their place or size";
    /* look for more errors in a type */
    if (!type->traverse != !type->clear)
        return "it has only one of traverse and clear";
    if (type->weaklist_offset != 0
        && (type->weaklist_offset < least
            || type->weaklist_offset > type->size - sizeof(gc_weakref *)
            || type->weaklist_offset % _Alignof(gc_weakref *) != 0))
        return "its weak list is not where a pointer can be";
    for (const gc_field *f = type->fields; f && f->name; f++)
        if (f->offset == type->weaklist_offset)
            return "its weak list is a field";
    return field_error(type, least);
}

bool gc_is_tracked(const void *object)
{
    return head_of(object)->tracked;
}

bool gc_is_finalized(const void *object)
{
    return head_of(object)->finalized;
}

/* ask the type about its objects */
static bool ask_equal(gc_object *o, gc_object *other)
{
    gc_heap *heap = head_of(o)->heap;

    heap->busy++;
    bool equal = o->type->equal(o, other);
    heap->busy--;
    return equal;
}

static bool ask_hash(gc_object *o, size_t *hash)
{
    gc_heap *heap = head_of(o)->heap;

    heap->busy++;
    bool hashed = o->type->hash(o, hash);
    heap->busy--;
    return hashed;
}

bool gc_equal(void *object, void *other)
{
    gc_object *o = object, *p = other;

    if (o == p)
        return true;
    if (o->type->equal == NULL)
        o = other, p = object;
    return o->type->equal != NULL && ask_equal(o, p);
}

bool gc_hash(void *object, size_t *hash)
{
    gc_object *o = object;

    if (o->type->hash != NULL)
        return ask_hash(o, hash);
    *hash = (uintptr_t)object >> 4;
    return o->type->equal == NULL;
}

void *gc_note_place(void *object, gc_place place)
{
    if (object != NULL && head_of(object)->heap->options.places
        && gc_place_of(object)->file == NULL)
        *gc_place_of(object) = place;
    return object;
}

gc_place gc_get_place(const void *object)
{
    if (!head_of(object)->heap->options.places)
        return (gc_place) { NULL, 0 };
    return *gc_place_of(object);
}

const char *gc_line_of(gc_place place, char text[16])
{
    text[0] = '\0';
    if (place.line > 0)
        snprintf(text, 16, ":%d", place.line);
    return text;
}
