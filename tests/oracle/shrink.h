/* From chapter appendix E of The Invisible Janitor; made by make tangle. */
/* shrink.h: try a program, and make one that fails as short as can
 * be. */
#ifndef SHRINK_H
#define SHRINK_H

#include "compare.h"
#include "program.h"

struct trial {
    uint64_t seed;
    bool by_list, late; /* as of a machine */
    struct op *ops;
    size_t length;
};

/* Run a program in a process of its own, so that a crash is only a
 * difference. True if the worlds agree; if they do not, and out is not
 * NULL, it is told what differs. The length becomes that of the part
 * that was run. */
bool trial_run(struct trial *t, FILE *out);
void trial_found(FILE *out);
void trial_shrink(struct trial *t);
void trial_report(struct trial *t, FILE *out);
void trial_summary(FILE *out);
#endif
