/* Getting memory from the kernel and giving it back: pages touched for the first time by one or
 * more threads, written again, and unmapped. */
#ifndef BENCH_FAULT_H
#define BENCH_FAULT_H

#include <hwloc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crew.h"
#include "page_kind.h"
#include "placement.h"
#include "watch.h"

/* A way to touch pages, a table row. */
struct fault_variant {
    const char *name;
    bool from_malloc; /* each thread its own block; else a mapping of its own, cut in slices */
    bool written;     /* touched pages are the process's own: they have a node */
    /* Touches each page of [slice, slice + size_bytes); returns 0 or an errno. */
    int (*touch)(char *slice, size_t size_bytes, size_t page_bytes);
};

enum { FAULT_WRITE, FAULT_POPULATE, FAULT_READ, FAULT_MALLOC, FAULT_VARIANTS };
extern const struct fault_variant fault_variants[FAULT_VARIANTS];

/* NULL when there is none of that name, of `length` letters. */
const struct fault_variant *fault_find(const char *name, size_t length);

struct fault_plan {
    const struct fault_variant *variant;
    enum page_kind kind; /* of malloc: PAGE_BASE, as the grid that is touched */
    int node;            /* the mapping is bound to; negative: not bound, the first touch decides */
    size_t slice_bytes;  /* that each thread touches: whole pages */
};

/* What getting memory took, one or more times. Times of threads are summed over them. */
struct fault_cost {
    uint64_t pages, bytes;
    uint64_t touch_ns;          /* threads' */
    uint64_t wall_ns;           /* from the first thread's start to the last one's end */
    uint64_t zero_ns;           /* threads', to write the whole pages again */
    uint64_t free_ns;           /* munmap, by one thread; or threads', to free their blocks */
    uint64_t faults;            /* of the threads while they touched */
    uint64_t absent;            /* base pages that were not there after all had been touched: the
                                 * kernel gave base pages for huge ones */
    enum disturbance disturbed; /* page faults aside: they are what is measured */
};

void fault_cost_add(struct fault_cost *cost, const struct fault_cost *other);

struct fault_member;

/* Threads that get memory together; member 0 is the caller. */
struct fault_team {
    struct crew crew;
    const struct watch *watch;
    struct fault_member *members;
    struct fault_plan plan;
    size_t page_bytes;
    char *mapping; /* NULL for blocks of malloc */
};

/* Starts the threads, pinned to the CPUs. Returns 0 or an errno; after an error threads may wait
 * for ever, so the process has to end. */
int fault_team_start(struct fault_team *team, hwloc_topology_t topology, const unsigned *cpus,
                     size_t size, const struct watch *watch);

void fault_team_end(struct fault_team *team);

/* Gets memory by the plan, touches it and writes it again. False with the reason in *why (static
 * text), and nothing held. */
bool fault_get(struct fault_team *team, const struct fault_plan *plan, struct fault_cost *cost,
               const char **why);

/* Between fault_get and fault_give_back: where the pages are, each thread asking of its own.
 * Expected is the plan's node; for a negative one and for malloc `expected`, or where that is NULL
 * each thread's own node. */
struct placement_tally fault_ask(struct fault_team *team,
                                 const struct placement_expected *expected);

/* A thread's part. */
void *fault_slice(const struct fault_team *team, size_t thread);

/* What kind of pages the mapping has, as smaps says: the name of the plan's kind when they are all
 * such, "mixed", or that of another kind. NULL when smaps does not say. */
const char *fault_pages_in_force(const struct fault_team *team);

void fault_give_back(struct fault_team *team, struct fault_cost *cost);

/* Whether the kernel counts a fault for each page: not for those that an allocator has kept, nor,
 * in Linux 6.1, for reserved ones that it populates itself. */
bool fault_is_counted(const struct fault_plan *plan);

/* Whether every page was touched by one fault of its own: no fewer faults, and beside them at most
 * a few of the threads' own. */
bool fault_cost_is_whole(const struct fault_cost *cost);

/* Below this folder Linux describes its nodes. */
#define FAULT_NODE_ROOT "/sys/devices/system/node"

/* Bytes free on a node: of reserved huge pages of that kind, else of all its memory. UINT64_MAX
 * when `root` does not say. */
uint64_t fault_free_bytes(const char *root, int node, enum page_kind kind);

#define FAULT_THP_FILE "/sys/kernel/mm/transparent_hugepage/enabled"

/* Whether that file lets a program ask for transparent huge pages. */
bool fault_thp_is_allowed(const char *path);

#endif
