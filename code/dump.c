/* From chapters 1, 2, 3, 4, 7 and 10 of The Invisible Janitor; made by make tangle. */
/* dump.c: the heap written down, to be drawn. */
#include "internal.h"
#include <stdlib.h>

/* number the objects */
typedef struct numbered {
    gc_object *object;
    size_t id;
    /* what is noted beside a number */
    int generation;
} numbered;

typedef struct dump {
    FILE *out;
    gc_heap *heap;
    numbered *objects, *sorted; /* by number, and by address */
    size_t length, room;
    size_t id; /* of the object that is visited */
} dump;

static void note(gc_object *o, void *arg)
{
    dump *d = arg;
    size_t n = d->length++;

    d->objects[n] = (numbered) { .object = o, .id = n };
    /* note more beside the number */
    const gc_head *head = head_of(o);
    d->objects[n].generation = head->state & TRACKED
        && !head->unreachable && !head->apart
        && !(head->state & COLLECTING) ? head->state & GENERATION : -1;
    d->sorted[n] = d->objects[n];
}

static int by_address(const void *one, const void *other)
{
    uintptr_t a = (uintptr_t)((const numbered *)one)->object;
    uintptr_t b = (uintptr_t)((const numbered *)other)->object;

    return (a > b) - (a < b);
}

/* The number of an object; SIZE_MAX if it is none of this heap's. */
static size_t number_of(const dump *d, const gc_object *o)
{
    const numbered key = { .object = (gc_object *)(uintptr_t)o };
    const numbered *n = bsearch(&key, d->sorted, d->length,
                                sizeof(numbered), by_address);

    return n != NULL ? n->id : SIZE_MAX;
}

static bool number_objects(dump *d)
{
    d->room = d->heap->count + 1; /* nobody likes a block of 0 bytes */
    d->objects = gc_allocate(d->heap, 2 * d->room * sizeof(numbered));
    if (d->objects == NULL)
        return false;
    d->sorted = d->objects + d->room;
    gc_each_object(d->heap, note, d);
    qsort(d->sorted, d->length, sizeof(numbered), by_address);
    return true;
}

static void write_quoted(FILE *out, const char *key, const char *text)
{
    fprintf(out, " %s=\"", key);
    gc_write_escaped(out, text);
    fputc('"', out);
}

/* write an object */
static void write_object(dump *d, const numbered *n)
{
    const gc_object *o = n->object;
    char text[80] = "";

    fprintf(d->out, "object %zu type=%s", n->id, o->type->name);
    if (o->type->repr != NULL) {
        o->type->repr(o, text, sizeof text);
        write_quoted(d->out, "name", text);
    }
    /* write what is noted about the object */
    if (gc_is_immortal(o))
        fputs(" refcount=immortal", d->out);
    else
        fprintf(d->out, " refcount=%zu", o->refcount);
    if (head_of(o)->state & COLLECTING)
        fprintf(d->out, " gc_refs=%u", (unsigned)*gc_refs_of(o));
    if (head_of(o)->unreachable)
        fputs(" state=unreachable", d->out);
    if (n->generation == PERMANENT)
        fputs(" generation=permanent", d->out);
    else if (n->generation >= 0)
        fprintf(d->out, " generation=%d", n->generation);
    fputc('\n', d->out);
}

/* write a reference */
static void write_reference(dump *d, const char *field,
                            const gc_object *to)
{
    size_t id;

    if (to == NULL)
        return;
    if ((id = number_of(d, to)) == SIZE_MAX)
        fprintf(d->out, "object %zu.%s type=gone state=dead\n"
                "ref %zu %s %zu.%s\n", d->id, field,
                d->id, field, d->id, field);
    else
        fprintf(d->out, "ref %zu %s %zu\n", d->id, field, id);
}

static void write_visited(void *referent, void *arg)
{
    write_reference(arg, "-", referent);
}

static void write_weak(dump *d, gc_object *o)
{
    const gc_object *to = ((gc_weakref *)o)->referent;

    size_t id = to != NULL ? number_of(d, to) : SIZE_MAX;

    if (id != SIZE_MAX)
        fprintf(d->out, "weak %zu referent %zu\n", d->id, id);
}

static void write_closure(void *referent, void *arg)
{
    dump *d = arg;
    gc_weakref *ref = (gc_weakref *)d->objects[d->id].object;

    write_reference(d, referent == ref->closure ? "closure" : "-",
                    referent);
}

/* write all references of an object */
static void write_references(dump *d, gc_object *o)
{
    char item[32];

    for (const gc_field *f = o->type->fields; f && f->name; f++)
        write_reference(d, f->name, load((char *)o + f->offset));
    for (size_t i = 0; o->type->item_refs && i < gc_length(o); i++) {
        snprintf(item, sizeof item, "[%zu]", i);
        write_reference(d, item, load((char *)gc_items(o)
                                      + i * sizeof(gc_object *)));
    }
    /* write the references that only the type knows */
    if (o->type->traverse != NULL)
        o->type->traverse(o, is_weakref(o) ? write_closure : write_visited,
                          d);
    if (is_weakref(o))
        write_weak(d, o);
}

/* write the heap */
static void write_variable(dump *d, const gc_variable *v)
{
    size_t id = number_of(d, v->object);

    if (id == SIZE_MAX)
        fprintf(d->out, "object %s type=gone state=dead\n"
                "var %s %s\n", v->name, v->name, v->name);
    else
        fprintf(d->out, "var %s %zu\n", v->name, id);
}

static void write_heap(dump *d, const gc_variable *variables)
{
    for (size_t i = 0; i < d->length; i++)
        write_object(d, &d->objects[i]);
    for (d->id = 0; d->id < d->length; d->id++)
        write_references(d, d->objects[d->id].object);
    for (const gc_variable *v = variables; v && v->name; v++)
        if (v->object != NULL)
            write_variable(d, v);
}

bool gc_dump(gc_heap *heap, const gc_variable *variables, FILE *out)
{
    dump d = { .out = out, .heap = heap };

    /* let nothing change while we look */
    gc_hush(heap);
    bool done = number_objects(&d);
    if (done) {
        write_heap(&d, variables);
        gc_release(heap, d.objects, 2 * d.room * sizeof(numbered));
    }
    /* let things change again */
    gc_unhush(heap);
    return done;
}
