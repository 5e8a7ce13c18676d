/* From chapter appendix E of The Invisible Janitor; made by make tangle. */
/* compare.h: are the two worlds the same? */
#ifndef COMPARE_H
#define COMPARE_H

#include "machine.h"
#include <stdio.h>

/* Two machines that have run the same steps. */
struct pair {
    struct machine *ours, *python;
};

bool compare(const struct pair *pair);
bool compare_referrers(const struct pair *pair);

/* Name the first difference; out may be NULL. */
void explain(const struct pair *pair, FILE *out);
#endif
