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

/* Where pages should be: on nodes whose weight is not 0. No such node: nothing is expected. */
struct placement_expected {
    uint8_t weights[PLACEMENT_NODES];
    bool shares; /* and on each as many of them as its weight says */
};

/* Expects all pages on one node; negative: expects nothing. */
void placement_expect_node(struct placement_expected *expected, int node);

/* How many nodes pages may be on. */
size_t placement_expected_nodes(const struct placement_expected *expected);

enum placement_status { PLACEMENT_VERIFIED, PLACEMENT_FAILED, PLACEMENT_UNVERIFIED };

/* Share of pages that must be on the expected nodes: design.md, section 2. */
#define PLACEMENT_ENOUGH 0.999

/* How far from its share a node may be, as a part of all pages, and beyond that in bytes for each
 * block: a huge page, or what an allocator places in one piece, lies whole on one node. */
#define PLACEMENT_SHARE_SLACK 0.05
#define PLACEMENT_GRAIN_BYTES ((uint64_t)2 << 20)

struct placement_verdict {
    enum placement_status status;
    double fraction; /* pages where they are expected over all; 0 when unverified */
    int error;       /* errno behind unverified, 0 when nothing was expected */
};

/* Pages asked for so far, and how many were where they should be. Starts zeroed. */
struct placement_tally {
    uint64_t pages, placed;
    uint64_t bytes;  /* asked about */
    uint64_t blocks; /* they are of: each thread asks once about its part of each */
    uint64_t on_node[PLACEMENT_NODES];
    bool untold; /* nothing was expected of some, or the kernel would not say */
    int error;   /* errno of the latter */
};

/* Asks where [data, data + size_bytes) is, and counts what is on an expected node. Call it on the
 * thread that uses the memory: see placement_ask. */
void placement_add(struct placement_tally *tally, const void *data, size_t size_bytes,
                   const struct placement_expected *expected);

/* Adds what another thread asked. */
void placement_merge(struct placement_tally *tally, const struct placement_tally *other);

/* Also whether the nodes have their shares, where those are expected. When they have not, the
 * fraction is of the pages that would be in place with the rest moved. */
struct placement_verdict placement_judge(const struct placement_tally *tally,
                                         const struct placement_expected *expected);

/* The worse of two verdicts: unverified, then failed, then the smaller fraction. */
struct placement_verdict placement_worse(struct placement_verdict one,
                                         struct placement_verdict other);

/* Writes how many pages are on each node that has some, as "N0=65536,N1=2"; cut where the text is
 * full. */
void placement_list_nodes(const struct placement_tally *tally, char *text, size_t text_bytes);

/* How many pages were on another node before than after, of the same memory. */
uint64_t placement_moved(const struct placement_tally *before, const struct placement_tally *after);

/* Where Linux says whether it moves pages to the node that uses them ("0": it does not). */
#define PLACEMENT_BALANCING_FILE "/proc/sys/kernel/numa_balancing"

/* Whether that file says so; false when there is none. */
bool placement_balancing_is_on(const char *path);

/* "verified", "failed", "unverified": the words of the CSV. */
const char *placement_status_name(enum placement_status status);

#endif
