/* From chapters 7, 8 and 9 of The Invisible Janitor; made by make tangle. */
/* weakref.c: references that keep nothing alive. */
#include "internal.h"

/* make weak references */
void *gc_weakref_get(const gc_weakref *ref)
{
    gc_object *o = ref->referent;

    return o != NULL && o->refcount > 0 ? gc_new_ref(o) : NULL;
}

static bool is_shared(const gc_weakref *ref)
{
    return ref->callback == NULL && (ref->base.type == &gc_weakref_type
        || ref->base.type == &gc_proxy_type);
}

static gc_weakref *find_shared(gc_object *o, const gc_type *type)
{
    gc_weakref *ref = *weaklist_of(o);

    for (; ref != NULL && is_shared(ref); ref = ref->next)
        if (ref->base.type == type)
            return ref;
    return NULL;
}

/* Put a reference on its referent's list: the shared ones come first,
 * and the others the latest first. */
static void enlist(gc_weakref *ref)
{
    gc_weakref **first = weaklist_of(ref->referent), *after = NULL;
    bool leads = is_shared(ref) && ref->base.type == &gc_weakref_type;

    if (!leads)
        for (gc_weakref *r = *first; r && is_shared(r); r = r->next)
            after = r;
    ref->prev = after;
    ref->next = after != NULL ? after->next : *first;
    if (ref->next != NULL)
        ref->next->prev = ref;
    if (after != NULL)
        after->next = ref;
    else
        *first = ref;
}

static bool may_be_referred_to(const gc_object *o)
{
    /* some objects have no weak references for the time being */
    if (head_of(o)->pooled)
        return false;
    return o->type->weaklist_offset != 0 && o->refcount > 0;
}

static bool can_refer_weakly(const gc_type *type)
{
    return type->size >= sizeof(gc_weakref)
        && type->traverse != NULL && type->clear != NULL;
}

/* make a weak reference */
void *gc_weakref_new_of(const gc_type *type, void *object,
                        gc_weakref_callback *callback, void *closure)
{
    gc_object *o = object;
    gc_weakref *ref;

    if (!may_be_referred_to(o) || !can_refer_weakly(type))
        return NULL;
    /* return the shared reference, if there is one */
    if (callback == NULL && (ref = find_shared(o, type)) != NULL)
        return gc_new_ref(ref);
    ref = gc_new(gc_heap_of(o), type);
    if (ref == NULL)
        return NULL;
    /* somebody may have made the shared one meanwhile */
    if (callback == NULL && find_shared(o, type) != NULL) {
        gc_decref(ref);
        return gc_new_ref(find_shared(o, type));
    }
    ref->referent = o;
    ref->callback = callback;
    ref->closure = closure;
    gc_xincref(closure);
    head_of(ref)->weakref = true;
    enlist(ref);
    return ref;
}

gc_weakref *gc_weakref_new(void *object, gc_weakref_callback *callback,
                           void *closure)
{
    return gc_weakref_new_of(&gc_weakref_type, object, callback,
                             closure);
}

/* equal and hashed references */
bool gc_weakref_equal(void *object, void *other)
{
    gc_object *a, *b;
    bool equal = object == other;

    if (!is_weakref(other))
        return false;
    a = gc_weakref_get(object);
    b = gc_weakref_get(other);
    if (a != NULL && b != NULL)
        equal = gc_equal(a, b);
    gc_xdecref(a);
    gc_xdecref(b);
    return equal;
}

bool gc_weakref_hash(void *object, size_t *hash)
{
    gc_weakref *ref = object;
    gc_object *o = ref->hashed ? NULL : gc_weakref_get(ref);

    if (o != NULL)
        ref->hashed = gc_hash(o, &ref->hash);
    gc_xdecref(o);
    *hash = ref->hash;
    return ref->hashed;
}

static void weakref_repr(const void *object, char *text, size_t size)
{
    const gc_object *o = ((const gc_weakref *)object)->referent;

    if (o != NULL && size > 3)
        gc_describe(o, strcpy(text, "to ") + 3, size - 3);
    else
        snprintf(text, size, "dead");
}

const gc_type gc_weakref_type = {
    .name = "weakref", .size = sizeof(gc_weakref),
    .traverse = gc_weakref_traverse, .clear = gc_weakref_clear,
    .equal = gc_weakref_equal, .hash = gc_weakref_hash,
    .repr = weakref_repr,
};

/* ask about weak references */
gc_weakref_callback *gc_weakref_get_callback(const gc_weakref *ref)
{
    return ref->referent != NULL ? ref->callback : NULL;
}

size_t gc_getweakrefs(void *object, gc_weakref **refs, size_t room)
{
    gc_object *o = object;
    size_t number = 0;

    if (o->type->weaklist_offset == 0)
        return 0;
    for (gc_weakref *r = *weaklist_of(o); r != NULL; r = r->next)
        if (r->base.refcount > 0 && number++ < room)
            refs[number - 1] = r;
    return number;
}

size_t gc_getweakrefcount(void *object)
{
    return gc_getweakrefs(object, NULL, 0);
}

