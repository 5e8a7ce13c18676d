/* From chapter 10 of The Invisible Janitor; made by make tangle. */
#define _DEFAULT_SOURCE /* for madvise */
/* pages.c: what only the operating system can do. */
#include "internal.h"
#include <sys/mman.h>

void gc_use_large_pages(void *block, size_t size)
{
#ifdef MADV_HUGEPAGE
    madvise(block, size, MADV_HUGEPAGE);
#else
    (void)block, (void)size;
#endif
}
