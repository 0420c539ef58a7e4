/* A program that misuses malloc in one way, and says what came of it: see misuse.c. */
#ifndef TESTS_MISUSE_MISUSE_H
#define TESTS_MISUSE_MISUSE_H

#include <stdbool.h>
#include <stddef.h>

enum {
    KIB = 1024,
    MIB = 1024 * 1024,
    PAGE_BYTES = 4096,
    /* Blocks of each way that allocators hold them. */
    SMALL = 48,
    MEDIUM = 12 * KIB,
    LARGE = MIB,
    HUGE = 64 * MIB,
};

/* How the process ends that nobody stopped. Statuses that no allocator uses of its own. */
enum verdict {
    SAFE = 40,   /* nothing that a program relies on is broken */
    MISSED = 41, /* memory handed out twice or changed, or an old secret read */
    ABSENT = 42, /* this allocator has no such function */
};

struct kind {
    const char *name;
    enum verdict (*try)(const struct kind *kind);
    size_t size_bytes;
    size_t amount; /* what the function takes it for: bytes, or blocks between */
};

extern const struct kind frees[], writes[], reads[]; /* each ends with a NULL name */

/* The same pointer or size, but the compiler knows no more what it is: it would warn of the misuse,
 * or take it as a licence to remove code. */
void *hide(const void *pointer);
size_t hide_size(size_t size);

/* A block with every byte written. */
unsigned char *written(size_t size_bytes);

/* Live blocks of this size, allocated before the misuse: what must stay whole. */
void bystanders_make(size_t size_bytes);
bool bystanders_whole(void);

/* True when bystanders are whole, and new blocks of this size overlap neither them nor each other.
 * Frees all of them, so that an allocator which checks then can speak. */
bool heap_sound(size_t size_bytes);

/* How many blocks of a size to allocate until one that was freed should have come again. */
size_t churn_count(size_t size_bytes);

#endif
