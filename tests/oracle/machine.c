/* From chapter appendix E of The Invisible Janitor; made by make tangle. */
/* machine.c: runs the steps of a program, in either world. */
#include "machine.h"
#include <stdlib.h>

/* note an event */
/* The earlier callbacks for the same referent. The contract says that
 * those of one object come in order. */
static size_t rank(const struct log *log, const struct event *e)
{
    size_t n = 0;

    if (e->kind != CALLED)
        return 0;
    for (size_t i = 0; i < log->length && i < LOG_ROOM; i++)
        n += log->events[i].kind == CALLED
            && log->events[i].of == e->of;
    return n;
}

static uint64_t digest_of(const struct event *e)
{
    uint64_t h = mix((uint64_t)e->kind, e->phase);

    return mix(mix(mix(h, e->id), e->of), e->more);
}

/* Inside a collection the contract leaves the order open; and what
 * dies by its count there may wait until after the end of it. */
static void add_to_bag(struct log *log, const struct event *e)
{
    log->bag += mix(digest_of(e), rank(log, e));
    if (e->phase != BY_COUNT && e->phase != log->phase) {
        log->phase = e->phase;
        log->ordered = mix(log->ordered, e->phase);
    }
}

static void note(struct machine *m, struct event e)
{
    struct log *log = &m->log;
    bool told = e.kind == STARTED || e.kind == STOPPED;

    log->collected |= e.kind == STARTED;
    if (told)
        log->phase = BY_COUNT;
    if (log->collected && !told && !m->by_list)
        add_to_bag(log, &e);
    else
        log->ordered = mix(log->ordered, digest_of(&e));
    if (log->length < LOG_ROOM)
        log->events[log->length] = e;
    log->length++;
}

/* find and fill variables */
/* Put something into a variable; the reference is the machine's now. */
static void put(struct machine *m, unsigned var, void *object)
{
    void *old = m->vars[var];

    m->vars[var] = object;
    if (old != NULL)
        m->world->decref(old);
}

static void *share(struct machine *m, void *object)
{
    if (object != NULL)
        m->world->incref(object);
    return object;
}

static struct node *node_at(struct machine *m, unsigned var)
{
    void *object = m->vars[var];

    return object && !m->world->is_ref(object) ? object : NULL;
}

/* The same, if it has slots. */
static struct node *slots_at(struct machine *m, unsigned var)
{
    struct node *n = node_at(m, var);

    return n != NULL && n->kind != ATOM ? n : NULL;
}

static void set_slot(struct machine *m, struct node *n, unsigned slot,
                     void *object)
{
    void *old = n->slots[slot];

    n->slots[slot] = share(m, object);
    if (old != NULL)
        m->world->decref(old);
}

/* make nodes */
static bool is_crowded(struct machine *m)
{
    struct state s;

    m->world->look_around(m, &s);
    return s.alive >= LIVE_LIMIT;
}

static bool makes_refs(unsigned code)
{
    return code >= WEAK && code <= LISTEN_PROXY;
}

static bool makes_objects(unsigned code)
{
    return code == MAKE || code == CHAIN || makes_refs(code);
}

static struct node *make(struct machine *m, enum kind kind,
                         struct step action)
{
    struct node *n = m->world->make(m, kind);

    n->machine = m;
    n->action = action;
    n->kind = kind;
    n->id = ++m->made;
    return n;
}

static void chain(struct machine *m, const struct op *op)
{
    struct node *first = make(m, FINALIZER, op->action);

    for (unsigned i = 0; i < 40u + 8u * op->step.b; i++) {
        struct node *n = make(m, i % 3 ? PLAIN : FINALIZER, op->action);
        n->slots[0] = first;
        first = n;
    }
    put(m, op->step.a, first);
}

/* refer weakly to a node */
static void hold(struct machine *m, void *object)
{
    if (m->holding < HELD)
        m->held[m->holding++] = share(m, object);
}

/* A weak reference goes into a variable, or is held. */
static void keep_ref(struct machine *m, struct step s, void *ref)
{
    if (s.code != LISTEN && s.code != LISTEN_PROXY) {
        put(m, s.a, ref);
        return;
    }
    hold(m, ref);
    m->world->decref(ref);
}

