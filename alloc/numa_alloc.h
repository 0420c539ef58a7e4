/* numa_alloc: memory on the node you name, where it is, and what the allocator has done.
 *
 * Link with -l:numa_alloc.so or libnuma_alloc.a, or preload numa_alloc.so and find these functions
 * with dlsym(RTLD_DEFAULT, "na_malloc_on"). Everything else is plain <stdlib.h>: blocks from here
 * are freed with free, resized with realloc and measured with malloc_usable_size like any other.
 *
 * Nodes are the kernel's ids, as in /sys/devices/system/node; they may have gaps. Every function
 * may be called from any thread at any time. docs/API.md has an example. */
#ifndef NUMA_ALLOC_H
#define NUMA_ALLOC_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- memory on a node ---------------------------------------------------------------------- */

/* Allocates `size` bytes on memory node `node`, whatever NUMA_ALLOC_POLICY says; aligned for any
 * type, not zeroed; a size of 0 gives a block that can be freed. The node is preferred: when it is
 * full, the kernel takes pages from another one. Only under NUMA_ALLOC_POLICY=bind:node it does
 * not, and may kill the process instead. realloc keeps the block on its node.
 *
 * Returns NULL with errno EINVAL when `node` does not exist, has no memory or is outside the
 * process's cpuset, and ENOMEM when there is no address space or memory. A kernel that refuses
 * placement is no error here: na_stats counts its refusals, na_resident tells where pages are. */
void *na_malloc_on(int node, size_t size) __attribute__((__malloc__, __alloc_size__(2)));

/* As na_malloc_on, at a multiple of `alignment` bytes, which must be a power of two: otherwise NULL
 * with errno EINVAL. realloc keeps the alignment only where it does not move the block. */
void *na_aligned_alloc_on(int node, size_t alignment, size_t size)
    __attribute__((__malloc__, __alloc_align__(2), __alloc_size__(3)));

/* --- where memory is ----------------------------------------------------------------------- */

/* The node that the memory of a block was asked from. `pointer` must be as malloc (or any other
 * allocating function) returned it. Costs a few loads and never asks the kernel.
 *
 * Returns -1 with errno EXDEV when the block is spread over several nodes (a large one under
 * interleave, weighted, or preferred with several nodes), ENODATA when no node was asked for
 * (policy none), and EINVAL when `pointer` is NULL, no block, or another allocator's. */
int na_node_of(const void *pointer);

/* What na_resident can answer. */
enum na_resident_status {
    NA_RESIDENT_OK = 0,         /* every page is counted */
    NA_RESIDENT_PARTLY = 1,     /* pages that are not in memory (never touched, swapped out) are not
                                   counted */
    NA_RESIDENT_MORE_NODES = 2, /* pages on nodes whose id is `n` or more are not counted */
    NA_RESIDENT_REFUSED = 3,    /* the kernel will not say; errno is its reason: EPERM, ENOSYS */
    NA_RESIDENT_INVALID = 4     /* `counts` is NULL or the range wraps round; errno is EINVAL */
};

/* Counts, per node, the kernel's pages (sysconf(_SC_PAGESIZE) bytes) that hold any of the `size`
 * bytes at `pointer`, as the kernel answers (move_pages(2)): counts[node] for nodes 0 to n - 1, set
 * to zero first. The memory may be any of the process's. Pages of memory that was never written are
 * nowhere yet. Takes some 0.2 us a page and allocates nothing. When several statuses hold the
 * later one in the list is returned. */
enum na_resident_status na_resident(const void *pointer, size_t size, size_t *counts, size_t n);

/* --- what the allocator has done ----------------------------------------------------------- */

/* How a node's memory is placed. */
enum na_placing {
    NA_PLACING_ASKED = 0,   /* the kernel places it as asked */
    NA_PLACING_TOUCHED = 1, /* the kernel refuses; a helper on the node touches it first */
    NA_PLACING_PLAIN = 2    /* nor can that be: it is where it is first used */
};

/* Counters of one node's memory, or of memory spread over several. */
struct na_node_stats {
    int node;                 /* -1: spread over several nodes, or placed on none */
    int placing;              /* enum na_placing */
    uint64_t arenas;          /* address ranges taken */
    uint64_t committed_bytes; /* handed out to pages of blocks and to blocks of up to 32 MiB */
    uint64_t committed_bytes_peak;
    uint64_t huge_bytes; /* in larger blocks */
    uint64_t huge_bytes_peak;
    uint64_t purged_bytes;       /* given back to the kernel so far, in total */
    uint64_t refusals;           /* placements the kernel has refused */
    int refusal_errno;           /* of the last refusal; 0: none */
    int reserved_0;              /* 0 */
    uint64_t full_demands;       /* demands for more than the node had free, under bind; a sample */
    uint64_t huge_page_refusals; /* ranges without the pages NUMA_ALLOC_PAGES asks for */
    uint64_t reserved[4];        /* 0 */
};

/* Counters of the process. May grow at its end: set struct_bytes to sizeof(struct na_stats). */
struct na_stats {
    size_t struct_bytes;         /* in: the caller's size; out: how much of it is filled in */
    struct na_node_stats *nodes; /* in: room for `node_capacity` of them, or NULL */
    size_t node_capacity;        /* in */
    size_t node_count;        /* out: how many there are; those beyond the capacity are left out */
    uint64_t live_blocks;     /* not freed; until collected also those another thread freed */
    uint64_t live_bytes;      /* of them, as malloc_usable_size counts */
    uint64_t committed_bytes; /* handed out to pages of blocks and to blocks */
    uint64_t metadata_bytes;  /* the allocator's own descriptions */
    uint64_t threads;         /* the most at a time that took blocks of up to 64 KiB */
    uint64_t remote_frees;    /* small blocks freed by another thread than their page's */
    uint64_t node_switches;   /* threads that followed the scheduler to another node */
    uint64_t foreign_frees;   /* pointers of other allocators passed to free, and ignored */
};

/* Fills in the counters. Walks all pages of blocks, so milliseconds for a heap of gigabytes, and
 * takes no lock: the numbers may be a moment apart. Returns 0, or -1 with errno EINVAL when `stats`
 * is NULL, its struct_bytes is smaller than the first version of the structure, or `nodes` is NULL
 * and node_capacity is not 0. */
int na_stats(struct na_stats *stats);

/* Writes the statistics to the file descriptor `fd` as one JSON object, in the form
 * NUMA_ALLOC_STATS uses; docs/STATISTICS.md explains each key. Asks the kernel where up to 1 GiB of
 * pages are, which can take some tens of milliseconds. Returns 0, or -1 with errno: EBUSY while
 * another thread is at it, otherwise what write(2) met, with part of the text perhaps written. */
int na_stats_json(int fd);

/* Gives all memory that is free back to the kernel now, instead of over the next moments: what
 * malloc_trim(0) does. Free blocks in pages that other running threads own stay. Returns the
 * bytes of address space whose memory was given back. */
size_t na_purge(void);

#ifdef __cplusplus
}
#endif

#endif
