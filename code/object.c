/* From chapters 1, 3, 4, 7 and 10 of The Invisible Janitor; made by make tangle. */
/* object.c: what an object is made of. */
#include "internal.h"

/* memory for an object */
/* how large the block of an object is */
/* The bytes of an object, with what is in front of it. 0 if they are
 * too many, or if items are wanted of a type that has none. */
static size_t block_size(const gc_heap *heap, const gc_type *type,
                         size_t length)
{
    size_t fixed = gc_front_of(heap) + type->size;

    if (length == 0)
        return fixed;
    if (type->item_size == 0
        || length > (PTRDIFF_MAX - SLAB_SIZE - fixed) / type->item_size)
        return 0;
    return fixed + length * type->item_size;
}

/* take and give back the block of an object */
enum { PAIR = 2 * sizeof(gc_object *) };

gc_object *gc_allocate_object(gc_heap *heap, const gc_type *type,
                              size_t length)
{
    size_t size = block_size(heap, type, length);
    char *slot = size > 0
        ? gc_take_slot(heap, size, type->size % PAIR == 0) : NULL;

    if (slot == NULL)
        return NULL;
    gc_wipe(slot, size);
    gc_object *o = (gc_object *)(void *)(slot + gc_front_of(heap));
    *head_of(o) = (gc_head) { 0 };
    return o;
}

void gc_release_object(gc_object *o)
{
    gc_slab *s = slab_of(o);

    gc_give_slot(s, (char *)o - gc_front_of(s->heap));
}

/* how many bytes an object takes */
size_t gc_bytes_of(const gc_object *o)
{
    const gc_slab *s = slab_of(o);
    size_t size = s->size + sizeof(gc_head) + sizeof(uint32_t);

    if (o->type->owned_bytes != NULL)
        size += o->type->owned_bytes(o);
    return size;
}

/* put an object on its list */
/* Let an object that nobody knew be one of the living. */
void gc_adopt(gc_heap *heap, gc_object *o)
{
    gc_slab *s = slab_of(o);

    if (has_references(o->type)) {
        s->heads[gc_slot_of(s, o)].state = ALIVE | TRACKED;
        heap->tables.youngest[s->number] = 0;
    } else {
        s->heads[gc_slot_of(s, o)].state = ALIVE;
    }
}

/* free an object */
/* Give back what an object owns, and then its memory. It is none of
 * the living any more. */
void gc_finish(gc_object *o)
{
    gc_heap *heap = gc_heap_of(o);

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
        slab_of(o)->used--; /* but the slot stays taken */
        return;
    }
    gc_release_object(o);
}

/* visit every object */
/* Call fn for those whose state has what is wanted, and who are
 * garbage, or are not, or either. */
/* Call fn for those whose state has what is wanted, and who are
 * garbage, or are not, or either. */
typedef struct wanted {
    uint8_t mask, state;
    bool home, garbage;
} wanted;

static bool is_wanted(const gc_head *head, const wanted *w)
{
    bool away = head->unreachable || head->apart;

    return (head->state & w->mask) == w->state
        && (away ? w->garbage : w->home);
}

static void each(gc_heap *heap, wanted w, gc_object_fn *fn, void *arg)
{
    struct gc_tables *t = &heap->tables;

    for (size_t n = 0; n < t->slabs; n++) {
        if (t->rows[n].first == NULL)
            continue;
        gc_slab *s = slab_of(t->rows[n].first);
        for (size_t i = 0; i < s->fresh && s->used > 0; i++)
            if (is_wanted(&s->heads[i], &w))
                fn((gc_object *)(void *)(t->rows[n].first
                                         + i * s->size), arg);
    }
}

void gc_each_object(gc_heap *heap, gc_object_fn *fn, void *arg)
{
    each(heap, (wanted) { ALIVE, ALIVE, true, true }, fn, arg);
}

void gc_each_at_home(gc_heap *heap, gc_object_fn *fn, void *arg)
{
    each(heap, (wanted) { ALIVE, ALIVE, true, false }, fn, arg);
}

void gc_each_of(gc_heap *heap, int g, gc_object_fn *fn, void *arg)
{
    each(heap, (wanted) { ALIVE | TRACKED | GENERATION,
                          (uint8_t)(ALIVE | TRACKED | g), true, false },
         fn, arg);
}

static void count_one(gc_object *o, void *size)
{
    (void)o;
    ++*(size_t *)size;
}

size_t gc_size_of(gc_heap *heap, int g)
{
    size_t size = 0;

    gc_each_of(heap, g, count_one, &size);
    return size;
}

/* visit the garbage */
/* Call fn for those that are garbage, if they still are. It may
 * free anything. */
static void each_in_word(gc_heap *heap, size_t n, size_t w,
                         gc_object_fn *fn, void *arg)
{
    struct gc_tables *t = &heap->tables;
    uint64_t bits = t->zero[t->rows[n].base / 64 + w];

    for (; bits != 0; bits &= bits - 1) {
        size_t i = 64 * w + (size_t)__builtin_ctzll(bits);
        gc_object *o;

        if (t->rows[n].first == NULL)
            return;
        o = (gc_object *)(void *)(t->rows[n].first
                                  + i * t->rows[n].size);
        if (head_of(o)->unreachable)
            fn(o, arg);
    }
}

void gc_each_unreachable(gc_heap *heap, gc_object_fn *fn, void *arg)
{
    for (size_t n = 0; n < heap->tables.slabs; n++) {
        size_t words = heap->tables.touched[n]
            ? (slab_of(heap->tables.rows[n].first)->fresh + 63) / 64
            : 0;

        for (size_t w = 0; w < words && heap->tables.touched[n]; w++)
            each_in_word(heap, n, w, fn, arg);
    }
}

/* An object that was to be garbage lives, in a generation. */
void gc_keep(gc_object *o, int g)
{
    gc_head *head = head_of(o);

    head->state = (uint8_t)(ALIVE | TRACKED | g);
    gc_heap_of(o)->unreachable -= head->unreachable;
    head->unreachable = head->apart = false;
    if (gc_heap_of(o)->tables.youngest[slab_of(o)->number] > g)
        gc_heap_of(o)->tables.youngest[slab_of(o)->number] = (uint8_t)g;
}

/* answer questions */
gc_heap *gc_heap_of(const void *object)
{
    return slab_of(object)->heap;
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
    return head_of(object)->state & TRACKED;
}

bool gc_is_finalized(const void *object)
{
    return head_of(object)->finalized;
}

/* ask the type about its objects */
static bool ask_equal(gc_object *o, gc_object *other)
{
    gc_heap *heap = gc_heap_of(o);

    heap->busy++;
    bool equal = o->type->equal(o, other);
    heap->busy--;
    return equal;
}

static bool ask_hash(gc_object *o, size_t *hash)
{
    gc_heap *heap = gc_heap_of(o);

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
    if (object != NULL && gc_heap_of(object)->options.places
        && gc_place_of(object)->file == NULL)
        *gc_place_of(object) = place;
    return object;
}

gc_place gc_get_place(const void *object)
{
    if (!gc_heap_of(object)->options.places)
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
