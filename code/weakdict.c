/* From chapters 7 and 8 of The Invisible Janitor; made by make tangle. */
/* weakdict.c: dictionaries and sets that forget the dead. */
#include "internal.h"

/* the layout of a weak dictionary */
typedef struct entry {
    gc_object *key, *value; /* owned; one is a weak reference */
    size_t hash;            /* of the key */
} entry;

struct gc_weakdict {
    gc_object base;
    gc_weakref *weaklist;
    entry *entries;     /* with holes, whose key is NULL */
    size_t *index;      /* twice as many: an entry's number + 1 */
    size_t used, room;  /* entries, holes included */
    size_t first;       /* before this one there are only holes */
    size_t filled;      /* places of the index */
    size_t length;      /* entries without the holes */
    size_t version;     /* goes up when it is rebuilt */
    size_t iterations;  /* that are under way */
};

typedef struct filed {
    gc_weakref ref;
    size_t hash;
} filed;

static const gc_type filed_type = {
    .name = "KeyedRef", .size = sizeof(filed),
    .traverse = gc_weakref_traverse, .clear = gc_weakref_clear,
};

static const gc_type valuedict_type, keydict_type, set_type;

static bool keys_are_weak(const gc_weakdict *d)
{
    return d->base.type != &valuedict_type;
}

/* A key or a value out of the table, owned; NULL if it is dead. */
static void *hold(gc_object *o, bool weak)
{
    if (weak)
        return gc_weakref_get((gc_weakref *)o);
    gc_xincref(o);
    return o;
}

/* The reference to what is held weakly. */
static gc_weakref *weak_half(const gc_weakdict *d, const entry *e)
{
    return (gc_weakref *)(keys_are_weak(d) ? e->key : e->value);
}

/* find an entry */
static size_t *place(const gc_weakdict *d, size_t hash, size_t step)
{
    return gc_probe(d->index, 2 * d->room, hash, step);
}

/* Is this key, one of the table's, equal to the other? */
static bool same_key(const gc_weakdict *d, gc_object *k, void *key)
{
    void *other = hold(k, keys_are_weak(d));
    bool same = other != NULL && gc_equal(other, key);

    gc_xdecref(other);
    return same;
}

/* Has entry n this key? The comparison may take the entry out of
 * the table, or rebuild the table: moved says so. */
static bool has_key(gc_weakdict *d, size_t n, void *key, bool *moved)
{
    gc_object *k = gc_new_ref(d->entries[n].key);
    size_t version = d->version;
    bool same = same_key(d, k, key);

    *moved = d->version != version || d->entries[n].key != k;
    gc_decref(k);
    return same;
}

/* The number of the entry with this key; used if there is none. */
static size_t find(gc_weakdict *d, void *key, size_t hash)
{
    size_t i = 0, n;

    while (d->room > 0 && (n = *place(d, hash, i++)) > 0) {
        const entry *e = &d->entries[n - 1];
        bool moved = false;

        if (e->key == NULL || e->hash != hash)
            continue;
        bool same = has_key(d, n - 1, key, &moved);
        if (moved)
            i = 0;
        else if (same)
            return n - 1;
    }
    return d->used;
}

/* remove an entry */
static void drop_holes(gc_weakdict *d)
{
    while (d->used > 0 && d->entries[d->used - 1].key == NULL)
        d->used--;
    while (d->first < d->used && d->entries[d->first].key == NULL)
        d->first++;
    if (d->first > d->used)
        d->first = d->used;
}

static void remove_entry(gc_weakdict *d, size_t n)
{
    entry e = d->entries[n];

    d->entries[n].key = d->entries[n].value = NULL;
    d->length--;
    drop_holes(d);
    gc_decref(e.key);
    gc_xdecref(e.value);
}

static void entry_died(gc_weakref *ref, void *closure)
{
    gc_weakdict *d = gc_weakref_get(closure);
    size_t hash = ((filed *)ref)->hash, n;

    if (d == NULL)
        return;
    for (size_t i = 0; d->room && (n = *place(d, hash, i)) > 0; i++) {
        entry *e = &d->entries[n - 1];

        if (e->key != NULL && weak_half(d, e) == ref) {
            remove_entry(d, n - 1);
            break;
        }
    }
    gc_decref(d);
}

/* grow the table */
static size_t bytes_for(size_t room)
{
    return room * (sizeof(entry) + 2 * sizeof(size_t));
}

static void enter(gc_weakdict *d, const entry *e)
{
    size_t i = 0;

    while (*place(d, e->hash, i) > 0)
        i++;
    d->entries[d->used++] = *e;
    *place(d, e->hash, i) = d->used;
    d->filled++;
}

