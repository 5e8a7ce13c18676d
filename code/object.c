/* From chapters 1, 2, 3, 4, 5, 6, 7, 8 and 9 of The Invisible Janitor; made by make tangle. */
/* object.c: heaps, and the objects in them. */
#include "internal.h"
#include <stdarg.h>
#include <stdlib.h>

/* take memory and give it back */
static void *allocate(void *context, size_t size, size_t alignment)
{
    (void)context;
    if (alignment <= _Alignof(max_align_t))
        return malloc(size);
    size = (size + alignment - 1) / alignment * alignment;
    return aligned_alloc(alignment, size);
}

static void release(void *context, void *block, size_t size)
{
    (void)context, (void)size;
    free(block);
}

static void *heap_allocate(gc_heap *heap, size_t size)
{
    gc_allocator *a = &heap->options.allocator;
    void *block = a->allocate(a->context, size,
                              _Alignof(max_align_t));

    if (block != NULL)
        heap->bytes += size;
    return block;
}

static void heap_release(gc_heap *heap, void *block, size_t size)
{
    gc_allocator *a = &heap->options.allocator;

    heap->bytes -= size;
    a->release(a->context, block, size);
}

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

/* memory for an object */
/* the room in front of an object */
static size_t front(const gc_heap *heap)
{
    return heap->options.places ? sizeof(gc_front) : 0;
}

/* take blocks from free lists and put them there */
enum { STEP = 16, LARGEST = 64 * STEP };

/* The free list for blocks of a size, which is rounded up; NULL if
 * there is none. */
static struct free_list *list_for(gc_heap *heap, size_t *size)
{
    if (CHECKING || heap->options.free_blocks == 0 || *size > LARGEST)
        return NULL;
    *size = (*size + STEP - 1) / STEP * STEP;
    return &heap->free_lists[*size / STEP - 1];
}

static void *take_block(gc_heap *heap, size_t size)
{
    struct free_list *list = list_for(heap, &size);
    void *block;

    if (list == NULL || list->first == NULL) {
        block = heap_allocate(heap, size);
        if (block == NULL && gc_clear_free_lists(heap) > 0)
            block = heap_allocate(heap, size);
        return block;
    }
    block = list->first;
    memcpy(&list->first, block, sizeof list->first);
    list->length--;
    return block;
}

static void give_block(gc_heap *heap, void *block, size_t size)
{
    struct free_list *list = list_for(heap, &size);

    if (list == NULL || list->length >= heap->options.free_blocks) {
        heap_release(heap, block, size);
        return;
    }
    memcpy(block, &list->first, sizeof list->first);
    list->first = block;
    list->length++;
}

static gc_head *allocate_object(gc_heap *heap, size_t size)
{
    char *block = take_block(heap, size + front(heap));

    if (block != NULL && heap->options.places)
        *(gc_front *)(void *)block = (gc_front) { { NULL, 0 } };
    return block != NULL ? (void *)(block + front(heap)) : NULL;
}

static void release_object(gc_heap *heap, gc_object *o, size_t size)
{
    char *block = (char *)head_of(o) - front(heap);

    give_block(heap, block, size + front(heap));
}

void *gc_allocate(gc_heap *heap, size_t size)
{
    return heap_allocate(heap, size);
}

void gc_release(gc_heap *heap, void *block, size_t size)
{
    heap_release(heap, block, size);
}

void *gc_grow(gc_heap *heap, void *array, size_t *room, size_t size)
{
    size_t more = 2 * *room + 4;
    void *larger = gc_allocate(heap, more * size);

    if (larger == NULL)
        return NULL;
    if (array != NULL) {
        memcpy(larger, array, *room * size);
        gc_release(heap, array, *room * size);
    }
    *room = more;
    return larger;
}

/* make a heap */
gc_heap *gc_heap_new(const gc_options *options)
{
    gc_options o = options ? *options : (gc_options) { 0 };
    gc_allocator *a = &o.allocator;

    if (!a->allocate != !a->release)
        return NULL;
    if (!a->allocate)
        *a = (gc_allocator) { allocate, release, NULL };
    gc_heap *heap = a->allocate(a->context, sizeof *heap,
                                _Alignof(gc_heap));
    if (heap == NULL)
        return NULL;
    /* fill in the new heap */
    *heap = (gc_heap) { .options = o, .bytes = sizeof *heap };
    list_init(&heap->objects);
    list_init(&heap->dead);
    list_init(&heap->immortal);
    list_init(&heap->tracked);
    list_init(&heap->unreachable);
    for (int g = 0; g < GC_GENERATIONS; g++)
        list_init(&heap->generations[g].objects);
    gc_set_threshold(heap, 700, 10, 10);
    list_init(&heap->permanent);
    list_init(&heap->seen);
    list_init(&heap->uncollectable);
    list_init(&heap->calling);
    return heap;
}

