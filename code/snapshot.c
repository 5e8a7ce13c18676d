/* From chapter 8 of The Invisible Janitor; made by make tangle. */
/* snapshot.c: what there is, and what has been added. */
#include "internal.h"
#include <stdlib.h>

/* compare two rows */
static ptrdiff_t size_of(const gc_tally *t)
{
    return t->bytes < 0 ? -t->bytes : t->bytes;
}

/* Larger rows first; a tie is settled by what can be printed. */
static int by_bytes(const void *one, const void *other)
{
    const gc_tally *a = one, *b = other;
    int names = strcmp(a->type->name, b->type->name);

    if (size_of(a) != size_of(b))
        return size_of(a) > size_of(b) ? -1 : 1;
    if (names != 0)
        return names;
    return (a->place.line > b->place.line)
        - (a->place.line < b->place.line);
}

static const char *base_name(const char *file)
{
    const char *slash = strrchr(file, '/');

    return slash != NULL ? slash + 1 : file;
}

/* give back the tables */
static void *take(const gc_snapshot *s, size_t size)
{
    const gc_allocator *a = &s->allocator;

    return a->allocate(a->context, size, _Alignof(max_align_t));
}

static void drop(const gc_snapshot *s, void *block, size_t size)
{
    if (block != NULL)
        s->allocator.release(s->allocator.context, block, size);
}

static void give_back(gc_snapshot *s)
{
    drop(s, s->rows, s->room * sizeof *s->rows);
    drop(s, s->index, 2 * s->room * sizeof *s->index);
    s->rows = NULL;
    s->index = NULL;
}

void gc_snapshot_free(gc_snapshot *s)
{
    if (s == NULL)
        return;
    give_back(s);
    gc_snapshot copy = *s;
    drop(&copy, s, sizeof *s);
}

/* find a row */
static bool same_place(gc_place a, gc_place b)
{
    return a.line == b.line && (a.file == b.file
        || (a.file && b.file && strcmp(a.file, b.file) == 0));
}

static size_t *slot_of(const gc_snapshot *s, const gc_type *type,
                       gc_place place)
{
    uint64_t hash = ((uintptr_t)type >> 4) * 31 + (size_t)place.line;
    size_t *slot;

    for (size_t step = 0;; step++) {
        slot = gc_probe(s->index, 2 * s->room, hash, step);
        if (*slot == 0)
            return slot;
        const gc_tally *row = &s->rows[*slot - 1];
        if (row->type == type && same_place(row->place, place))
            return slot;
    }
}

static bool widen(gc_snapshot *s)
{
    size_t room = s->room > 0 ? 2 * s->room : 64;
    gc_snapshot old = *s;

    s->rows = take(s, room * sizeof *s->rows);
    s->index = take(s, 2 * room * sizeof *s->index);
    s->room = room;
    if (s->rows == NULL || s->index == NULL) {
        give_back(s);
        *s = old;
        return false;
    }
    memset(s->index, 0, 2 * room * sizeof *s->index);
    for (size_t i = 0; i < old.length; i++) {
        s->rows[i] = old.rows[i];
        *slot_of(s, s->rows[i].type, s->rows[i].place) = i + 1;
    }
    give_back(&old);
    return true;
}

/* add to a row */
static bool add(gc_snapshot *s, const gc_tally *t, int sign)
{
    size_t *slot;

    if (s->length == s->room && !widen(s))
        return false;
    slot = slot_of(s, t->type, t->place);
    if (*slot == 0) {
        s->rows[s->length] = (gc_tally) { t->type, t->place, 0, 0 };
        *slot = ++s->length;
    }
    s->rows[*slot - 1].objects += sign * t->objects;
    s->rows[*slot - 1].bytes += sign * t->bytes;
    return true;
}

static bool add_all(gc_snapshot *s, const gc_snapshot *rows, int sign)
{
    bool done = true;

    for (size_t i = 0; done && i < rows->length; i++)
        done = add(s, &rows->rows[i], sign);
    return done;
}

static gc_snapshot *new_snapshot(const gc_allocator *allocator)
{
    gc_snapshot first = { .allocator = *allocator };
    gc_snapshot *s = take(&first, sizeof *s);

    if (s != NULL)
        *s = first;
    return s;
}

/* Put the rows in order, if there was memory for them. */
static gc_snapshot *finish(gc_snapshot *s, bool done)
{
    if (!done) {
        gc_snapshot_free(s);
        return NULL;
    }
    if (s->length > 0)
        qsort(s->rows, s->length, sizeof *s->rows, by_bytes);
    return s;
}

/* take and compare snapshots */
typedef struct taking {
    gc_snapshot *snapshot;
    bool done;
} taking;

static void tally(gc_object *o, void *arg)
{
    taking *t = arg;
    gc_tally one = { o->type, gc_get_place(o), 1,
                     (ptrdiff_t)gc_bytes_of(o) };

    t->done = t->done && add(t->snapshot, &one, 1);
}

gc_snapshot *gc_take_snapshot(gc_heap *heap)
{
    taking t = { NULL, true };

    if (heap->allocating
        || !(t.snapshot = new_snapshot(&heap->options.allocator)))
        return NULL;
    gc_hush(heap);
    gc_each_object(heap, tally, &t);
    gc_unhush(heap);
    return finish(t.snapshot, t.done);
}

gc_snapshot *gc_snapshot_by_type(const gc_snapshot *s)
{
    gc_snapshot *types = new_snapshot(&s->allocator);
    bool done = types != NULL;

    for (size_t i = 0; done && i < s->length; i++) {
        gc_tally row = s->rows[i];

        row.place = (gc_place) { NULL, 0 };
        done = add(types, &row, 1);
    }
    return types != NULL ? finish(types, done) : NULL;
}

gc_snapshot *gc_snapshot_compare(const gc_snapshot *before,
                                 const gc_snapshot *after)
{
    gc_snapshot *d = new_snapshot(&after->allocator);
    size_t kept = 0;

    if (d == NULL)
        return NULL;
    bool done = add_all(d, after, 1) && add_all(d, before, -1);
    for (size_t i = 0; done && i < d->length; i++)
        if (d->rows[i].objects != 0 || d->rows[i].bytes != 0)
            d->rows[kept++] = d->rows[i];
    if (done)
        d->length = kept;
    return finish(d, done);
}

void gc_snapshot_print(const gc_snapshot *s, size_t limit, FILE *out)
{
    char line[16];

    fprintf(out, "%10s %12s  %s\n", "objects", "bytes", "type");
    for (size_t i = 0; i < s->length && i < limit; i++) {
        const gc_tally *t = &s->rows[i];

        fprintf(out, "%10td %12td  %s", t->objects, t->bytes,
                t->type->name);
        if (t->place.file != NULL)
            fprintf(out, ", %s%s", base_name(t->place.file),
                    gc_line_of(t->place, line));
        fputc('\n', out);
    }
    if (s->length > limit)
        fprintf(out, "%10s %12s  %zu more\n", "", "",
                s->length - limit);
}