/* proxies */
static bool no_hash(void *object, size_t *hash)
{
    (void)object, (void)hash;
    return false;
}

const gc_type gc_proxy_type = {
    .name = "weakproxy", .size = sizeof(gc_weakref),
    .traverse = gc_weakref_traverse, .clear = gc_weakref_clear,
    .hash = no_hash, .repr = weakref_repr,
};

bool gc_is_proxy(const void *object)
{
    return ((const gc_object *)object)->type == &gc_proxy_type;
}

gc_weakref *gc_proxy_new(void *object, gc_weakref_callback *callback,
                         void *closure)
{
    return gc_weakref_new_of(&gc_proxy_type, object, callback, closure);
}

bool gc_proxy_call(gc_weakref *proxy,
                   void (*function)(void *object, void *arg),
                   void *arg)
{
    gc_heap *heap = gc_heap_of(proxy);
    gc_object *o = gc_weakref_get(proxy);

    if (o == NULL)
        return false;
    heap->busy++;
    function(o, arg);
    heap->busy--;
    gc_decref(o);
    return true;
}

/* run a function when an object dies */
struct gc_finalizer {
    gc_object base;
    gc_weakref *ref; /* its closure is this object */
    void (*function)(void *arg);
    void *arg;
    bool alive, atexit;
    bool chosen;        /* what atexit was when they were chosen */
    unsigned selection; /* in which of the selections that was */
    gc_finalizer *older, *newer;
};

static const gc_type finalizer_type = {
    .name = "finalizer", .size = sizeof(gc_finalizer),
    .fields = (const gc_field[]) {
        GC_FIELD(gc_finalizer, ref), GC_END },
};

static void referent_died(gc_weakref *ref, void *closure)
{
    (void)ref;
    gc_finalizer_call(closure);
}

gc_finalizer *gc_finalize(void *object, void (*function)(void *arg),
                          void *arg)
{
    gc_heap *heap = gc_heap_of(object);
    gc_finalizer *f;

    if (heap->shut_down || !(f = gc_new(heap, &finalizer_type)))
        return NULL;
    f->ref = gc_weakref_new(object, referent_died, f);
    if (f->ref == NULL) {
        gc_decref(f);
        return NULL;
    }
    /* register the finalizer with its heap */
    f->function = function;
    f->arg = arg;
    f->alive = f->atexit = true;
    f->older = heap->newest;
    if (heap->newest != NULL)
        heap->newest->newer = f;
    heap->newest = f;
    heap->reselect = true;
    return f;
}

bool gc_finalizer_detach(gc_finalizer *f)
{
    gc_heap *heap = gc_heap_of(f);

    if (!f->alive)
        return false;
    f->alive = false;
    if (f->newer != NULL)
        f->newer->older = f->older;
    else
        heap->newest = f->older;
    if (f->older != NULL)
        f->older->newer = f->newer;
    if (heap->next_at_exit == f)
        heap->next_at_exit = f->older;
    f->older = f->newer = NULL;
    gc_clear_field(&f->ref);
    gc_decref(f);
    return true;
}

bool gc_finalizer_is_alive(const gc_finalizer *f)
{
    return f->alive;
}

void *gc_finalizer_peek(const gc_finalizer *f)
{
    return f->ref != NULL ? gc_weakref_get(f->ref) : NULL;
}

void gc_finalizer_set_atexit(gc_finalizer *f, bool atexit)
{
    gc_heap *heap = gc_heap_of(f);

    if (f->selection != heap->selection)
        f->chosen = f->atexit;
    f->selection = heap->selection;
    f->atexit = atexit;
}

bool gc_finalizer_call(gc_finalizer *f)
{
    gc_heap *heap = gc_heap_of(f);
    void (*function)(void *arg) = f->function;
    void *arg = f->arg;

    if (!gc_finalizer_detach(f))
        return false;
    heap->busy++;
    if (!heap->shut_down)
        function(arg);
    heap->busy--;
    return true;
}

static bool is_chosen(const gc_heap *heap, const gc_finalizer *f)
{
    return f->selection == heap->selection ? f->chosen : f->atexit;
}

static gc_finalizer *next_at_exit(gc_heap *heap)
{
    gc_finalizer *f;

    if (heap->reselect) {
        heap->reselect = false;
        heap->selection++;
        heap->next_at_exit = heap->newest;
    }
    while ((f = heap->next_at_exit) != NULL && !is_chosen(heap, f))
        heap->next_at_exit = f->older;
    return f;
}

void gc_exit_finalizers(gc_heap *heap)
{
    bool disabled = heap->disabled;
    gc_finalizer *f;

    heap->disabled = heap->reselect = true;
    while ((f = next_at_exit(heap)) != NULL)
        gc_finalizer_call(f);
    heap->disabled = disabled;
    heap->shut_down = true;
    while (heap->newest != NULL)
        gc_finalizer_detach(heap->newest);
}

gc_finalizer *gc_finalize_at(void *object, void (*function)(void *arg),
                             void *arg, gc_place place)
{
    gc_finalizer *f = gc_finalize(object, function, arg);

    if (f != NULL)
        gc_note_place(f->ref, place);
    return gc_note_place(f, place);
}
