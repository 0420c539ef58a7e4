/*
 * What the programs of the virtual machine's tests share: TAP, threads on nodes, and what the
 * kernel says of where memory is. Node and CPU ids are the kernel's; a program runs alone in its
 * process.
 */
#ifndef NUMA_LAB_GUEST_H
#define NUMA_LAB_GUEST_H

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PAGE_BYTES = 4096, GUEST_NODES = 8 };

static int failures;

static inline void report(bool passed, const char *promise) {
    printf("%s - %s\n", passed ? "ok" : "not ok", promise);
    failures += !passed;
}

/* The lowest CPU of a node, or -1 for a node without. */
static inline int cpu_of_node(int node) {
    char path[64];
    int cpu = -1;
    FILE *file;

    snprintf(path, sizeof path, "/sys/devices/system/node/node%d/cpulist", node);
    file = fopen(path, "r");
    if (file == NULL)
        return -1;
    if (fscanf(file, "%d", &cpu) != 1)
        cpu = -1;
    fclose(file);
    return cpu;
}

/* The set of a node's lowest CPU alone. */
static inline cpu_set_t cpus_of_node(int node) {
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET((size_t)cpu_of_node(node), &set);
    return set;
}

static inline void run_on_node(int node) {
    cpu_set_t set = cpus_of_node(node);

    if (sched_setaffinity(0, sizeof set, &set) != 0) {
        perror("vm: sched_setaffinity");
        exit(2);
    }
}

/* Pages on each node, of memory that has been written; `elsewhere` are those the kernel gave no
 * node for. */
struct page_count {
    size_t on_node[GUEST_NODES];
    size_t elsewhere;
    size_t all;
};

/* Adds the pages that hold `size_bytes` bytes at `block`. False when the kernel will not say. */
static inline bool count_pages(struct page_count *count, const void *block, size_t size_bytes) {
    enum { QUERY_PAGES = 1024 };
    uintptr_t first = (uintptr_t)block & ~(uintptr_t)(PAGE_BYTES - 1);
    size_t pages_left = ((uintptr_t)block + size_bytes - first + PAGE_BYTES - 1) / PAGE_BYTES;
    void *pages[QUERY_PAGES];
    int where[QUERY_PAGES];

    while (pages_left > 0) {
        size_t n = pages_left < QUERY_PAGES ? pages_left : QUERY_PAGES;

        for (size_t i = 0; i < n; i++)
            pages[i] = (void *)(first + i * PAGE_BYTES);
        if (syscall(SYS_move_pages, 0, n, pages, NULL, where, 0) != 0) {
            printf("# move_pages: %s\n", strerror(errno));
            return false;
        }
        for (size_t i = 0; i < n; i++)
            if (where[i] >= 0 && where[i] < GUEST_NODES)
                count->on_node[where[i]]++;
            else
                count->elsewhere++;
        count->all += n;
        pages_left -= n;
        first += n * PAGE_BYTES;
    }
    return true;
}

/* A block that must be had. It is written, so that every page of it is somewhere. */
static inline unsigned char *written_block(size_t size_bytes) {
    unsigned char *block = malloc(size_bytes);

    if (block == NULL) {
        printf("Bail out! malloc(%zu) failed\n", size_bytes);
        exit(1);
    }
    memset(block, 1, size_bytes);
    return block;
}

/* The line of /proc/self/numa_maps for the mapping that holds `address`. `policy` is its second
 * word, `pages` its N0=, N1=... counts, in its own pages of `page_bytes`. False when there is none.
 */
struct mapping {
    uintptr_t start;
    char policy[64];
    struct page_count pages;
    size_t page_bytes;
};

static inline bool numa_maps_of(const void *address, struct mapping *mapping) {
    FILE *file = fopen("/proc/self/numa_maps", "r");
    char line[2048], found[64];
    unsigned long start, kib;
    bool any = false;

    memset(mapping, 0, sizeof *mapping);
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "%lx %63s", &start, found) != 2 || start > (uintptr_t)address)
            continue;
        memset(mapping, 0, sizeof *mapping);
        mapping->start = start;
        mapping->page_bytes = PAGE_BYTES;
        memcpy(mapping->policy, found, sizeof found);
        for (char *word = strtok(line, " \n"); word != NULL; word = strtok(NULL, " \n")) {
            unsigned node;
            size_t count;

            if (sscanf(word, "N%u=%zu", &node, &count) == 2 && node < GUEST_NODES) {
                mapping->pages.on_node[node] += count;
                mapping->pages.all += count;
            } else if (sscanf(word, "kernelpagesize_kB=%lu", &kib) == 1)
                mapping->page_bytes = kib << 10;
        }
        any = true;
    }
    if (file != NULL)
        fclose(file);
    return any;
}

#endif