/* make an object */
void *gc_new_var(gc_heap *heap, const gc_type *type, size_t length)
{
    /* check that the type makes sense */
    if (CHECKING && gc_type_error(type) != NULL)
        gc_stop(NULL, "type %s: %s", type->name ? type->name : "?",
                gc_type_error(type));
    size_t size = block_size(type, length);
    if (size == 0 || heap->closing)
        return NULL;
    gc_head *head = allocate_object(heap, size);
    if (head == NULL)
        return NULL;
    gc_object *o = (gc_object *)(head + 1);
    /* fill in the new object */
    memset(head, 0, size);
    head->heap = heap;
    heap->count++;
    o->type = type;
    if (type->item_size > 0)
        ((gc_var_object *)o)->length = length;
    o->refcount = 1;
    /* before the new object is on a list */
    if (has_references(type))
        gc_count_new(heap);
    gc_adopt(heap, o);
    return o;
}

void *gc_new(gc_heap *heap, const gc_type *type)
{
    return gc_new_var(heap, type, 0);
}

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

void *gc_new_at(gc_heap *heap, const gc_type *type, size_t length,
                gc_place place)
{
    gc_object *o = gc_new_var(heap, type, length);

    if (o != NULL && heap->options.places)
        ((gc_front *)(void *)head_of(o) - 1)->place = place;
    return o;
}

gc_place gc_get_place(const void *object)
{
    gc_head *head = head_of(object);

    if (!head->heap->options.places)
        return (gc_place) { NULL, 0 };
    return ((gc_front *)(void *)head - 1)->place;
}

size_t gc_clear_free_lists(gc_heap *heap)
{
    size_t number = 0;

    for (size_t i = 0; i < LARGEST / STEP; i++) {
        struct free_list *list = &heap->free_lists[i];
        void *block;

        while ((block = list->first) != NULL) {
            memcpy(&list->first, block, sizeof list->first);
            heap_release(heap, block, (i + 1) * STEP);
            number++;
        }
        list->length = 0;
    }
    return number;
}

/* free an object */
/* Give back what an object owns, and then its memory. It is on no
 * list any more. */
void gc_finish(gc_object *o)
{
    gc_heap *heap = head_of(o)->heap;
    size_t size = block_size(o->type, gc_length(o));

    if (o->type->destroy != NULL)
        o->type->destroy(o);
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
    release_object(heap, o, size);
}

/* visit every object */
static void each_in(gc_link *list, gc_object_fn *fn, void *arg)
{
    gc_link *next;

    for (gc_link *l = list->next; l != list; l = next) {
        next = l->next;
        fn(object_at(l), arg);
    }
}

void gc_each_object(gc_heap *heap, gc_object_fn *fn, void *arg)
{
    each_in(&heap->objects, fn, arg);
    /* visit the objects on the other lists */
    each_in(&heap->immortal, fn, arg);
    each_in(&heap->tracked, fn, arg);
    each_in(&heap->unreachable, fn, arg);
    for (int g = 0; g < GC_GENERATIONS; g++)
        each_in(&heap->generations[g].objects, fn, arg);
    each_in(&heap->permanent, fn, arg);
    each_in(&heap->seen, fn, arg);
    each_in(&heap->uncollectable, fn, arg);
    each_in(&heap->calling, fn, arg);
}

/* close a heap */
/* functions that close a heap */
static void destroy(gc_object *o, void *arg)
{
    (void)arg;
    if (o->type->destroy != NULL)
        o->type->destroy(o);
}

static void free_block(gc_object *o, void *heap)
{
    release_object(heap, o, block_size(o->type, gc_length(o)));
}

/* report a leak */
enum { LEAKS_SHOWN = 10 };

