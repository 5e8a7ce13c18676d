/* From chapter appendix E of The Invisible Janitor; made by make tangle. */
/* world.h: what a program is made of, and the two worlds it runs in:
 * our library, and CPython. */
#ifndef WORLD_H
#define WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* bound what a program can do */
enum {
    SLOTS = 3,          /* references that a node holds */
    VARS = 16,          /* variables of a program */
    SELF = VARS,        /* in an action: who acts, */
    REF,                /* and the weak reference that is told */
    PLACES,
    HELD = 512,         /* nodes that may hold themselves */
    LIVE_LIMIT = 250,   /* more objects are not made */
    REFS_LIMIT = 8,     /* nor more weak references to one */
    DEPTH_LIMIT = 12,   /* actions inside one another */
    ACTS_LIMIT = 3,     /* or of one node: none lives for ever */
};

/* say what a program is made of */
/* What a program can do. The names in program.c say what each means. */
enum code {
    NOTHING, MAKE, CHAIN, LINK, UNLINK, LOAD, COPY, DROP,
    WEAK, WATCH, LISTEN, PROXY, LISTEN_PROXY, FOLLOW,
    COLLECT, THRESHOLD, ENABLE, FREEZE, UNFREEZE, SAVEALL, FORGET,
    BREAK, HOLD, SHED, RELEASE, RESTART, CODES
};

/* One step: its operands are variables, slots or small numbers. */
struct step {
    unsigned char code, a, b, c;
};

/* A step of the program; if it makes a node, also what the node does
 * when its finalizer is run or it is called as a callback. */
struct op {
    struct step step, action;
};

/* An atom has a finalizer, and no slots: the collector ignores it. */
enum kind { PLAIN, FINALIZER, LEGACY, ATOM, KINDS };

/* say what a node is */
/* A node begins with a gc_object or with a PyObject: in both worlds a
 * count and a type, so that all else lies at the same place. */
struct node {
    void *head[2];
    void *slots[SLOTS];
    void *weaklist;
    void *call; /* where CPython looks for the function to call */
    struct machine *machine;
    struct step action;
    enum kind kind;
    unsigned id;
    unsigned acts; /* how often it has acted */
    bool held;
};

/* say what can happen */
enum event_kind {
    DEATH, FINALIZED, DELETED, CALLED, STARTED, STOPPED, RETURNED
};

/* Which part of a collection asked for it, if one did. */
enum phase { BY_COUNT, CALLBACKS, FINALIZERS };

struct event {
    enum event_kind kind;
    enum phase phase;
    size_t id, of, more; /* whom or what it concerns */
};

/* say what can be seen */
/* What can be seen of an object. A weak reference shows its referent
 * and its closure as slots. 0 stands for nothing. */
struct seen {
    size_t id, refcount, finalized, tracked;
    size_t slots[SLOTS];
};

/* What can be seen of the collector. */
struct state {
    size_t alive, enabled, count[3], threshold[3];
    size_t collections[3], collected[3], uncollectable[3];
    size_t total, pending, garbage;
};

/* say what a world must do */
enum setting { ENABLED, FROZEN, SAVING };

struct machine;

/* One way to do all this. References that are returned are owned, but
 * for those of next and garbage_item. */
struct world {
    /* do the program's business */
    const char *name;
    void (*begin)(struct machine *m);
    void *(*make)(struct machine *m, enum kind kind);
    void *(*make_ref)(void *object, void *closure, bool proxy,
                      size_t id);
    size_t (*count_refs)(void *object);
    void *(*follow)(void *ref);
    bool (*is_ref)(void *object);
    void (*incref)(void *object);
    void (*decref)(void *object);
    size_t (*collect)(struct machine *m, int generation);
    void (*set)(struct machine *m, enum setting setting, bool on);
    void (*set_threshold)(struct machine *m, const size_t limits[3]);
    void *(*garbage_item)(struct machine *m, size_t i);
    void (*garbage_clear)(struct machine *m);
    /* look at the objects */
    /* the object after this one in a generation, frozen being 3 */
    void *(*next)(struct machine *m, int generation, void *object);
    void (*look)(void *object, struct seen *seen);
    void (*look_around)(struct machine *m, struct state *state);
    /* the ids of what refers to an object; returns how many */
    size_t (*referrers)(struct machine *m, void *object, size_t *ids);
    size_t (*referents)(struct machine *m, void *object, size_t *ids);
};

extern const struct world our_world, python_world;

/* pack two numbers into a hash */
/* A weak reference has no room for its number, but for its hash, which
 * nobody asks for here. The number of the referent is put there too,
 * and of it there are fewer than 2^31, as CPython's -1 is none. */
static inline size_t number_pair(const struct node *referent,
                                 unsigned number)
{
    return (size_t)referent->id << 32 | number;
}

static inline size_t ref_id(size_t hash)
{
    return hash & UINT32_MAX;
}

static inline size_t ref_of(size_t hash)
{
    return hash >> 32;
}

#endif
