/* From chapters 1, 2, 3, 4, 5 and 7 of The Invisible Janitor; made by make tangle. */
/* dump.c: the heap written down, to be drawn. */
#include "internal.h"

/* number the objects */
typedef struct dump {
    FILE *out;
    gc_heap *heap;
    size_t id;             /* of the object that is visited */
    const gc_object *find; /* find the number of this one */
    size_t found;
} dump;

static void compare(gc_object *o, void *arg)
{
    dump *d = arg;

    if (o == d->find)
        d->found = d->id;
    d->id++;
}

/* The number of an object; that of no object if it is not alive. */
static size_t number_of(gc_heap *heap, const gc_object *o)
{
    dump d = { .find = o, .found = SIZE_MAX };

    gc_each_object(heap, compare, &d);
    return d.found;
}

void gc_write_escaped(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', out);
        fputc(*text == '\n' ? ' ' : *text, out);
    }
}

static void write_quoted(FILE *out, const char *key, const char *text)
{
    fprintf(out, " %s=\"", key);
    gc_write_escaped(out, text);
    fputc('"', out);
}

/* The generation that an object is in, or -1. */
static int generation_of(gc_heap *heap, const gc_object *o)
{
    for (int g = 0; g < GC_GENERATIONS; g++) {
        gc_link *list = &heap->generations[g].objects;

        for (gc_link *l = list->next; l != list; l = l->next)
            if (object_at(l) == o)
                return g;
    }
    return -1;
}

/* write an object */
static void write_object(gc_object *o, void *arg)
{
    dump *d = arg;
    char text[80] = "";

    fprintf(d->out, "object %zu type=%s", d->id++, o->type->name);
    if (o->type->repr != NULL) {
        o->type->repr(o, text, sizeof text);
        write_quoted(d->out, "name", text);
    }
    /* write what is noted about the object */
    if (gc_is_immortal(o))
        fputs(" refcount=immortal", d->out);
    else
        fprintf(d->out, " refcount=%zu", o->refcount);
    if (head_of(o)->collecting)
        fprintf(d->out, " gc_refs=%u", (unsigned)head_of(o)->gc_refs);
    if (head_of(o)->unreachable)
        fputs(" state=unreachable", d->out);
    int g = generation_of(d->heap, o);
    if (g >= 0)
        fprintf(d->out, " generation=%d", g);
    if (head_of(o)->tracked && g < 0 && !d->heap->collecting)
        fputs(" generation=permanent", d->out);
    fputc('\n', d->out);
}

/* write a reference */
static void write_reference(dump *d, const char *field,
                            const gc_object *to)
{
    size_t id = to != NULL ? number_of(d->heap, to) : 0;

    if (to == NULL)
        return;
    if (id == SIZE_MAX)
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

    if (to != NULL)
        fprintf(d->out, "weak %zu referent %zu\n", d->id,
                number_of(d->heap, to));
}

/* write all references of an object */
static void write_references(gc_object *o, void *arg)
{
    dump *d = arg;
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
        o->type->traverse(o, write_visited, d);
    if (is_weakref(o))
        write_weak(d, o);
    d->id++;
}

/* write the heap */
static void write_variable(dump *d, const gc_variable *v)
{
    size_t id = number_of(d->heap, v->object);

    if (id == SIZE_MAX)
        fprintf(d->out, "object %s type=gone state=dead\n"
                "var %s %s\n", v->name, v->name, v->name);
    else
        fprintf(d->out, "var %s %zu\n", v->name, id);
}

void gc_dump(gc_heap *heap, const gc_variable *variables, FILE *out)
{
    dump d = { .out = out, .heap = heap };

    gc_each_object(heap, write_object, &d);
    d.id = 0;
    gc_each_object(heap, write_references, &d);
    for (const gc_variable *v = variables; v && v->name; v++)
        if (v->object != NULL)
            write_variable(&d, v);
}
