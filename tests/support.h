/* From chapters 1 and 2 of The Invisible Janitor; made by make tangle. */
/* support.h: what the test programs share. */
#ifndef SUPPORT_H
#define SUPPORT_H

#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "janitor.h"

/* a node */
typedef struct node {
    gc_object base;
    const char *name;
    struct node *left, *right;
} node;

static const gc_field node_fields[] = {
    GC_FIELD(node, left), GC_FIELD(node, right), GC_END
};

static void node_repr(const void *object, char *text, size_t size)
{
    const node *n = object;

    snprintf(text, size, "%s", n->name != NULL ? n->name : "?");
}

static const gc_type node_type = {
    .name = "node", .size = sizeof(node),
    .fields = node_fields, .repr = node_repr,
};

static inline node *new_node(gc_heap *heap, const char *name)
{
    node *n = gc_new(heap, &node_type);

    if (n != NULL)
        n->name = name;
    return n;
}

/* an allocator on a budget */
typedef struct budget {
    size_t left;   /* allocations that will succeed */
    size_t fails;  /* the number of one that fails; 0: none */
    size_t calls;  /* how many allocations were asked for */
    size_t blocks; /* that are out at the moment */
    size_t bytes;  /* of these */
} budget;

/* What stands in front of every block. */
typedef struct label {
    size_t size, room; /* of the block; for the label */
} label;

static inline void *budget_allocate(void *context, size_t size,
                                    size_t alignment)
{
    size_t room = sizeof(label);
    budget *b = context;

    if (++b->calls == b->fails || b->left == 0)
        return NULL;
    b->left--;
    b->blocks++;
    b->bytes += size;
    if (room < alignment)
        room = alignment;
    size_t whole = (room + size + room - 1) / room * room;
    char *block = (char *)aligned_alloc(room, whole) + room;
    ((label *)(void *)block)[-1] = (label) { size, room };
    return block;
}

static inline void budget_release(void *context, void *block,
                                  size_t size)
{
    label *l = (label *)block - 1;
    budget *b = context;

    assert_int_equal(size, l->size);
    b->blocks--;
    b->bytes -= size;
    memset(block, 0xDB, size);
    free((char *)block - l->room);
}

static inline gc_allocator on_budget(budget *b)
{
    return (gc_allocator) { budget_allocate, budget_release, b };
}

/* try with each allocation failing in turn */
typedef struct trial {
    void (*prepare)(gc_heap *heap);
    bool (*act)(gc_heap *heap); /* did it succeed? */
    void (*look)(bool succeeded); /* and give everything back */
} trial;

#ifdef GC_CHECK
enum { KEEPS_THE_DEAD = true };
#else
enum { KEEPS_THE_DEAD = false };
#endif

/* Act with the n-th allocation failing; was there one? */
static inline bool try_failing(const trial *t, gc_heap *heap,
                               budget *b, size_t n)
{
    size_t count = gc_heap_count(heap), bytes = b->bytes;

    b->fails = b->calls + n;
    bool succeeded = t->act(heap), failed = b->calls >= b->fails;
    b->fails = 0;
    assert_true(succeeded || failed);
    assert_true(gc_heap_bytes(heap) <= b->bytes);
    if (!succeeded)
        assert_int_equal(gc_heap_count(heap), count);
    if (!succeeded && !KEEPS_THE_DEAD)
        assert_int_equal(b->bytes, bytes);
    t->look(succeeded);
    return failed;
}

static inline void fail_each_in_turn(const trial *t)
{
    bool failed = true;

    for (size_t n = 1; failed; n++) {
        budget b = { .left = SIZE_MAX };
        gc_options options = { .allocator = on_budget(&b) };
        gc_heap *heap = gc_heap_new(&options);

        t->prepare(heap);
        failed = try_failing(t, heap, &b, n);
        assert_int_equal(gc_heap_free(heap), 0);
        assert_int_equal(b.blocks, 0);
    }
}

/* a sink that remembers */
typedef struct transcript {
    char text[2000];
} transcript;

static inline void remember(void *context, const char *line)
{
    transcript *t = context;

    assert_true(strlen(t->text) + strlen(line) + 2 < sizeof t->text);
    strcat(strcat(t->text, line), "\n");
}

/* compare what was written */
/* Read back what was written to a file of tmpfile(), and close it. */
static inline void read_back(FILE *file, char *text, size_t size)
{
    rewind(file);
    size_t length = fread(text, 1, size, file);
    assert_true(length < size);
    text[length] = '\0';
    fclose(file);
}

static inline void assert_wrote(FILE *file, const char *expected)
{
    char text[4000];

    read_back(file, text, sizeof text);
    assert_string_equal(text, expected);
}

typedef struct dumped {
    char lines[40][100];
    size_t length;
} dumped;

/* The name of the object with this number, or its type. */
static inline void name_of(const dumped *d, size_t number, char *name)
{
    char type[40] = "?", quoted[40];
    size_t n;

    strcpy(name, "?");
    for (size_t i = 0; i < d->length; i++) {
        int found = sscanf(d->lines[i],
            "object %zu type=%39s name=\"%39[^\"]\"", &n, type, quoted);
        if (found >= 2 && n == number)
            strcpy(name, found == 3 ? quoted : type);
    }
}

/* Append the words of a line, with names for those that are numbers. */
static inline void append_named(const dumped *d, const char *line,
                                char *text)
{
    char word[100], name[40];
    int length;

    for (; sscanf(line, "%99s%n", word, &length) == 1; line += length) {
        char *end = word;
        size_t number = strtoul(word, &end, 10);
        name[0] = '\0';
        if (end != word)
            name_of(d, number, name);
        strcat(strcat(strcat(text, name), end), " ");
    }
    text[strlen(text) - 1] = '\n';
}

static inline int compare_lines(const void *one, const void *other)
{
    return strcmp(one, other);
}

static inline void assert_dump(gc_heap *heap,
                               const gc_variable *variables,
                               const char *expected)
{
    FILE *file = tmpfile();
    dumped d = { .length = 0 }, named = { .length = 0 };
    char text[4000] = "";

    gc_dump(heap, variables, file);
    rewind(file);
    while (fgets(d.lines[d.length], sizeof *d.lines, file) != NULL)
        assert_true(++d.length < 40);
    fclose(file);
    for (; named.length < d.length; named.length++)
        append_named(&d, d.lines[named.length],
                     named.lines[named.length]);
    qsort(named.lines, d.length, sizeof *d.lines, compare_lines);
    for (size_t i = 0; i < d.length; i++)
        strcat(text, named.lines[i]);
    assert_string_equal(text, expected);
}

/* a function that has to stop the program */
static inline size_t last_words(void (*fn)(void), char *text,
                                size_t size, int *status)
{
    int ends[2];
    size_t n = 0;

    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        fn();
        _exit(0);
    }
    close(ends[1]);
    for (ssize_t k; (k = read(ends[0], text + n, size - 1 - n)) > 0;)
        n += (size_t)k;
    close(ends[0]);
    waitpid(child, status, 0);
    return n;
}

static inline void assert_stops(void (*fn)(void), const char *message)
{
#ifdef GC_CHECK
    char text[2000] = "";
    int status;

    text[last_words(fn, text, sizeof text, &status)] = '\0';
    if (strstr(text, message) == NULL)
        fail_msg("it said \"%s\", not \"%s\"", text, message);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
#else
    (void)fn, (void)message, (void)last_words;
    skip();
#endif
}

/* let go of an object */
static inline void let_go(void *object)
{
    gc_decref(object);
}
#endif