static void report_leak(gc_object *o, void *arg)
{
    gc_heap *heap = head_of(o)->heap;
    gc_place place = gc_get_place(o);
    size_t *shown = arg;
    char text[80];

    if (++*shown > LEAKS_SHOWN)
        return;
    gc_describe(o, text, sizeof text);
    if (place.file != NULL)
        gc_say(heap, "leaked: %s, made at %s:%d", text, place.file,
               place.line);
    else
        gc_say(heap, "leaked: %s", text);
}

static void tell_of_leak(gc_object *o, void *arg)
{
    gc_options *options = arg;
    gc_place place = gc_get_place(o);
    gc_leak leak = { o, place.file, place.line, gc_bytes_of(o),
                     o->refcount };

    options->on_leak(&leak, options->leak_context);
}

static void report_rows(gc_heap *heap)
{
    gc_snapshot *s = gc_take_snapshot(heap);

    for (size_t i = 0; s && i < s->length && i < LEAKS_SHOWN; i++) {
        const gc_tally *t = &s->rows[i];

        if (t->place.file != NULL)
            gc_say(heap, "leaked: in all %td %s, %td bytes, made at "
                   "%s:%d", t->objects, t->type->name, t->bytes,
                   t->place.file, t->place.line);
        else
            gc_say(heap, "leaked: in all %td %s, %td bytes",
                   t->objects, t->type->name, t->bytes);
    }
    gc_snapshot_free(s);
}

size_t gc_heap_free(gc_heap *heap)
{
    if (heap == NULL)
        return 0;
    /* tidy up before the heap closes */
    gc_exit_finalizers(heap);
    gc_end_immortality(heap);
    gc_unfreeze(heap);
    gc_collect(heap);
    gc_give_up_garbage(heap);
    size_t leaked = heap->count;
    heap->closing = true;
    /* report what is still alive */
    size_t shown = 0;
    gc_each_object(heap, report_leak, &shown);
    if (leaked > LEAKS_SHOWN) {
        gc_say(heap, "leaked: and %zu more", leaked - LEAKS_SHOWN);
        report_rows(heap);
    }
    if (heap->options.on_leak != NULL)
        gc_each_object(heap, tell_of_leak, &heap->options);
    gc_each_object(heap, destroy, NULL);
    gc_each_object(heap, free_block, heap);
    /* free the dead of the checking build */
    each_in(&heap->dead, free_block, heap);
    /* give back what else the heap holds */
    if (heap->callbacks != NULL)
        gc_release(heap, heap->callbacks,
                   heap->callback_room * sizeof *heap->callbacks);
    if (heap->garbage != NULL)
        gc_release(heap, heap->garbage,
                   heap->garbage_room * sizeof *heap->garbage);
    gc_clear_free_lists(heap);
    gc_allocator a = heap->options.allocator;
    a.release(a.context, heap, sizeof *heap);
    return leaked;
}

/* answer questions */
size_t gc_heap_count(const gc_heap *heap)
{
    return heap->count;
}

size_t gc_heap_bytes(const gc_heap *heap)
{
    return heap->bytes;
}

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

    if (type->name == NULL || strpbrk(type->name, " \"\n") != NULL)
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

/* The bytes that an object takes, all told. */
size_t gc_bytes_of(const gc_object *o)
{
    return block_size(o->type, gc_length(o))
        + front(head_of(o)->heap);
}

/* speak up */
const char *gc_describe(const gc_object *o, char *text, size_t size)
{
    int n = snprintf(text, size, "%s", o->type->name);

    if (o->type->repr == NULL || head_of(o)->dead
        || n < 0 || (size_t)n + 2 > size)
        return text;
    strcpy(text + n, " ");
    o->type->repr(o, text + n + 1, size - (size_t)n - 1);
    return text;
}

void gc_say(gc_heap *heap, const char *format, ...)
{
    gc_sink *sink = &heap->options.sink;
    char line[160];
    va_list args;

    if (sink->write == NULL)
        return;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    sink->write(sink->context, line);
}

void gc_write_line(void *file, const char *line)
{
    fprintf(file, "%s\n", line);
}

_Noreturn void gc_stop(const gc_object *o, const char *format, ...)
{
    char text[80];
    va_list args;

    fprintf(stderr, "janitor: ");
    if (o != NULL)
        fprintf(stderr, "%s: ", gc_describe(o, text, sizeof text));
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\n");
    abort();
}

void gc_check_alive(const void *object, const char *caller)
{
    if (CHECKING && head_of(object)->dead)
        gc_stop(object, "%s of a dead object", caller);
}
