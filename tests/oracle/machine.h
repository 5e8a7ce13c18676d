/* From chapter appendix E of The Invisible Janitor; made by make tangle. */
/* machine.h: a program runs on a machine, which lives in a world. */
#ifndef MACHINE_H
#define MACHINE_H

#include "world.h"

enum { LOG_ROOM = 2000 };

/* keep a log of each step */
/* What has happened in the course of a step. */
struct log {
    struct event events[LOG_ROOM];
    size_t length;   /* may exceed the room: the rest is not kept */
    uint64_t ordered, bag;
    bool collected; /* there was a collection */
    enum phase phase;
};

/* say what a machine is */
struct machine {
    const struct world *world;
    bool by_list; /* the order of everything counts */
    bool late;    /* finalizers make weak references */
    void *heap;   /* the world's own */
    void *vars[PLACES];
    void *held[HELD];
    size_t holding;
    unsigned made; /* the latest number given to an object */
    int depth;     /* of actions inside one another */
    size_t untried; /* weak references that finalizers did not make */
    struct log log;
};

void machine_begin(struct machine *m, const struct world *world);
void machine_run(struct machine *m, const struct op *op);

/* say what the worlds report */
/* What the worlds report. */
void on_death(struct node *n);
void on_finalizer(struct node *n, enum event_kind kind,
                  enum phase phase);
void on_callback(struct node *closure, void *ref, size_t hash,
                 enum phase phase);
void on_collection(struct machine *m, bool start, int generation,
                   size_t collected, size_t uncollectable);

/* mix numbers */
static inline uint64_t mix(uint64_t h, uint64_t x)
{
    h = (h ^ x) * 0x9E3779B97F4A7C15u;
    return h ^ h >> 29;
}
#endif
