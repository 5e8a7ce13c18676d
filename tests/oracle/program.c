/* From chapter appendix E of The Invisible Janitor; made by make tangle. */
/* program.c: random programs, and how they are written. */
#include "program.h"

/* weigh and write each code */
/* Of each code: how often it comes, as a step and as an action; and
 * what it is in C and in Python, where $a, $b, $c are its operands as
 * variables, $0, $1, $2 as numbers, and $k, $x the kind of a node and
 * what it does. */
static const struct {
    unsigned weight, weight_as_action;
    const char *c, *python;
} codes[CODES] = {
    /* weigh what is done with nodes */
    [NOTHING] = { 0, 30, "", "pass" },
    [MAKE] = { 160, 10, "put($a, new_node(heap, $k, $x));",
               "$a = $k($x)" },
    [CHAIN] = { 2, 0, "put($a, new_chain(heap, $1, $x));",
                "$a = chain($1, $x)" },
    [LINK] = { 200, 12, "gc_set_field(&$a->slots[$2], $b);",
               "$a.s$2 = $b" },
    [UNLINK] = { 30, 12, "gc_clear_field(&$a->slots[$2]);",
                 "$a.s$2 = None" },
    [LOAD] = { 60, 8, "put($a, new_ref($b->slots[$2]));",
               "$a = $b.s$2" },
    [COPY] = { 20, 12, "put($a, new_ref($b));", "$a = $b" },
    [DROP] = { 100, 12, "put($a, NULL);", "$a = None" },
    /* weigh what is done with weak references */
    [WEAK] = { 25, 4, "put($a, gc_weakref_new($b, NULL, NULL));",
               "$a = weakref.ref($b)" },
    [WATCH] = { 60, 6, "put($a, gc_weakref_new($b, call, $c));",
                "$a = weakref.ref($b, $c)" },
    [LISTEN] = { 40, 4, "hold(gc_weakref_new($b, call, $c));",
                 "held.append(weakref.ref($b, $c))" },
    [PROXY] = { 10, 4, "put($a, gc_proxy_new($b, NULL, NULL));",
                "$a = weakref.proxy($b)" },
    [LISTEN_PROXY] = { 15, 4, "hold(gc_proxy_new($b, call, $c));",
                       "held.append(weakref.proxy($b, $c))" },
    [FOLLOW] = { 25, 6, "put($a, gc_weakref_get($b));", "$a = $b()" },
    /* weigh what is done with the collector */
    [COLLECT] = { 14, 8, "gc_collect_generation(heap, $0);",
                  "gc.collect($0)" },
    [THRESHOLD] = { 3, 1, "gc_set_threshold(heap, LIMITS[$0]);",
                    "gc.set_threshold(*LIMITS[$0])" },
    [ENABLE] = { 3, 1, "gc_set_enabled(heap, $0);",
                 "gc.enable() if $0 else gc.disable()" },
    [FREEZE] = { 1, 1, "gc_freeze(heap);", "gc.freeze()" },
    [UNFREEZE] = { 3, 1, "gc_unfreeze(heap);", "gc.unfreeze()" },
    [SAVEALL] = { 3, 1, "gc_set_debug(heap, $0 * GC_DEBUG_SAVEALL);",
                  "gc.set_debug($0 * gc.DEBUG_SAVEALL)" },
    [FORGET] = { 3, 2, "gc_garbage_clear(heap);",
                 "gc.garbage.clear()" },
    [BREAK] = { 6, 1, "break_garbage(heap);", "break_garbage()" },
    [HOLD] = { 0, 40, "hold($a);", "held.append($a)" },
    [RESTART] = { 3, 0, "restart(heap);", "restart()" },
    [SHED] = { 0, 15, "shed(ref);",
               "ref in held and held.remove(ref)" },
    [RELEASE] = { 50, 4, "release_eldest();", "release_eldest()" },
};

/* throw the dice */
struct dice {
    uint64_t state;
    bool tame;
};

static unsigned draw(struct dice *d, unsigned limit)
{
    d->state = d->state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)((d->state >> 33) % limit);
}

static unsigned weight(unsigned code, bool action)
{
    return action ? codes[code].weight_as_action : codes[code].weight;
}

/* draw a step */
static unsigned char draw_code(struct dice *d, bool action)
{
    unsigned sum = 0, code = 0;

    for (unsigned i = 0; i < CODES; i++)
        sum += weight(i, action);
    for (unsigned n = draw(d, sum); n >= weight(code, action); code++)
        n -= weight(code, action);
    return (unsigned char)code;
}

static unsigned char draw_place(struct dice *d, bool action)
{
    if (action && draw(d, 3) == 0)
        return (unsigned char)(SELF + draw(d, 2));
    return (unsigned char)draw(d, VARS);
}

static bool assigns(unsigned code)
{
    return code != LINK && code != UNLINK && code != HOLD;
}

static bool is_tame(unsigned code)
{
    return code == NOTHING || code == HOLD || code == SHED;
}

/* Some operands are small numbers. */
static void make_small(struct step *s)
{
    if (s->code == LINK || s->code == UNLINK || s->code == LOAD)
        s->c %= SLOTS;
    else if (s->code == COLLECT)
        s->a %= 3;
    else if (s->code == THRESHOLD)
        s->a %= 8;
    else if (s->code == ENABLE)
        s->a = s->a % 4 != 0;
    else if (s->code == SAVEALL)
        s->a = s->a % 4 == 0;
    else if (s->code == HOLD)
        s->a = SELF;
    else if (s->code == CHAIN)
        s->b %= 10;
}

