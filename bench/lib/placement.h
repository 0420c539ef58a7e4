/* Where pages are, as the kernel says, and whether that is where they should be. */
#ifndef BENCH_PLACEMENT_H
#define BENCH_PLACEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* The kernel's own limit on node ids (MAX_NUMNODES at its largest, NODES_SHIFT=10). */
#define PLACEMENT_NODES 1024

enum placement_source {
    PLACEMENT_NOT_TOLD,     /* the kernel would not say; error tells why */
    PLACEMENT_PAGE_BY_PAGE, /* move_pages(2), exact */
    PLACEMENT_NUMA_MAPS,    /* /proc/self/numa_maps: counts the whole mappings the range lies in */
};

/* Always: sum of on_node + nowhere == pages. */
struct placement {
    enum placement_source source;
    int error; /* errno of move_pages when it refused, else 0 */
    uint64_t pages;
    uint64_t nowhere; /* not present, or refused page by page */
    uint64_t on_node[PLACEMENT_NODES];
};

/* Asks where the pages of [data, data + size_bytes) are: move_pages, else numa_maps. Reads pages
 * that seem not to be there, so the memory is readable, and the calling thread one that uses it. */
void placement_ask(const void *data, size_t size_bytes, struct placement *placement);

/* Reads the text of numa_maps for the mappings that [start, start + size_bytes) lies in; a mapping
 * reaches from its line's address to the next line's. Needs a seekable stream. Returns false, with
 * placement untouched, when no line covers start. */
bool placement_read_numa_maps(FILE *numa_maps, uintptr_t start, size_t size_bytes,
                              struct placement *placement);

/* The addresses of those mappings, as numa_maps lists them: at most capacity are stored; returns
 * how many there are. */
size_t placement_mappings(FILE *numa_maps, uintptr_t start, size_t size_bytes, uintptr_t *starts,
                          size_t capacity);

enum placement_status { PLACEMENT_VERIFIED, PLACEMENT_FAILED, PLACEMENT_UNVERIFIED };

/* Share of pages that must be on the expected node: design.md, section 2. */
#define PLACEMENT_ENOUGH 0.999

struct placement_verdict {
    enum placement_status status;
    double fraction; /* pages on the expected node over all; 0 when unverified */
    int error;       /* errno behind unverified, 0 when nothing was expected */
};

/* Pages asked for so far, and how many were where they should be. Starts zeroed. */
struct placement_tally {
    uint64_t pages, placed;
    bool untold; /* no single node was expected of some, or the kernel would not say */
    int error;   /* errno of the latter */
};

/* Asks where [data, data + size_bytes) is, which should be on node (negative: on no single one).
 * Call it on the thread that uses the memory: see placement_ask. */
void placement_add(struct placement_tally *tally, const void *data, size_t size_bytes, int node);

/* Adds what another thread asked. */
void placement_merge(struct placement_tally *tally, const struct placement_tally *other);

struct placement_verdict placement_judge(const struct placement_tally *tally);

/* The worse of two verdicts: unverified, then failed, then the smaller fraction. */
struct placement_verdict placement_worse(struct placement_verdict one,
                                         struct placement_verdict other);

/* "verified", "failed", "unverified": the words of the CSV. */
const char *placement_status_name(enum placement_status status);

#endif