static bool grow(gc_weakdict *d)
{
    gc_heap *heap = gc_heap_of(d);
    gc_weakdict old = *d;
    size_t keep = d->iterations > 0 ? d->used : d->length, room = 4;

    while (room < 2 * keep)
        room *= 2;
    void *block = gc_allocate(heap, bytes_for(room));
    if (block == NULL)
        return false;
    memset(block, 0, bytes_for(room));
    d->entries = block;
    d->index = (size_t *)(void *)(d->entries + room);
    d->room = room;
    d->used = d->first = d->filled = 0;
    d->version++;
    /* enter what was in the old table */
    for (size_t n = 0; n < old.used; n++)
        if (old.entries[n].key != NULL)
            enter(d, &old.entries[n]);
        else if (d->iterations > 0)
            d->used++, d->filled++; /* a hole takes room, too */
    if (old.entries != NULL)
        gc_release(heap, old.entries, bytes_for(old.room));
    return true;
}

/* set an entry */
static bool is_dead(const gc_weakdict *d, const entry *e)
{
    return e->key != NULL && weak_half(d, e)->referent == NULL;
}

static void remove_dead(gc_weakdict *d)
{
    for (size_t n = d->used; n-- > 0;)
        if (n < d->used && is_dead(d, &d->entries[n]))
            remove_entry(d, n);
}

static gc_object *file_weakly(gc_weakdict *d, void *object, size_t hash)
{
    gc_weakref *closure = gc_weakref_new(d, NULL, NULL);
    filed *f = NULL;

    if (closure != NULL)
        f = gc_weakref_new_of(&filed_type, object, entry_died, closure);
    gc_xdecref(closure);
    if (f == NULL)
        return NULL;
    f->hash = hash;
    /* let the reference be from where the dictionary is */
    gc_note_place(f, gc_get_place(d));
    return &f->ref.base;
}

/* Enter a key or replace its value. What is left in e afterwards
 * is the caller's to give up. */
static bool enter_or_replace(gc_weakdict *d, entry *e, void *key)
{
    if (d->filled == d->room)
        remove_dead(d);
    size_t n = find(d, key, e->hash);

    if (n < d->used) {
        gc_object *old = d->entries[n].value;
        d->entries[n].value = e->value;
        e->value = old;
        return true;
    }
    if (d->filled == d->room && !grow(d))
        return false;
    enter(d, e);
    d->length++;
    e->key = e->value = NULL;
    return true;
}

bool gc_weakdict_set(gc_weakdict *d, void *key, void *value)
{
    bool weak = keys_are_weak(d);
    entry e;

    if ((value == NULL) != (d->base.type == &set_type)
        || !gc_hash(key, &e.hash))
        return false;
    gc_object *ref = file_weakly(d, weak ? key : value, e.hash);
    if (ref == NULL)
        return false;
    e.key = weak ? ref : hold(key, false);
    e.value = weak ? hold(value, false) : ref;
    bool done = enter_or_replace(d, &e, key);
    gc_xdecref(e.key);
    gc_xdecref(e.value);
    return done;
}

/* look up and take out */
static void *value_at(gc_weakdict *d, size_t n)
{
    return hold(d->entries[n].value, !keys_are_weak(d));
}

static bool look_up(gc_weakdict *d, void *key, size_t *n, void **value)
{
    size_t hash;

    *value = NULL;
    if (!gc_hash(key, &hash))
        return false;
    *n = find(d, key, hash);
    if (*n == d->used)
        return false;
    *value = value_at(d, *n);
    return *value != NULL || d->base.type == &set_type;
}

void *gc_weakdict_get(gc_weakdict *d, void *key)
{
    void *value;
    size_t n;

    look_up(d, key, &n, &value);
    return value;
}

bool gc_weakdict_contains(gc_weakdict *d, void *key)
{
    void *value;
    size_t n;
    bool found = look_up(d, key, &n, &value);

    gc_xdecref(value);
    return found;
}

bool gc_weakdict_delete(gc_weakdict *d, void *key)
{
    void *value;
    size_t n;
    bool found = look_up(d, key, &n, &value);

    if (found)
        remove_entry(d, n);
    gc_xdecref(value);
    return found;
}

void *gc_weakdict_pop(gc_weakdict *d, void *key)
{
    void *value;
    size_t n;

    if (look_up(d, key, &n, &value))
        remove_entry(d, n);
    return value;
}

