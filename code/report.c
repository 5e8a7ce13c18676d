/* From chapters 1 and 10 of The Invisible Janitor; made by make tangle. */
/* report.c: what the library has to say. */
#include "internal.h"
#include <stdarg.h>
#include <stdlib.h>

/* speak up */
const char *gc_describe(const gc_object *o, char *text, size_t size)
{
    int n = snprintf(text, size, "%s", o->type->name);
    bool gone = head_of(o)->dead && o->type->destroy != NULL;

    if (o->type->repr == NULL || gone || n < 0 || (size_t)n + 2 > size)
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

void gc_write_escaped(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', out);
        fputc(*text == '\n' ? ' ' : *text, out);
    }
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
    /* say where the object was made */
    char line[16];
    if (o != NULL && gc_heap_of(o)->options.places
        && gc_place_of(o)->file != NULL)
        fprintf(stderr, ", made at %s%s", gc_place_of(o)->file,
                gc_line_of(*gc_place_of(o), line));
    fprintf(stderr, "\n");
    abort();
}

void gc_check_alive(const void *object, const char *caller)
{
    if (CHECKING && head_of(object)->dead)
        gc_stop(object, "%s of a dead object", caller);
}
