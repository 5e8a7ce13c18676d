/* From chapter appendix E of The Invisible Janitor; made by make tangle. */
/* python.c: the world of CPython 3.11. It reads the interpreter's own
 * structs, to look without disturbing anything. */
/* include CPython's own headers */
#define Py_BUILD_CORE 1
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include "internal/pycore_gc.h"
#include "internal/pycore_interp.h"
#include "internal/pycore_object.h"
#include "internal/pycore_pystate.h"
#include "machine.h"

_Static_assert(sizeof(PyObject) == sizeof(void *[2]),
               "a node does not begin with a PyObject");

/* know what there is one of */
typedef struct _gc_runtime_state collector;

/* There is one interpreter, and so one of each of these. */
static struct machine *machine;
static size_t alive;
static int calls_left; /* of the callbacks for one dying object */
static PyObject *collect_function, *freeze_function,
    *unfreeze_function, *referrers_function, *referents_function,
    *tell_function;
static PyObject *latest_info; /* that tell() was given */

static collector *the_collector(void)
{
    return &_PyInterpreterState_GET()->gc;
}

/* empty the free lists */
/* Free a list of unused tuples, or the unused dictionaries. CPython
 * does it in each full collection, and takes each from count 0. */
static void empty_free_lists(Py_ssize_t tuple_size)
{
    struct _Py_tuple_state *tuples = &_PyInterpreterState_GET()->tuple;
    struct _Py_dict_state *dicts =
        &_PyInterpreterState_GET()->dict_state;
    int count = the_collector()->generations[0].count;
    PyTupleObject *t;

    while (dicts->numfree > 0)
        PyObject_GC_Del(dicts->free_list[--dicts->numfree]);
    while (tuple_size > 0
           && (t = tuples->free_list[tuple_size - 1]) != NULL) {
        tuples->free_list[tuple_size - 1] = (void *)t->ob_item[0];
        tuples->numfree[tuple_size - 1]--;
        PyObject_GC_Del(t);
    }
    the_collector()->generations[0].count = count;
}

/* Give up a tuple or a dictionary, to its free list. The trashcan might
 * keep it for later, if we are deep. */
static void give_up(PyObject *object)
{
    PyThreadState *thread = _PyThreadState_GET();
    int nesting = thread->trash_delete_nesting;

    thread->trash_delete_nesting = 1;
    Py_XDECREF(object);
    thread->trash_delete_nesting = nesting;
}

/* prepare the tuple of callbacks */
/* Have a tuple of this size ready, so that none need be allocated. */
static void prepare_tuple(Py_ssize_t size)
{
    collector *gc = the_collector();
    int collecting = gc->collecting, count = gc->generations[0].count;

    gc->collecting = 1;
    give_up(PyTuple_New(size));
    gc->collecting = collecting;
    gc->generations[0].count = count;
}

/* While callbacks are called their weak references are kept in a
 * tuple, and that is the latest object tracked. No longer. */
static void hide_tuple(void)
{
    PyGC_Head *young = &the_collector()->generations[0].head;
    PyGC_Head *last = _PyGCHead_PREV(young);

    if (last != young && PyTuple_CheckExact((PyObject *)(last + 1)))
        PyObject_GC_UnTrack(last + 1);
}

/* traverse and clear a Python node */
static int node_traverse(PyObject *self, visitproc visit, void *arg)
{
    struct node *n = (void *)self;

    for (int i = 0; i < SLOTS; i++)
        Py_VISIT((PyObject *)n->slots[i]);
    return 0;
}

static int node_clear(PyObject *self)
{
    struct node *n = (void *)self;

    for (int i = 0; i < SLOTS; i++) {
        PyObject *old = n->slots[i];
        n->slots[i] = NULL;
        Py_XDECREF(old);
    }
    return 0;
}

