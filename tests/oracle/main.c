/* From chapter appendix E of The Invisible Janitor; made by make tangle. */
/* main.c: run random programs in both worlds, and compare. */
#include "shrink.h"
#include <stdlib.h>
#include <string.h>

/* tell what was found */
static int found(struct trial *t)
{
    const char *shrink = getenv("SHRINK");

    trial_found(stdout);
    if (shrink == NULL || *shrink != 'n')
        trial_shrink(t);
    trial_report(t, stdout);
    return 1;
}

/* try one program after the other */
int main(int argc, char **argv)
{
    const char *order = getenv("ORDER");
    struct trial t = { .by_list = order && !strcmp(order, "list"),
                       .late = getenv("LATE") != NULL };
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    size_t seeds = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;

    t.length = argc > 2 ? strtoull(argv[2], NULL, 10) : 100000;
    t.ops = calloc(t.length, sizeof *t.ops);
    for (uint64_t last = seed + seeds; seed < last; seed++) {
        t.seed = seed;
        program_make(t.ops, t.length, seed, !t.by_list);
        if (!trial_run(&t, NULL))
            return found(&t);
    }
    trial_summary(stdout);
    return 0;
}
