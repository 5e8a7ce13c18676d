/* From chapter 10 of The Invisible Janitor; made by make tangle. */
#define _DEFAULT_SOURCE /* for madvise */
/* pages.c: what only the operating system can do. */
#include "internal.h"
#include <stdlib.h>
#include <sys/mman.h>

enum { LARGE_PAGE = 2 << 20 };

void *gc_take_pages(size_t size, size_t alignment)
{
    void *block = NULL;

    if (size >= LARGE_PAGE)
        alignment = LARGE_PAGE;
    if (posix_memalign(&block, alignment, size) != 0)
        return NULL;
#ifdef MADV_HUGEPAGE
    if (size >= LARGE_PAGE)
        madvise(block, size, MADV_HUGEPAGE);
#endif
    return block;
}