/* hear of Python's nodes */
static void node_finalize(PyObject *self)
{
    bool collected = _PyObject_IS_GC(self) && _PyGC_FINALIZED(self);

    on_finalizer((void *)self, FINALIZED,
                 collected ? FINALIZERS : BY_COUNT);
}

static void node_del(PyObject *self)
{
    Py_SET_REFCNT(self, 1);
    on_finalizer((void *)self, DELETED, BY_COUNT);
    Py_SET_REFCNT(self, Py_REFCNT(self) - 1);
}

/* tell Python's weak references */
/* Those with a callback come last on an object's list. */
static PyWeakReference *first_with_callback(struct node *n)
{
    PyWeakReference *ref = n->weaklist;

    while (ref != NULL && ref->wr_callback == NULL)
        ref = ref->wr_next;
    return ref;
}

static int keep(PyWeakReference *ref, PyObject **kept)
{
    int n = 0;

    for (; ref != NULL; ref = ref->wr_next) {
        kept[n++] = Py_NewRef((PyObject *)ref);
        kept[n++] = Py_NewRef(ref->wr_callback);
    }
    return n;
}

/* CPython keeps two references or more, with their callbacks, in a
 * tuple, which counts among the nested deaths, and gives them up from
 * the last to the first. One alone it does not keep. We keep them all
 * and give them up in that order, as the library does. */
static void tell_weakrefs(struct node *n)
{
    PyThreadState *thread = _PyThreadState_GET();
    int nesting = thread->trash_delete_nesting, outer = calls_left;
    PyObject *kept[8 * REFS_LIMIT];
    int size = keep(first_with_callback(n), kept);

    calls_left = size / 2;
    if (size > 2)
        prepare_tuple(size);
    PyObject_ClearWeakRefs((PyObject *)n);
    thread->trash_delete_nesting = nesting;
    if (size > 2)
        empty_free_lists(size);
    calls_left = outer;
    while (size > 0)
        Py_DECREF(kept[--size]);
}

/* After the last call the tuple dies; see that it dies at once. */
static void note_call(void)
{
    PyThreadState *thread = _PyThreadState_GET();

    if (--calls_left == 0 && thread->trash_delete_nesting >= 50)
        thread->trash_delete_nesting--;
}

/* let a Python node die */
static void free_node(PyObject *self)
{
    on_death((void *)self);
    alive--;
    PyObject_GC_Del(self);
}

/* The last words of a node; true if it lives. As subtype_dealloc. */
static bool last_words(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    struct node *n = (void *)self;

    if (type->tp_finalize != NULL) {
        PyObject_GC_Track(self);
        if (PyObject_CallFinalizerFromDealloc(self) < 0)
            return true;
        PyObject_GC_UnTrack(self);
    }
    tell_weakrefs(n);
    if (type->tp_del != NULL) {
        PyObject_GC_Track(self);
        type->tp_del(self);
        if (Py_REFCNT(self) > 0)
            return true;
        PyObject_GC_UnTrack(self);
    }
    while (n->weaklist != NULL)
        _PyWeakref_ClearRef(n->weaklist);
    return false;
}

static void node_dealloc(PyObject *self)
{
    PyObject_GC_UnTrack(self);
    Py_TRASHCAN_BEGIN(self, node_dealloc)
    if (!last_words(self)) {
        node_clear(self);
        free_node(self);
    }
    Py_TRASHCAN_END
}

/* The same for an atom, without the collector. As CPython has no place
 * to note that a finalizer was run, it runs each time. */
static void atom_dealloc(PyObject *self)
{
    struct node *n = (void *)self;

    if (PyObject_CallFinalizerFromDealloc(self) < 0)
        return;
    tell_weakrefs(n);
    while (n->weaklist != NULL)
        _PyWeakref_ClearRef(n->weaklist);
    on_death(n);
    alive--;
    PyObject_Free(self);
}

/* call a Python node */
/* A node is called: a weak reference has lost its referent. In a
 * collection the reference still has its callback then. */