static struct step draw_step(struct dice *d, bool action)
{
    struct step s = { .code = draw_code(d, action) };

    while (action && d->tame && !is_tame(s.code))
        s.code = draw_code(d, action);
    s.a = assigns(s.code) ? (unsigned char)draw(d, VARS)
                          : draw_place(d, action);
    s.b = draw_place(d, action);
    s.c = draw_place(d, action);
    make_small(&s);
    return s;
}

/* draw a program */
static void draw_kind(struct dice *d, struct step *s, bool action)
{
    unsigned n = draw(d, 20);

    if (s->code == MAKE)
        s->b = action || n < 10 ? PLAIN : n < 17 ? FINALIZER
            : n < 19 ? ATOM : LEGACY;
}

void program_make(struct op *ops, size_t length, uint64_t seed,
                  bool tame)
{
    struct dice d = { seed * 0x9E3779B97F4A7C15u + 1, tame };

    for (int i = 0; i < 4; i++)
        draw(&d, 2);
    for (size_t i = 0; i < length; i++) {
        ops[i].step = draw_step(&d, false);
        ops[i].action = draw_step(&d, true);
        draw_kind(&d, &ops[i].step, false);
        draw_kind(&d, &ops[i].action, true);
    }
}

/* begin a program on paper */
static const char c_prelude[] =
    "    /* v0 to v15 are variables; put() gives up what was there.\n"
    "     * DO() is what a finalizer or callback does, with self. */\n";

static const char python_nodes[] =
    "import gc, weakref\n"
    "LIMITS = [(700, 10, 10), (5, 1, 1), (10, 2, 0), (3, 2, 3),\n"
    "          (0, 1, 1), (1, 0, 0), (7, 4, 1), (20, 1, 2)]\n"
    "held = []\n"
    "class Plain:\n"
    "    __slots__ = 's0', 's1', 's2', 'does', '__weakref__'\n"
    "    def __init__(self, does='pass'):\n"
    "        self.s0 = self.s1 = self.s2 = None\n"
    "        self.does = does\n"
    "    def __call__(self, ref=None):\n"
    "        g = globals()\n"
    "        g['self'], g['ref'] = self, ref\n"
    "        exec(self.does, g)\n"
    "        g['self'] = g['ref'] = None\n"
    "class Finalizer(Plain):\n"
    "    __slots__ = ()\n"
    "    def __del__(self): self()\n"
    "class Legacy(Plain): __slots__ = () # with tp_del, in C alone\n"
    "Atom = Finalizer # but without references, in C alone\n";

static const char python_rest[] =
    "def chain(n, does='pass'):\n"
    "    first = Finalizer(does)\n"
    "    for i in range(40 + 8 * n):\n"
    "        new = (Plain if i % 3 else Finalizer)(does)\n"
    "        new.s0, first = first, new\n"
    "    return first\n"
    "def release_eldest(): held and held.pop(0)\n"
    "def break_garbage():\n"
    "    for o in gc.garbage: o.s0 = o.s1 = o.s2 = None\n"
    "    gc.garbage.clear()\n"
    "def restart():\n"
    "    for i in range(16): globals()[f'v{i}'] = None\n"
    "    while held: held.pop(0)\n"
    "    gc.unfreeze()\n"
    "restart()\n";

/* write a step */
static void print_step(FILE *out, const struct op *op, bool python);

static void print_place(FILE *out, unsigned place)
{
    if (place < VARS)
        fprintf(out, "v%u", place);
    else
        fputs(place == SELF ? "self" : "ref", out);
}

static void print_action(FILE *out, const struct op *op, bool python)
{
    const struct op action = { .step = op->action };

    if (action.step.code == NOTHING) {
        fputs(python ? "" : "NULL", out);
        return;
    }
    fputs(python ? "'" : "DO(", out);
    print_step(out, &action, python);
    fputs(python ? "'" : ")", out);
}

static void print_operand(FILE *out, const struct op *op, char which,
                          bool python)
{
    static const char *const kinds[][2] = {
        { "PLAIN", "Plain" }, { "FINALIZER", "Finalizer" },
        { "LEGACY", "Legacy" }, { "ATOM", "Atom" } };
    const unsigned char operands[3] = {
        op->step.a, op->step.b, op->step.c };

    if (which == 'k')
        fputs(kinds[op->step.b][python], out);
    else if (which == 'x')
        print_action(out, op, python);
    else if (which >= 'a')
        print_place(out, operands[which - 'a']);
    else
        fprintf(out, "%u", operands[which - '0']);
}

static void print_step(FILE *out, const struct op *op, bool python)
{
    const char *text = python ? codes[op->step.code].python
                              : codes[op->step.code].c;

    for (; *text; text++)
        if (*text == '$')
            print_operand(out, op, *++text, python);
        else
            fputc(*text, out);
}

/* write a program */
static void print(FILE *out, const struct op *ops, size_t length,
                  bool python)
{
    fputs(python ? python_nodes : c_prelude, out);
    fputs(python ? python_rest : "", out);
    for (size_t i = 0; i < length; i++) {
        fputs(python ? "" : "    ", out);
        print_step(out, &ops[i], python);
        fputc('\n', out);
    }
}

void program_print_c(FILE *out, const struct op *ops, size_t length)
{
    print(out, ops, length, false);
}

void program_print_python(FILE *out, const struct op *ops,
                          size_t length)
{
    print(out, ops, length, true);
}
