/* Size classes: 16 bytes apart up to 256, then eight to each doubling, so at most an eighth of a
 * block is lost to rounding. Classes end at 64 KiB; what is larger is a span or a mapping of its
 * own. */
#pragma once

#include "base.h"

#define SIZE_CLASSES   80
#define SMALL_SIZE_MAX (8 * KIB)  /* eight blocks or more in a small page */
#define CLASS_SIZE_MAX (64 * KIB) /* and in a medium page */

#define LINEAR_SIZE_MAX 256
#define LINEAR_CLASSES  (LINEAR_SIZE_MAX / 16)
#define LINEAR_LOG2     8

/* The smallest class whose blocks hold `size` bytes (at most CLASS_SIZE_MAX; 0 counts as 1). */
static inline unsigned size_class_of(size_t size) {
    if (size <= LINEAR_SIZE_MAX)
        return size == 0 ? 0 : (unsigned)((size - 1) / 16);
    unsigned log2 = floor_log2(size - 1);
    unsigned eighth = (unsigned)((size - 1) >> (log2 - 3)) & 7;
    return LINEAR_CLASSES + (log2 - LINEAR_LOG2) * 8 + eighth;
}

/* The size of a class's blocks in bytes. */
static inline size_t size_class_bytes(unsigned size_class) {
    if (size_class < LINEAR_CLASSES)
        return ((size_t)size_class + 1) * 16;
    unsigned step = size_class - LINEAR_CLASSES;
    unsigned log2 = LINEAR_LOG2 + step / 8;
    return ((size_t)1 << log2) + ((size_t)(step % 8 + 1) << (log2 - 3));
}

/* The smallest class that holds `size` bytes and whose block size is a multiple of `alignment` (a
 * power of two), so that every block of its pages, which start at multiples of 64 KiB, is aligned.
 * Rounding up to the alignment is enough: where classes are closer than that, each multiple of it
 * is one; elsewhere all are multiples. SIZE_CLASSES when there is none. */
static inline unsigned size_class_aligned(size_t size, size_t alignment) {
    if (size > CLASS_SIZE_MAX || alignment > CLASS_SIZE_MAX)
        return SIZE_CLASSES;
    return size_class_of(align_up(size == 0 ? 1 : size, alignment));
}