void *gc_weakdict_setdefault(gc_weakdict *d, void *key, void *value)
{
    void *old = gc_weakdict_get(d, key);

    if (old != NULL)
        return old;
    return gc_weakdict_set(d, key, value) ? hold(value, false) : NULL;
}

size_t gc_weakdict_len(const gc_weakdict *d)
{
    return d->length;
}

/* go through the entries */
void gc_weakdict_begin(gc_weakdict_iter *it, gc_weakdict *d)
{
    *it = (gc_weakdict_iter) { .dict = gc_new_ref(d) };
    it->position = d->first;
    d->iterations++;
}

/* Hold the entry at this position; false if it is not alive. */
static bool take_hold(gc_weakdict_iter *it, size_t n)
{
    gc_weakdict *d = it->dict;

    gc_clear_field(&it->key);
    gc_clear_field(&it->value);
    if (n >= d->used || d->entries[n].key == NULL)
        return false;
    it->key = hold(d->entries[n].key, keys_are_weak(d));
    it->value = value_at(d, n);
    return it->key && (it->value || d->base.type == &set_type);
}

bool gc_weakdict_next(gc_weakdict_iter *it)
{
    void *key = it->key, *value = it->value;
    bool found = false;

    it->key = it->value = NULL;
    while (!found && it->position < it->dict->used)
        found = take_hold(it, it->position++);
    gc_xdecref(key);
    gc_xdecref(value);
    return found;
}

void gc_weakdict_end(gc_weakdict_iter *it)
{
    gc_clear_field(&it->key);
    gc_clear_field(&it->value);
    it->dict->iterations--;
    gc_clear_field(&it->dict);
}

bool gc_weakdict_popitem(gc_weakdict *d, void **key, void **value)
{
    gc_weakdict_iter it;
    bool found = false;
    size_t n = d->used;

    gc_weakdict_begin(&it, d);
    while (!found && n > 0) {
        found = take_hold(&it, --n);
        /* if the entry is dead, it goes */
        if (!found && n < d->used && is_dead(d, &d->entries[n]))
            remove_entry(d, n);
    }
    if (found) {
        *key = gc_new_ref(it.key);
        if (value != NULL)
            *value = hold(it.value, false);
        remove_entry(d, n);
    }
    gc_weakdict_end(&it);
    return found;
}

bool gc_weakdict_update(gc_weakdict *d, gc_weakdict *other)
{
    gc_weakdict_iter it;
    bool done = true;

    remove_dead(d);
    gc_weakdict_begin(&it, other);
    while (done && gc_weakdict_next(&it))
        done = gc_weakdict_set(d, it.key, it.value);
    gc_weakdict_end(&it);
    return done;
}

void gc_weakdict_clear(gc_weakdict *d)
{
    for (size_t n = d->used; n-- > 0;)
        if (n < d->used && d->entries[n].key != NULL)
            remove_entry(d, n);
}

/* the types of weak dictionaries */
static void weakdict_traverse(void *object, gc_visit *visit, void *arg)
{
    gc_weakdict *d = object;

    for (size_t n = 0; n < d->used; n++) {
        visit(d->entries[n].key, arg);
        visit(d->entries[n].value, arg);
    }
}

static void weakdict_clear(void *object)
{
    gc_weakdict_clear(object);
}

static void weakdict_destroy(void *object)
{
    gc_weakdict *d = object;

    if (d->entries != NULL)
        gc_release(gc_heap_of(d), d->entries, bytes_for(d->room));
}

static size_t weakdict_bytes(const void *object)
{
    return bytes_for(((const gc_weakdict *)object)->room);
}

#define WEAKDICT_TYPE(type_name) { \
    .name = type_name, .size = sizeof(gc_weakdict), \
    .weaklist_offset = offsetof(gc_weakdict, weaklist), \
    .traverse = weakdict_traverse, .clear = weakdict_clear, \
    .destroy = weakdict_destroy, .owned_bytes = weakdict_bytes }
static const gc_type
    valuedict_type = WEAKDICT_TYPE("WeakValueDictionary"),
    keydict_type = WEAKDICT_TYPE("WeakKeyDictionary"),
    set_type = WEAKDICT_TYPE("WeakSet");

gc_weakdict *gc_weakvaluedict_new(gc_heap *heap)
{
    return gc_new(heap, &valuedict_type);
}

gc_weakdict *gc_weakkeydict_new(gc_heap *heap)
{
    return gc_new(heap, &keydict_type);
}

gc_weakdict *gc_weakset_new(gc_heap *heap)
{
    return gc_new(heap, &set_type);
}
