/* What the allocator must have kept: each block's place, size and whole contents, and that no two
 * blocks share a byte. Nothing here comes from the allocator under torture. */
#pragma once

#include "chance.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

/* By what a block may be freed and resized. */
enum family {
    FAMILY_MALLOC,
    FAMILY_ALIGNED, /* aligned_alloc: also by free_aligned_sized */
    FAMILY_MEMALIGN,
    FAMILY_NEW,
    FAMILY_NEW_ARRAY,
    FAMILY_NEW_ALIGNED,
    FAMILY_NEW_ARRAY_ALIGNED,
};

#define NO_NODE (-1)

struct block {
    unsigned char *start; /* NULL: no block */
    size_t size_bytes;    /* asked for */
    size_t usable_bytes;  /* all of them are written */
    size_t alignment;
    uint64_t key; /* decides the contents */
    enum family family;
    int named_node;   /* asked for by name, or NO_NODE */
    bool was_resized; /* where it stands may have been decided for an earlier size */
    unsigned worker;  /* who allocated it ... */
    uint64_t operation;
    const char *call; /* ... and by what */
};

/* What a run is made of; set before the first thread starts. */
struct settings {
    uint64_t seed;
    unsigned threads;
    unsigned seconds;    /* 0: until `operations` */
    uint64_t operations; /* of each worker; 0: until `seconds` */
    unsigned stuck_seconds;
    bool forks;
    bool signals;
    bool aborts;           /* at a failure, for a fuzzer to keep its input */
    const char *policy;    /* NULL: not known, nothing is said about nodes */
    size_t min_size_bytes; /* of NUMA_ALLOC_MIN_SIZE */
    uint64_t node_mask;    /* nodes with memory below 64 */
    const char *again;     /* the command that repeats the run */
};
extern struct settings settings;

/* What this thread is doing, for the line about a failure. */
extern _Thread_local struct doing {
    unsigned worker;
    uint64_t operation;
    const char *what;
    const struct block *block;
} doing;

/* Ends the process with status 1 and one line: what was expected, where, and how to repeat it. */
void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn, cold));

/* Has crashes tell the same before they kill. */
void report_crashes(void);

/* Takes over what an allocating function returned: checks it, marks its bytes as taken, fills them.
 * `zeroed_bytes` must read as zero. */
void block_begin(struct block *block, size_t zeroed_bytes);

/* The first `size_bytes` are as written. */
void block_check_prefix(const struct block *block, size_t size_bytes);

/* All of it is as written and where it should be. */
void block_check(const struct block *block);

/* Checks it for the last time and marks its bytes as free, before it is freed. */
void block_end(const struct block *block);

/* Writes the contents anew, for the present key and size. */
void block_fill(const struct block *block);

/* Marks all usable bytes as taken by one block, or as free again. */
void block_claim(const struct block *block);
void block_release(const struct block *block);

/* The kernel says that a block's pages are on its node; nothing where it will not say. */
void block_check_pages(const struct block *block);
