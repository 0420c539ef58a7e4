/* Where a benchmark's memory comes from, in the words of the CSV, and how to get it. */
#ifndef BENCH_MEMORY_H
#define BENCH_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "placement.h"

struct memory_source {
    bool by_libnuma;    /* hand-placed on node; else malloc's policy decides */
    bool first_touch;   /* the thread that first writes a page decides its node */
    char allocator[64]; /* "libnuma", "numa_alloc", "glibc", or the base name of malloc's file */
    char policy[256];   /* "bind:0", "local", ...; "none" for an allocator without one */
    char pages[32];     /* "default", "thp", "2M", "1G"; later, in force: also "mixed" */
    int node;           /* the node asked for; negative when the policy names several */
    struct placement_expected expected; /* that node, or those of the policy */
    uint64_t min_size_bytes;            /* smaller blocks of malloc's are placed on local_node */
    int local_node;
};

/* Values of task_node beside node ids. */
enum { MEMORY_SEVERAL_NODES = -1, MEMORY_NO_POLICY = -2 };

/* What the description follows from. */
struct memory_facts {
    int libnuma_node;        /* --node, negative without */
    const char *malloc_file; /* the file malloc is in, NULL when unknown: memory_malloc_file() */
    const char *policy;      /* NUMA_ALLOC_POLICY, or NULL */
    const char *pages;       /* NUMA_ALLOC_PAGES, or NULL */
    const char *min_size;    /* NUMA_ALLOC_MIN_SIZE, or NULL */
    int lowest_memory_node;  /* numa_alloc's default policy binds there */
    int cpu_node;            /* node of the measuring CPU */
    int task_node;           /* of the process's own policy, set by numactl: memory_task_node() */
    const struct placement_expected *all_nodes; /* with memory; NULL when unknown */
};

void memory_describe(struct memory_source *source, const struct memory_facts *facts);

/* The file that this process's malloc is in, a preloaded one included; NULL when unknown. */
const char *memory_malloc_file(void);

/* The node that the process's memory policy (set_mempolicy(2), numactl) asks for. A kernel that
 * will not say counts as no policy. */
int memory_task_node(void);

/* malloc is asked for this alignment, so that a huge page of an array holds nothing else. It is the
 * huge page of x86-64, and of arm64 with pages of 4 KiB. */
#define MEMORY_ALIGN_BYTES ((size_t)2 << 20)

/* Gets memory, untouched; page-aligned from libnuma, else to MEMORY_ALIGN_BYTES. NULL with the
 * reason in *why (static text). For a block below the policy's least size, the source's policy is
 * "local" from here on. */
void *memory_get(struct memory_source *source, size_t size_bytes, const char **why);

void memory_free(const struct memory_source *source, void *memory, size_t size_bytes);

#endif
