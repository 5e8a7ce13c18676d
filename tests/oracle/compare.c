/* From chapter appendix E of The Invisible Janitor; made by make tangle. */
/* compare.c: are the two worlds the same? */
#include "compare.h"
#include <stdlib.h>
#include <string.h>

enum { GENERATIONS = 4, ROOM = 4096 }; /* with the frozen */

/* digest the objects */
static uint64_t digest_words(const void *words, size_t size)
{
    const size_t *w = words;
    uint64_t h = size;

    for (size_t i = 0; i < size / sizeof *w; i++)
        h = mix(h, w[i]);
    return h;
}

/* All that can be seen of the objects of a generation. */
static uint64_t digest_generation(struct machine *m, int g)
{
    uint64_t h = 0;
    struct seen seen;

    for (void *o = NULL; (o = m->world->next(m, g, o)) != NULL;) {
        m->world->look(o, &seen);
        uint64_t one = digest_words(&seen, sizeof seen);
        h = m->by_list ? mix(h, one) : h + one;
    }
    return h;
}

static uint64_t digest_garbage(struct machine *m, size_t length)
{
    uint64_t h = length;
    struct seen seen;

    for (size_t i = 0; i < length; i++) {
        m->world->look(m->world->garbage_item(m, i), &seen);
        h = m->by_list ? mix(h, seen.id) : h + mix(1, seen.id);
    }
    return h;
}

/* For the sake of those that are on no list. */
static uint64_t digest_variables(struct machine *m)
{
    uint64_t h = 0;
    struct seen seen;

    for (int i = 0; i < VARS; i++)
        if (m->vars[i] != NULL) {
            m->world->look(m->vars[i], &seen);
            h = mix(h, digest_words(&seen, sizeof seen) + (uint64_t)i);
        }
    return h;
}

/* digest a world */
static uint64_t digest(struct machine *m)
{
    struct state state;
    uint64_t h;

    m->world->look_around(m, &state);
    h = digest_words(&state, sizeof state);
    h = mix(h, digest_garbage(m, state.garbage));
    h = mix(h, digest_variables(m));
    for (int g = 0; g < GENERATIONS; g++)
        h = mix(h, digest_generation(m, g));
    return mix(mix(h, m->log.ordered), m->log.bag);
}

bool compare(const struct pair *pair)
{
    return digest(pair->ours) == digest(pair->python);
}

/* digest who refers to whom */
static int by_number(const void *a, const void *b)
{
    const size_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static uint64_t digest_ids(struct machine *m, size_t *ids, size_t n)
{
    if (!m->by_list)
        qsort(ids, n, sizeof *ids, by_number);
    return digest_words(ids, n * sizeof *ids);
}

static uint64_t digest_references(struct machine *m)
{
    static size_t ids[ROOM];
    uint64_t sum = 0;
    struct seen seen;

    for (int g = 0; g < GENERATIONS; g++)
        for (void *o = NULL; (o = m->world->next(m, g, o)) != NULL;) {
            m->world->look(o, &seen);
            size_t n = m->world->referrers(m, o, ids);
            uint64_t h = mix(seen.id, digest_ids(m, ids, n));
            n = m->world->referents(m, o, ids);
            sum += mix(h, digest_ids(m, ids, n));
        }
    return sum;
}

bool compare_referrers(const struct pair *pair)
{
    return digest_references(pair->ours)
        == digest_references(pair->python);
}

/* name what differs in the counters */
static bool differ(FILE *out, const char *what, size_t ours,
                   size_t python)
{
    if (ours != python)
        fprintf(out, "    %s: %zu, in Python %zu\n", what, ours,
                python);
    return ours != python;
}

static void explain_state(const struct state *a, const struct state *b,
                          FILE *out)
{
    static const char *const names[] = {
        "objects alive", "enabled", "count 0", "count 1", "count 2",
        "threshold 0", "threshold 1", "threshold 2", "collections 0",
        "collections 1", "collections 2", "collected 0", "collected 1",
        "collected 2", "uncollectable 0", "uncollectable 1",
        "uncollectable 2", "long-lived total", "long-lived pending",
        "length of the garbage list" };
    const size_t *x = (const void *)a, *y = (const void *)b;

    for (size_t i = 0; i < sizeof *a / sizeof *x; i++)
        differ(out, names[i], x[i], y[i]);
}

/* name what differs in the events */
static void print_event(FILE *out, const struct event *e)
{
    static const char *const names[] = {
        "death", "finalizer", "tp_del", "callback", "start", "stop",
        "found" };
    static const char *const phases[] = {
        "", " (callback phase)", " (finalizer phase)" };

    fprintf(out, "%s %zu", names[e->kind], e->id);
    if (e->kind == CALLED)
        fprintf(out, " to %zu by %zu", e->of, e->more);
    if (e->kind == STOPPED)
        fprintf(out, " %zu %zu", e->of, e->more);
    fprintf(out, "%s", phases[e->phase]);
}

static void explain_events(const struct pair *pair, FILE *out)
{
    const struct log *logs[2] = {
        &pair->ours->log, &pair->python->log };

    for (int i = 0; i < 2; i++) {
        fprintf(out, "    %s:", i ? "python" : "ours  ");
        for (size_t k = 0; k < logs[i]->length && k < 40; k++) {
            fprintf(out, k ? ", " : " ");
            print_event(out, &logs[i]->events[k]);
        }
        fprintf(out, "\n");
    }
}

/* name what differs in the objects */
static void print_seen(FILE *out, const char *name,
                       const struct seen *s)
{
    fprintf(out, "        %-7s", name);
    if (s->id == 0)
        fprintf(out, "nothing\n");
    else
        fprintf(out, "object %zu, refcount %zu%s, refers to %zu, %zu, "
                "%zu\n", s->id, s->refcount,
                s->finalized ? ", finalized" : "", s->slots[0],
                s->slots[1], s->slots[2]);
}

static size_t list_seen(struct machine *m, int g, struct seen *list)
{
    size_t n = 0;

    for (void *o = NULL; (o = m->world->next(m, g, o)) != NULL
         && n < ROOM - 1;)
        m->world->look(o, &list[n++]);
    list[n].id = 0;
    if (!m->by_list)
        qsort(list, n, sizeof *list, by_number);
    return n;
}

static void explain_generation(const struct pair *pair, int g,
                               FILE *out)
{
    static struct seen a[ROOM], b[ROOM];
    size_t n = list_seen(pair->ours, g, a);
    size_t k = list_seen(pair->python, g, b), i = 0;

    while (i < n && i < k && memcmp(&a[i], &b[i], sizeof a[i]) == 0)
        i++;
    if (i == n && i == k)
        return;
    fprintf(out, "    %s %d, place %zu\n", g < 3 ? "generation"
            : "frozen, that is", g, i);
    print_seen(out, "ours", &a[i]);
    print_seen(out, "python", &b[i]);
}

void explain(const struct pair *pair, FILE *out)
{
    struct state a, b;

    if (out == NULL)
        return;
    pair->ours->world->look_around(pair->ours, &a);
    pair->python->world->look_around(pair->python, &b);
    explain_state(&a, &b, out);
    for (int g = 0; g < GENERATIONS; g++)
        explain_generation(pair, g, out);
    if (pair->ours->log.ordered != pair->python->log.ordered
        || pair->ours->log.bag != pair->python->log.bag)
        explain_events(pair, out);
}
