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
    size_t blocks; /* that are out at the moment */
} budget;

static inline void *budget_allocate(void *context, size_t size,
                                    size_t alignment)
{
    budget *b = context;

    if (b->left == 0)
        return NULL;
    b->left--;
    b->blocks++;
    size = (size + alignment - 1) / alignment * alignment;
    return aligned_alloc(alignment, size);
}

static inline void budget_release(void *context, void *block,
                                  size_t size)
{
    budget *b = context;

    memset(block, 0xDB, size);
    b->blocks--;
    free(block);
}

static inline gc_allocator on_budget(budget *b)
{
    return (gc_allocator) { budget_allocate, budget_release, b };
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