static PyObject *node_call(PyObject *self, PyObject *const *args,
                           size_t number, PyObject *names)
{
    PyWeakReference *ref = (void *)args[0];
    bool by_count = ref->wr_callback == NULL;

    (void)number, (void)names;
    if (by_count)
        hide_tuple();
    on_callback((void *)self, ref, (size_t)ref->hash,
                by_count ? BY_COUNT : CALLBACKS);
    if (by_count)
        note_call();
    Py_RETURN_NONE;
}

/* define Python's types */
#define TYPE(type_name, flags)                                     \
    PyVarObject_HEAD_INIT(NULL, 0)                                 \
    .tp_name = type_name, .tp_basicsize = sizeof(struct node),     \
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL    \
                | (flags),                                         \
    .tp_call = PyVectorcall_Call,                                  \
    .tp_vectorcall_offset = offsetof(struct node, call),           \
    .tp_weaklistoffset = offsetof(struct node, weaklist)
#define NODE_TYPE(type_name)                                       \
    TYPE(type_name, Py_TPFLAGS_HAVE_GC),                           \
    .tp_dealloc = node_dealloc, .tp_traverse = node_traverse,      \
    .tp_clear = node_clear

static PyTypeObject types[KINDS] = {
    [PLAIN] = { NODE_TYPE("plain") },
    [FINALIZER] = { NODE_TYPE("finalizer"),
                    .tp_finalize = node_finalize },
    [LEGACY] = { NODE_TYPE("legacy"), .tp_del = node_del },
    [ATOM] = { TYPE("atom", 0), .tp_dealloc = atom_dealloc,
               .tp_finalize = node_finalize },
};

/* hear of Python's collections */
/* The dictionary that tells of a collection was just allocated: there
 * is none on the free list, as we keep the latest and free it later. */
static PyObject *tell(PyObject *module, PyObject *const *args,
                      Py_ssize_t number)
{
    bool start = PyUnicode_READ_CHAR(args[0], 2) == 'a';
    PyObject *info = args[1];

    (void)module, (void)number;
    the_collector()->generations[0].count--;
    give_up(latest_info);
    empty_free_lists(0);
    latest_info = Py_NewRef(info);
    on_collection(machine, start,
        (int)PyLong_AsLong(PyDict_GetItemString(info, "generation")),
        PyLong_AsSize_t(PyDict_GetItemString(info, "collected")),
        PyLong_AsSize_t(PyDict_GetItemString(info, "uncollectable")));
    Py_RETURN_NONE;
}

static PyMethodDef tell_method = {
    "tell", (PyCFunction)(void *)tell, METH_FASTCALL, NULL
};

/* begin Python's world */
/* Put all there is where nobody will look: not even gc.unfreeze. */
static void hide_everything(void)
{
    static PyGC_Head hidden;
    PyGC_Head *frozen = &the_collector()->permanent_generation.head;
    PyGC_Head *first, *last;

    Py_DECREF(PyObject_CallNoArgs(freeze_function));
    first = _PyGCHead_NEXT(frozen);
    last = _PyGCHead_PREV(frozen);
    _PyGCHead_SET_NEXT(&hidden, first);
    _PyGCHead_SET_PREV(first, &hidden);
    _PyGCHead_SET_NEXT(last, &hidden);
    _PyGCHead_SET_PREV(&hidden, last);
    _PyGCHead_SET_NEXT(frozen, frozen);
    _PyGCHead_SET_PREV(frozen, frozen);
}

static destructor free_ref, free_proxy;

static void ref_dealloc(PyObject *ref)
{
    free_ref(ref);
    alive--;
}

static void proxy_dealloc(PyObject *proxy)
{
    free_proxy(proxy);
    alive--;
}

/* Count the weak references that die; nodes can be called, and so can
 * their proxies. */
