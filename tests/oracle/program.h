/* From chapter appendix E of The Invisible Janitor; made by make tangle. */
/* program.h: random programs, and how they are written. */
#ifndef PROGRAM_H
#define PROGRAM_H

#include "world.h"
#include <stdio.h>

/* Fill ops with a random program. If it is tame, what happens in a
 * collection does not depend on the order of the objects in it. */
void program_make(struct op *ops, size_t length, uint64_t seed,
                  bool tame);

/* Write it as a program in C, and in Python. */
void program_print_c(FILE *out, const struct op *ops, size_t length);
void program_print_python(FILE *out, const struct op *ops,
                          size_t length);
#endif
