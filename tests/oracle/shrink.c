/* From chapter appendix E of The Invisible Janitor; made by make tangle. */
/* shrink.c: try a program, and make one that fails as short as can
 * be. */
#define _DEFAULT_SOURCE
#include "shrink.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { REFERRERS_EVERY = 1000, SECONDS = 120 };

/* share the totals with the child */
/* What has been done, where the child can write and the parent read. */
static struct totals {
    size_t programs, steps, at, made, collections[3];
    size_t events[RETURNED + 1];
    size_t crash, untried;
    double seconds; /* of the children */
} *totals;

static void count_up(const struct log *log)
{
    for (size_t i = 0; i < log->length && i < LOG_ROOM; i++) {
        const struct event *e = &log->events[i];

        totals->events[e->kind]++;
        if (e->kind == STOPPED)
            totals->collections[e->id]++;
    }
}

/* run a program in both worlds */
static void forget(struct log *log)
{
    log->length = 0;
    log->ordered = log->bag = 0;
    log->collected = false;
    log->phase = BY_COUNT;
}

static bool same_after(const struct pair *pair, size_t i)
{
    return compare(pair) && ((i + 1) % REFERRERS_EVERY != 0
                             || compare_referrers(pair));
}

/* In the child: 0 if the worlds agree to the end, and else 1. */
static int run(const struct trial *t, FILE *out)
{
    static struct machine ours, python;
    struct pair pair = { &ours, &python };

    /* begin both worlds */
    ours.by_list = python.by_list = t->by_list;
    ours.late = python.late = t->late;
    machine_begin(&ours, &our_world);
    machine_begin(&python, &python_world);
    for (size_t i = 0; i < t->length; i++) {
        totals->at = i + 1;
        forget(&ours.log);
        forget(&python.log);
        machine_run(&ours, &t->ops[i]);
        machine_run(&python, &t->ops[i]);
        count_up(&ours.log);
        if (!same_after(&pair, i)) {
            explain(&pair, out);
            return 1;
        }
    }
    totals->made += ours.made;
    totals->untried += ours.untried;
    return 0;
}

static void run_in_child(const struct trial *t, FILE *out)
{
    alarm(SECONDS);
    int status = run(t, out);
    totals->seconds += (double)clock() / CLOCKS_PER_SEC;
    fflush(NULL);
    _exit(status);
}

/* run it in a process of its own */
bool trial_run(struct trial *t, FILE *out)
{
    int status;

    if (totals == NULL)
        totals = mmap(NULL, sizeof *totals, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    totals->at = 0;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        run_in_child(t, out);
    waitpid(child, &status, 0);
    totals->programs++;
    totals->steps += totals->at;
    totals->crash = WIFSIGNALED(status) ? (size_t)WTERMSIG(status) : 0;
    if (status == 0)
        return true;
    t->length = totals->at;
    return false;
}

/* leave out a part */
/* Does it still fail without this part of it? Then leave it out. */
static bool leave_out(struct trial *t, size_t start, size_t size)
{
    struct trial less = *t;

    if (size > t->length - start)
        size = t->length - start;
    less.length = t->length - size;
    less.ops = malloc((less.length + 1) * sizeof *less.ops);
    memcpy(less.ops, t->ops, start * sizeof *t->ops);
    memcpy(less.ops + start, t->ops + start + size,
           (less.length - start) * sizeof *t->ops);
    bool fails = !trial_run(&less, NULL);
    if (fails) {
        memcpy(t->ops, less.ops, less.length * sizeof *t->ops);
        t->length = less.length;
    }
    free(less.ops);
    return fails;
}

/* leave out all that can be left out */
/* Does it still fail if a node does nothing? */
static void silence(struct trial *t)
{
    for (size_t i = 0; i < t->length; i++) {
        struct trial less = *t;
        struct step action = t->ops[i].action;

        if (action.code == NOTHING)
            continue;
        t->ops[i].action.code = NOTHING;
        if (trial_run(&less, NULL))
            t->ops[i].action = action;
        else
            t->length = less.length;
    }
}

void trial_shrink(struct trial *t)
{
    bool shorter = true;

    for (size_t size = t->length / 2; size > 0; size /= 2)
        for (size_t i = 0; i < t->length;)
            if (!leave_out(t, i, size))
                i += size;
    while (shorter) {
        shorter = false;
        for (size_t i = 0; i < t->length;)
            if (leave_out(t, i, 1))
                shorter = true;
            else
                i++;
    }
    silence(t);
}

/* report on a program */
void trial_found(FILE *out)
{
    fprintf(out, "found after %zu steps in %.2f s\n", totals->steps,
            (double)clock() / CLOCKS_PER_SEC + totals->seconds);
}

void trial_report(struct trial *t, FILE *out)
{
    fprintf(out, "seed %llu: a divergence, in C\n",
            (unsigned long long)t->seed);
    program_print_c(out, t->ops, t->length);
    fprintf(out, "and in Python\n");
    program_print_python(out, t->ops, t->length);
    fprintf(out, "after which there differ\n");
    trial_run(t, out);
    if (totals->crash)
        fprintf(out, "    a crash, signal %zu\n", totals->crash);
}

/* sum up */
void trial_summary(FILE *out)
{
    const size_t *e = totals->events;

    fprintf(out, "%zu programs, %zu steps, %zu objects\n",
            totals->programs, totals->steps, totals->made);
    fprintf(out, "collections: %zu, %zu, %zu\n", totals->collections[0],
            totals->collections[1], totals->collections[2]);
    fprintf(out, "finalizers: %zu, legacy %zu; callbacks: %zu; deaths "
            "of nodes: %zu\n", e[FINALIZED], e[DELETED], e[CALLED],
            e[DEATH]);
    fprintf(out, "differences: weak references made by finalizers "
            "(not tried) %zu\n", totals->untried);
}