/* Refer weakly to one node, perhaps with another to be called. */
static void watch(struct machine *m, struct step s)
{
    bool alone = s.code == WEAK || s.code == PROXY;
    bool proxy = s.code == PROXY || s.code == LISTEN_PROXY;
    void *object = node_at(m, s.b);
    void *closure = alone ? NULL : node_at(m, s.c), *ref;

    if (object == NULL || (!alone && closure == NULL)
        || m->world->count_refs(object) >= REFS_LIMIT)
        return;
    /* a collection may empty the variables */
    share(m, object);
    share(m, closure);
    ref = m->world->make_ref(object, closure, proxy,
                             number_pair(object, ++m->made));
    m->world->decref(object);
    if (closure != NULL)
        m->world->decref(closure);
    keep_ref(m, s, ref);
}

static void follow(struct machine *m, struct step s)
{
    void *ref = m->vars[s.b];

    if (ref != NULL && m->world->is_ref(ref))
        put(m, s.a, m->world->follow(ref));
}

/* hold and let go */
/* A node that holds itself: a reference from nowhere. */
static void hold_self(struct machine *m)
{
    struct node *n = node_at(m, SELF);

    if (n == NULL || n->held)
        return;
    n->held = true;
    hold(m, n);
}

static size_t number_of(struct machine *m, void *object)
{
    struct seen seen;

    m->world->look(object, &seen);
    return seen.id;
}

static void let_go(struct machine *m, size_t i)
{
    void *object = m->held[i];

    m->held[i] = m->held[--m->holding];
    if (!m->world->is_ref(object))
        ((struct node *)object)->held = false;
    m->world->decref(object);
}

/* A callback lets go of its weak reference, as in a dictionary. */
static void shed(struct machine *m)
{
    size_t i = 0;

    while (i < m->holding && m->held[i] != m->vars[REF])
        i++;
    if (i < m->holding)
        let_go(m, i);
}

/* The eldest lets go, in whatever order they began to hold. */
static void release(struct machine *m)
{
    size_t eldest = 0;

    if (m->holding == 0)
        return;
    for (size_t i = 1; i < m->holding; i++)
        if (number_of(m, m->held[i]) < number_of(m, m->held[eldest]))
            eldest = i;
    let_go(m, eldest);
}

/* deal with the garbage list */
static void empty(struct machine *m, void *object)
{
    if (object == NULL || m->world->is_ref(object))
        return;
    m->world->incref(object);
    for (unsigned slot = 0; slot < SLOTS; slot++)
        set_slot(m, object, slot, NULL);
    m->world->decref(object);
}

/* Share the garbage list, sorted by number. */
static void **sorted_garbage(struct machine *m, size_t length)
{
    void **list = malloc((length + 1) * sizeof *list);

    for (size_t i = 0, k; i < length; i++) {
        void *object = share(m, m->world->garbage_item(m, i));

        for (k = i; k > 0 && number_of(m, list[k - 1])
                             > number_of(m, object); k--)
            list[k] = list[k - 1];
        list[k] = object;
    }
    return list;
}

/* Clear the garbage list, where its order does not count. */
static void clear_sorted(struct machine *m, size_t length, bool breaks)
{
    void **list = sorted_garbage(m, length);

    m->world->garbage_clear(m);
    for (size_t i = 0; i < length; i++) {
        if (breaks)
            empty(m, list[i]);
        m->world->decref(list[i]);
    }
    free(list);
}

/* Clear the garbage list; if wanted, empty the nodes in it before. */
static void clear_garbage(struct machine *m, bool breaks)
{
    struct state s;

    m->world->look_around(m, &s);
    if (!m->by_list) {
        clear_sorted(m, s.garbage, breaks);
        return;
    }
    for (size_t i = s.garbage; breaks && i-- > 0;)
        empty(m, m->world->garbage_item(m, i));
    m->world->garbage_clear(m);
}

/* run a step */
/* Let go of everything, so that the heap does not fill up. */
static void restart(struct machine *m)
{
    for (unsigned var = 0; var < VARS; var++)
        put(m, var, NULL);
    for (size_t n = m->holding; n > 0; n--)
        release(m);
    m->world->set(m, FROZEN, false);
}