static void watch_weakrefs(void)
{
    free_ref = _PyWeakref_RefType.tp_dealloc;
    free_proxy = _PyWeakref_CallableProxyType.tp_dealloc;
    _PyWeakref_RefType.tp_dealloc = ref_dealloc;
    _PyWeakref_CallableProxyType.tp_dealloc = proxy_dealloc;
}

static void get_ready(void)
{
    PyObject *gc;

    Py_InitializeEx(0);
    gc = PyImport_ImportModule("gc");
    collect_function = PyObject_GetAttrString(gc, "collect");
    freeze_function = PyObject_GetAttrString(gc, "freeze");
    unfreeze_function = PyObject_GetAttrString(gc, "unfreeze");
    referrers_function = PyObject_GetAttrString(gc, "get_referrers");
    referents_function = PyObject_GetAttrString(gc, "get_referents");
    tell_function = PyCFunction_New(&tell_method, NULL);
    watch_weakrefs();
    for (int i = 0; i < KINDS; i++)
        PyType_Ready(&types[i]);
}

static void begin(struct machine *m)
{
    collector *gc;

    get_ready();
    gc = the_collector();
    Py_DECREF(PyObject_CallNoArgs(collect_function));
    hide_everything();
    memset(gc->generation_stats, 0, sizeof gc->generation_stats);
    gc->long_lived_total = gc->long_lived_pending = 0;
    machine = m;
    PyList_Append(gc->callbacks, tell_function);
    empty_free_lists(0);
    gc->generations[0].count = 0;
}

/* serve the machine in Python */
static void *make(struct machine *m, enum kind kind)
{
    PyTypeObject *type = &types[kind];
    struct node *n = PyType_IS_GC(type)
        ? PyObject_GC_New(struct node, type)
        : PyObject_New(struct node, type);

    (void)m;
    memset(n->head + 2, 0, sizeof *n - sizeof n->head);
    n->call = (void *)node_call;
    alive++;
    if (PyType_IS_GC(type))
        PyObject_GC_Track(n);
    return n;
}

static void *make_ref(void *object, void *closure, bool proxy,
                      size_t id)
{
    PyWeakReference *ref = (void *)
        (proxy ? PyWeakref_NewProxy
               : PyWeakref_NewRef)(object, closure);

    if (ref->hash == -1) {
        ref->hash = (Py_hash_t)id;
        alive++;
    }
    return ref;
}

static size_t count_refs(void *object)
{
    struct node *n = object;

    return (size_t)_PyWeakref_GetWeakrefCount(n->weaklist);
}

static void *follow(void *ref)
{
    PyObject *object = PyWeakref_GetObject(ref);

    return object == Py_None ? NULL : Py_NewRef(object);
}

static bool is_ref(void *object)
{
    return PyWeakref_Check((PyObject *)object);
}

static void incref(void *object)
{
    Py_INCREF((PyObject *)object);
}

static void decref(void *object)
{
    Py_DECREF((PyObject *)object);
}

static size_t collect(struct machine *m, int generation)
{
    PyObject *g = PyLong_FromLong(generation);
    PyObject *found = PyObject_CallOneArg(collect_function, g);
    size_t n = PyLong_AsSize_t(found);

    (void)m;
    Py_DECREF(g);
    Py_DECREF(found);
    return n;
}

static void set(struct machine *m, enum setting setting, bool on)
{
    (void)m;
    if (setting == ENABLED)
        (void)(on ? PyGC_Enable() : PyGC_Disable());
    else if (setting == SAVING)
        the_collector()->debug = on ? 32 : 0;
    else
        Py_DECREF(PyObject_CallNoArgs(on ? freeze_function
                                         : unfreeze_function));
}

static void set_threshold(struct machine *m, const size_t limits[3])
{
    (void)m;
    for (int g = 0; g < 3; g++)
        the_collector()->generations[g].threshold = (int)limits[g];
}

