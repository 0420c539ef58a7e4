/*
 * Where a preloaded numa_alloc.so's memory is and in what pages, by /proc/self/numa_maps and smaps:
 * for kernels that refuse move_pages, and for huge pages, of which move_pages does not tell. Blocks
 * of all sizes are written, and the mappings that hold them are looked at whole. Prints TAP without
 * a plan; exit status 1 when a promise is broken, 2 for bad usage.
 *
 * Tolerance: 3 % of the memory, since a mapping may hold other memory of the process too (where
 * nothing is asked of the kernel, neighbours merge), and one 2 MiB stripe.
 */
#include <malloc.h>

#include "guest.h"

enum { HUGE_PAGE_BYTES = 2 << 20, MAX_MAPPINGS = 4096, MAX_BLOCKS = 70000 };

static unsigned weight[GUEST_NODES], weights;

struct set {
    size_t size_bytes, count;
};

static const struct set sets[] = {
    {200, 60000}, {3000, 3000}, {20 << 10, 500}, {300 << 10, 60}, {8 << 20, 4}, {66 << 20, 1},
};

struct seen {
    uintptr_t starts[MAX_MAPPINGS];
    size_t mappings;
    size_t bytes[GUEST_NODES], all_bytes, huge_bytes;
};
static struct seen seen;

/* Adds the mapping that holds `address`, unless it has been. */
static void look_at(uintptr_t address) {
    struct mapping mapping;

    if (!numa_maps_of((void *)address, &mapping)) {
        report(false, "/proc/self/numa_maps can be read");
        exit(1);
    }
    for (size_t i = 0; i < seen.mappings; i++)
        if (seen.starts[i] == mapping.start)
            return;
    if (seen.mappings < MAX_MAPPINGS)
        seen.starts[seen.mappings++] = mapping.start;
    for (int node = 0; node < GUEST_NODES; node++) {
        size_t bytes = mapping.pages.on_node[node] * mapping.page_bytes;

        seen.bytes[node] += bytes;
        seen.all_bytes += bytes;
        seen.huge_bytes += mapping.page_bytes >= HUGE_PAGE_BYTES ? bytes : 0;
    }
}

/* Looks at each 2 MiB that hold a part of a block: a stripe may be a mapping of its own. */
static void look_at_blocks(void **blocks, const struct set *set) {
    uintptr_t looked_at = 0;

    for (size_t i = 0; i < set->count; i++) {
        uintptr_t start = (uintptr_t)blocks[i], end = start + set->size_bytes;

        for (uintptr_t at = start & ~(uintptr_t)(HUGE_PAGE_BYTES - 1); at < end;
             at += HUGE_PAGE_BYTES)
            if (at != looked_at) { /* blocks come mostly in order of their addresses */
                looked_at = at;
                look_at(at < start ? start : at);
            }
    }
}

/* Counts the blocks' own pages instead: reserved huge pages are taken in advance, many at a time.
 */
static void count_blocks(void **blocks, const struct set *set) {
    for (size_t i = 0; i < set->count; i++) {
        struct page_count count = {0};

        /* Of blocks that share a page the first one is looked at. */
        if (set->size_bytes < PAGE_BYTES &&
            ((uintptr_t)blocks[i] & (PAGE_BYTES - 1)) >= set->size_bytes)
            continue;
        if (!count_pages(&count, blocks[i], set->size_bytes < PAGE_BYTES ? 1 : set->size_bytes))
            exit(1);
        for (int node = 0; node < GUEST_NODES; node++)
            seen.bytes[node] += count.on_node[node] * PAGE_BYTES;
    }
}

/* Sum of smaps' AnonHugePages in bytes. */
static size_t transparent_bytes(void) {
    FILE *file = fopen("/proc/self/smaps", "r");
    char line[512];
    size_t kib, sum = 0;

    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "AnonHugePages: %zu kB", &kib) == 1)
            sum += kib << 10;
    if (file != NULL)
        fclose(file);
    return sum;
}

static bool is_spread(void) {
    size_t all_bytes = 0;
    double tolerance;
    bool passed;

    for (int node = 0; node < GUEST_NODES; node++)
        all_bytes += seen.bytes[node];
    tolerance = 0.03 * (double)all_bytes + HUGE_PAGE_BYTES;
    passed = all_bytes > 0;
    for (int node = 0; node < GUEST_NODES; node++) {
        double wanted = (double)all_bytes * weight[node] / weights;
        double off = (double)seen.bytes[node] - wanted;

        if (off > tolerance || -off > tolerance) {
            printf("# node %d has %zu KiB of %zu KiB, wanted %.0f KiB\n", node,
                   seen.bytes[node] >> 10, all_bytes >> 10, wanted / 1024);
            passed = false;
        }
    }
    return passed;
}

/* Reads "0=3,1=1"; false when it is not. */
static bool read_shares(const char *text) {
    for (char *end; *text != '\0'; text = *end == ',' ? end + 1 : end) {
        unsigned long node = strtoul(text, &end, 10), share;

        if (end == text || *end != '=' || node >= GUEST_NODES)
            return false;
        share = strtoul(end + 1, &end, 10);
        if ((*end != ',' && *end != '\0') || share == 0)
            return false;
        weight[node] = (unsigned)share;
        weights += (unsigned)share;
    }
    return weights > 0;
}

int main(int argc, char **argv) {
    static void *blocks[sizeof sets / sizeof *sets][MAX_BLOCKS];
    const char *pages = argc == 3 ? argv[2] : "any";

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc < 2 || argc > 3 || !read_shares(argv[1]) ||
        (strcmp(pages, "any") != 0 && strcmp(pages, "2M") != 0 && strcmp(pages, "thp") != 0)) {
        fprintf(stderr, "usage: mapped NODE=WEIGHT,... [any|2M|thp]\n"
                        "2M: nearly all of it in hugetlb pages; thp: in transparent huge pages\n");
        return 2;
    }
    for (int round = 0; round < 2; round++) {
        memset(&seen, 0, sizeof seen);
        for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
            for (size_t k = 0; k < sets[i].count; k++)
                blocks[i][k] = written_block(sets[i].size_bytes);
        for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
            look_at_blocks(blocks[i], &sets[i]);
        if (strcmp(pages, "2M") == 0) {
            memset(seen.bytes, 0, sizeof seen.bytes);
            for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
                count_blocks(blocks[i], &sets[i]);
        }
        report(is_spread(), round == 0 ? "all memory is where the policy says"
                                       : "after a purge memory is where the policy says");
        if (strcmp(pages, "2M") == 0) {
            printf("# %zu of %zu KiB in hugetlb pages\n", seen.huge_bytes >> 10,
                   seen.all_bytes >> 10);
            report(seen.huge_bytes >= seen.all_bytes / 10 * 9, "it is in hugetlb pages");
        }
        if (strcmp(pages, "thp") == 0) {
            printf("# %zu of %zu KiB in transparent huge pages\n", transparent_bytes() >> 10,
                   seen.all_bytes >> 10);
            report(transparent_bytes() >= seen.all_bytes / 2, "most is in transparent huge pages");
        }
        for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
            for (size_t k = 0; k < sets[i].count; k++)
                free(blocks[i][k]);
        malloc_trim(0);
    }
    return failures != 0;
}