static void collect(struct machine *m, int generation)
{
    size_t found = m->world->collect(m, generation);

    note(m, (struct event) { .kind = RETURNED, .id = found });
}

static void run_on_nodes(struct machine *m, struct step s)
{
    struct node *a = slots_at(m, s.a), *b = slots_at(m, s.b);

    if (s.code == LINK && a != NULL)
        set_slot(m, a, s.c, m->vars[s.b]);
    else if (s.code == UNLINK && a != NULL)
        set_slot(m, a, s.c, NULL);
    else if (s.code == LOAD && b != NULL)
        put(m, s.a, share(m, b->slots[s.c]));
    else if (s.code == COPY)
        put(m, s.a, share(m, m->vars[s.b]));
    else if (s.code == DROP)
        put(m, s.a, NULL);
}

static const size_t limits[][3] = {
    { 700, 10, 10 }, { 5, 1, 1 }, { 10, 2, 0 }, { 3, 2, 3 },
    { 0, 1, 1 }, { 1, 0, 0 }, { 7, 4, 1 }, { 20, 1, 2 },
};

static void run_on_heap(struct machine *m, struct step s)
{
    const struct world *w = m->world;

    switch (s.code) {
    case COLLECT: collect(m, s.a); break;
    case THRESHOLD: w->set_threshold(m, limits[s.a]); break;
    case ENABLE: w->set(m, ENABLED, s.a); break;
    case FREEZE: w->set(m, FROZEN, true); break;
    case UNFREEZE: w->set(m, FROZEN, false); break;
    case SAVEALL: w->set(m, SAVING, s.a); break;
    case FORGET: clear_garbage(m, false); break;
    case BREAK: clear_garbage(m, true); break;
    case HOLD: hold_self(m); break;
    case SHED: shed(m); break;
    case RELEASE: release(m); break;
    case RESTART: restart(m); break;
    default: run_on_nodes(m, s);
    }
}

void machine_run(struct machine *m, const struct op *op)
{
    struct step s = op->step;

    if (makes_objects(s.code) && is_crowded(m))
        return;
    if (s.code == MAKE)
        put(m, s.a, make(m, s.b, op->action));
    else if (s.code == CHAIN)
        chain(m, op);
    else if (makes_refs(s.code))
        watch(m, s);
    else if (s.code == FOLLOW)
        follow(m, s);
    else
        run_on_heap(m, s);
}

void machine_begin(struct machine *m, const struct world *world)
{
    m->world = world;
    world->begin(m);
}

/* act when told to */
/* Do what a node does when its time has come. */
static void act(struct node *n, void *ref)
{
    struct machine *m = n->machine;
    void *self = m->vars[SELF], *other = m->vars[REF];

    if (m->depth >= DEPTH_LIMIT || n->acts == ACTS_LIMIT)
        return;
    m->depth++;
    n->acts++;
    m->vars[SELF] = n;
    m->vars[REF] = ref;
    machine_run(m, &(struct op) { .step = n->action });
    m->vars[SELF] = self;
    m->vars[REF] = other;
    m->depth--;
}

void on_death(struct node *n)
{
    note(n->machine, (struct event) { .kind = DEATH, .id = n->id });
}

void on_finalizer(struct node *n, enum event_kind kind,
                  enum phase phase)
{
    note(n->machine, (struct event) { kind, phase, .id = n->id });
    /* newer versions of Python clear what it makes, as do we */
    if (makes_refs(n->action.code) && !n->machine->late)
        n->machine->untried++;
    else
        act(n, NULL);
}

void on_callback(struct node *closure, void *ref, size_t hash,
                 enum phase phase)
{
    note(closure->machine, (struct event) {
        CALLED, phase, ref_id(hash), ref_of(hash), closure->id });
    act(closure, ref);
}

void on_collection(struct machine *m, bool start, int generation,
                   size_t collected, size_t uncollectable)
{
    note(m, (struct event) { start ? STARTED : STOPPED, BY_COUNT,
                             (size_t)generation, collected,
                             uncollectable });
}