static void *garbage_item(struct machine *m, size_t i)
{
    PyObject *list = the_collector()->garbage;

    (void)m;
    return (Py_ssize_t)i < PyList_GET_SIZE(list)
        ? PyList_GET_ITEM(list, i) : NULL;
}

static void garbage_clear(struct machine *m)
{
    (void)m;
    PyList_SetSlice(the_collector()->garbage, 0, PY_SSIZE_T_MAX, NULL);
}

/* look at Python's objects */
static void *next(struct machine *m, int generation, void *object)
{
    collector *gc = the_collector();
    PyGC_Head *list = generation < NUM_GENERATIONS
        ? &gc->generations[generation].head
        : &gc->permanent_generation.head;
    PyGC_Head *head = _PyGCHead_NEXT(object ? _Py_AS_GC(object) : list);

    (void)m;
    return head == list ? NULL : head + 1;
}

static size_t id_of(void *object)
{
    if (object == NULL || object == Py_None)
        return 0;
    return is_ref(object)
        ? ref_id((size_t)((PyWeakReference *)object)->hash)
        : ((struct node *)object)->id;
}

static void look(void *object, struct seen *seen)
{
    PyWeakReference *ref = object;
    struct node *n = object;

    *seen = (struct seen) {
        id_of(object), (size_t)Py_REFCNT((PyObject *)object),
        (size_t)PyObject_GC_IsFinalized(object),
        (size_t)PyObject_GC_IsTracked(object), { 0 } };
    if (is_ref(object)) {
        seen->slots[0] = id_of(ref->wr_object);
        seen->slots[1] = id_of(ref->wr_callback);
        return;
    }
    for (int i = 0; i < SLOTS; i++)
        seen->slots[i] = id_of(n->slots[i]);
}

static void look_around(struct machine *m, struct state *state)
{
    collector *gc = the_collector();

    (void)m;
    for (int g = 0; g < 3; g++) {
        struct gc_generation_stats *s = &gc->generation_stats[g];
        state->count[g] = (size_t)gc->generations[g].count;
        state->threshold[g] = (size_t)gc->generations[g].threshold;
        state->collections[g] = (size_t)s->collections;
        state->collected[g] = (size_t)s->collected;
        state->uncollectable[g] = (size_t)s->uncollectable;
    }
    state->alive = alive;
    state->enabled = gc->enabled;
    state->total = (size_t)gc->long_lived_total;
    state->pending = (size_t)gc->long_lived_pending;
    state->garbage = (size_t)PyList_GET_SIZE(gc->garbage);
}

/* ask Python for references */
/* Call a function of the gc module that returns a list, and copy the
 * numbers of what is in it. */
static size_t ask(PyObject *function, PyObject *object, size_t *ids)
{
    struct _Py_list_state *lists = &_PyInterpreterState_GET()->list;
    collector *gc = the_collector();
    int count = gc->generations[0].count;
    size_t found;

    gc->collecting = 1;
    PyObject *list = PyObject_CallOneArg(function, object);
    found = (size_t)PyList_GET_SIZE(list);
    for (size_t i = 0; i < found; i++)
        ids[i] = id_of(PyList_GET_ITEM(list, i));
    Py_DECREF(list);
    while (lists->numfree > 0)
        PyObject_GC_Del(lists->free_list[--lists->numfree]);
    empty_free_lists(1);
    gc->generations[0].count = count;
    gc->collecting = 0;
    return found;
}

static size_t referrers(struct machine *m, void *object, size_t *ids)
{
    (void)m;
    return ask(referrers_function, object, ids);
}

static size_t referents(struct machine *m, void *object, size_t *ids)
{
    (void)m;
    return ask(referents_function, object, ids);
}

const struct world python_world = {
    "python", begin, make, make_ref, count_refs, follow, is_ref,
    incref, decref, collect, set, set_threshold, garbage_item,
    garbage_clear, next, look, look_around, referrers, referents,
};
