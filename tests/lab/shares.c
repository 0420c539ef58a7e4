/*
 * How a policy spreads a preloaded numa_alloc.so's blocks over the nodes: sets of small, medium,
 * large and huge blocks are allocated and written, and the kernel is asked how many of their pages
 * are on each node. Prints TAP without a plan; exit status 1 when a promise is broken, 2 for bad
 * usage.
 *
 * Tolerance: 1 % of the set's pages, and the grain in which its memory is placed: a 64 KiB page for
 * small blocks, a 512 KiB page for medium ones, a 2 MiB stripe (or transparent huge page) for large
 * and huge ones. Of blocks of 4, 5 and 6 MiB three of these: they leave the end of each 32 MiB
 * unused, or its beginning where that is shifted, whose stripe is some node's. With --brief twice
 * as much: a set is two or three segments then, each begun where the set before has left it.
 */
#include <pthread.h>

#include "guest.h"

enum { MAX_BLOCKS = 1 << 21 };

static void *blocks[MAX_BLOCKS];

/* Most bytes of a set. */
enum { BRIEF_BYTES = 64 << 20 };
static bool brief;

/* What is expected of blocks of at least `min_size_bytes`: `weight[n]` shares on node n, or, with
 * `any_of`, anything on the nodes whose weight is not 0. Smaller blocks are on `local_node`. */
static struct {
    unsigned weight[GUEST_NODES];
    unsigned weights;
    bool any_of;
    size_t min_size_bytes;
    int local_node;
} expected;

static bool are_spread(const char *promise, const struct page_count *count, size_t size_bytes,
                       size_t grain_bytes) {
    double grains = brief ? 2 : 1;
    double tolerance = 0.01 * (double)count->all + grains * (double)grain_bytes / PAGE_BYTES;
    bool local = size_bytes < expected.min_size_bytes, passed = count->elsewhere == 0;
    size_t outside = 0;

    for (int node = 0; node < GUEST_NODES; node++) {
        unsigned weight = local ? node == expected.local_node : expected.weight[node];
        unsigned weights = local ? 1 : expected.weights;
        double wanted = (double)count->all * weight / weights;
        double off = (double)count->on_node[node] - wanted;

        if (weight == 0)
            outside += count->on_node[node];
        else if ((local || !expected.any_of) && (off > tolerance || -off > tolerance))
            passed = false;
    }
    /* A node that is not asked for gets nothing at all. */
    if (outside > 0)
        passed = false;
    if (!passed) {
        printf("# %s: of %zu pages", promise, count->all);
        for (int node = 0; node < GUEST_NODES; node++)
            if (count->on_node[node] > 0)
                printf(", %zu (%.2f %%) on node %d", count->on_node[node],
                       100.0 * (double)count->on_node[node] / (double)count->all, node);
        printf(", %zu on none; tolerance %.0f pages\n", count->elsewhere, tolerance);
    }
    return passed;
}

/* Blocks of sizes from `smallest` to `largest`, evenly drawn, `all_bytes` in all. */
struct set {
    const char *promise;
    size_t smallest_bytes, largest_bytes;
    size_t all_bytes;
    size_t grain_bytes;
};

static const struct set sets[] = {
    {"blocks of 16 bytes", 16, 16, 16 << 20, 64 << 10},
    {"blocks of 200 bytes", 200, 200, 32 << 20, 64 << 10},
    {"blocks of 1 KiB", 1024, 1024, 32 << 20, 64 << 10},
    {"blocks of 8 KiB", 8192, 8192, 64 << 20, 64 << 10},
    {"blocks of 16 KiB", 16 << 10, 16 << 10, 128 << 20, 512 << 10},
    {"blocks of 60 KiB", 60 << 10, 60 << 10, 128 << 20, 512 << 10},
    {"blocks of 100 KiB", 100 << 10, 100 << 10, 128 << 20, 2 << 20},
    {"blocks of 64 KiB to 2 MiB", 64 << 10, 2 << 20, 256 << 20, 2 << 20},
    {"blocks of 4 MiB", 4 << 20, 4 << 20, 256 << 20, 6 << 20},
    {"blocks of 5 MiB", 5 << 20, 5 << 20, 250 << 20, 6 << 20},
    {"blocks of 32 MiB", 32 << 20, 32 << 20, 256 << 20, 2 << 20},
    {"blocks of 50 MiB", 50 << 20, 50 << 20, 250 << 20, 2 << 20},
    {"a block of 300 MiB", 300 << 20, 300 << 20, 300 << 20, 2 << 20},
};

/* The next of a fixed sequence (xorshift64*, Vigna 2016). */
static uint64_t next_random(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1d;
}

static bool set_is_spread(const struct set *set) {
    struct page_count small = {0}, placed = {0}; /* below the smallest size, and not */
    uint64_t random = 88172645463325252;
    size_t range = set->largest_bytes - set->smallest_bytes + 1, n = 0;
    size_t all_bytes = brief && set->all_bytes > BRIEF_BYTES ? BRIEF_BYTES : set->all_bytes;
    bool said = true, passed = true;

    for (size_t bytes = 0; bytes < all_bytes && n < MAX_BLOCKS; n++) {
        size_t size = set->smallest_bytes + next_random(&random) % range;

        blocks[n] = written_block(size);
        /* Of blocks that share a page the first one is looked at. */
        if (size >= PAGE_BYTES || ((uintptr_t)blocks[n] & (PAGE_BYTES - 1)) < size)
            said = count_pages(size < expected.min_size_bytes ? &small : &placed, blocks[n],
                               size >= PAGE_BYTES ? size : 1) &&
                   said;
        bytes += size;
    }
    if (small.all > 0)
        passed = are_spread(set->promise, &small, 0, set->grain_bytes);
    if (placed.all > 0)
        passed =
            are_spread(set->promise, &placed, expected.min_size_bytes, set->grain_bytes) && passed;
    for (size_t i = 0; i < n; i++)
        free(blocks[i]);
    return said && passed && small.all + placed.all > 0;
}

static void check_sets(void) {
    char promise[96];

    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        if (brief && sets[i].smallest_bytes > BRIEF_BYTES)
            continue;
        snprintf(promise, sizeof promise, "%s are where the policy says", sets[i].promise);
        report(set_is_spread(&sets[i]), promise);
    }
}

/* Growing keeps the contents and the shares: the kernel cannot move a range of two policies. */
static void check_realloc(void) {
    static const size_t sizes[] = {5 << 20, 20 << 20, 31 << 20, 64 << 20, 129 << 20, 300 << 20};
    unsigned char *block = NULL;
    size_t before = 0, steps = brief ? 4 : sizeof sizes / sizeof *sizes;
    bool passed = true;

    for (size_t i = 0; passed && i < steps; i++) {
        struct page_count count = {0};

        block = realloc(block, sizes[i]);
        if (block == NULL) {
            printf("# realloc to %zu bytes: %s\n", sizes[i], strerror(errno));
            passed = false;
            break;
        }
        for (size_t at = 0; at < before && passed; at += PAGE_BYTES)
            passed = block[at] == (unsigned char)(at / PAGE_BYTES);
        if (!passed)
            printf("# realloc to %zu bytes lost what the block held\n", sizes[i]);
        for (size_t at = before; at < sizes[i]; at += PAGE_BYTES)
            block[at] = (unsigned char)(at / PAGE_BYTES);
        block[sizes[i] - 1] = 1; /* in a page of its own, perhaps */
        before = sizes[i];
        passed = passed && count_pages(&count, block, sizes[i]) &&
                 are_spread("a growing block", &count, sizes[i], 2 << 20);
    }
    report(passed, "a block that realloc grows from 5 MiB keeps contents and shares");
    free(block);
}

static void check_calloc(void) {
    static const size_t sizes[] = {4 << 10, 200 << 10, 8 << 20, 64 << 20};
    bool passed = true;

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct page_count count = {0};
        size_t n = ((size_t)(brief ? BRIEF_BYTES : 128 << 20)) / sizes[i];

        for (size_t k = 0; k < n; k++) {
            unsigned char *block = calloc(sizes[i], 1);

            if (block == NULL)
                exit(1);
            for (size_t at = 0; at < sizes[i]; at += PAGE_BYTES) {
                passed = passed && block[at] == 0;
                block[at] = 1;
            }
            block[sizes[i] - 1] = 1;
            blocks[k] = block;
            passed = count_pages(&count, block, sizes[i]) && passed;
        }
        for (size_t k = 0; k < n; k++)
            free(blocks[k]);
        passed = are_spread("calloc", &count, sizes[i], 2 << 20) && passed;
    }
    report(passed, "calloc's blocks are zero, and where the policy says");
}

static void check_aligned(void) {
    struct page_count count = {0};
    size_t size = 6 << 20, n = brief ? 10 : 40;
    bool passed = true;

    for (size_t i = 0; i < n; i++) {
        blocks[i] = aligned_alloc(2 << 20, size);
        if (blocks[i] == NULL)
            exit(1);
        memset(blocks[i], 1, size);
        passed = ((uintptr_t)blocks[i] & ((2 << 20) - 1)) == 0 && passed;
        passed = count_pages(&count, blocks[i], size) && passed;
    }
    report(passed && are_spread("aligned blocks", &count, size, 6 << 20),
           "blocks aligned to 2 MiB are where the policy says");
    for (size_t i = 0; i < n; i++)
        free(blocks[i]);
}

/* Blocks that thread after thread has left behind, each thread's own share being only 2 MiB. */
static void *allocate_a_little(void *first) {
    for (int i = 0; i < 2048; i++)
        ((void **)first)[i] = written_block(1024);
    return NULL;
}

static void check_short_threads(void) {
    enum { THREADS = 64, EACH = 2048 };
    struct page_count count = {0};
    pthread_t thread;
    bool passed = true;

    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&thread, NULL, allocate_a_little, &blocks[i * EACH]) != 0 ||
            pthread_join(thread, NULL) != 0)
            exit(1);
    for (int i = 0; i < THREADS * EACH; i++)
        passed = count_pages(&count, blocks[i], 1) && passed;
    report(passed && are_spread("threads' blocks", &count, 1024, 64 << 10),
           "what 64 short-lived threads allocate is where the policy says");
    for (int i = 0; i < THREADS * EACH; i++)
        free(blocks[i]);
}

/* Reads "0=3,1=1" or "0,2-3" (equal shares); false when it is neither. */
static bool read_shares(const char *text) {
    for (char *end; *text != '\0'; text = *end == ',' ? end + 1 : end) {
        unsigned long first = strtoul(text, &end, 10), last = first, weight = 1;

        if (end == text)
            return false;
        if (*end == '-')
            last = strtoul(end + 1, &end, 10);
        if (*end == '=')
            weight = strtoul(end + 1, &end, 10);
        if ((*end != ',' && *end != '\0') || last >= GUEST_NODES || weight == 0)
            return false;
        for (unsigned long node = first; node <= last; node++) {
            expected.weight[node] = (unsigned)weight;
            expected.weights += (unsigned)weight;
        }
    }
    return expected.weights > 0;
}

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 1 && strcmp(argv[1], "--brief") == 0) {
        brief = true;
        argc--;
        argv++;
    }
    if ((argc != 3 && argc != 5) ||
        (strcmp(argv[1], "as") != 0 && strcmp(argv[1], "within") != 0) || !read_shares(argv[2])) {
        fprintf(stderr,
                "usage: shares [--brief] as|within NODE[=WEIGHT],... [MIN_SIZE_BYTES LOCAL_NODE]\n"
                "--brief: at most 64 MiB of each size\n"
                "as: spread by these weights; within: on any of these nodes\n");
        return 2;
    }
    expected.any_of = strcmp(argv[1], "within") == 0;
    if (argc == 5) {
        expected.min_size_bytes = strtoul(argv[3], NULL, 10);
        expected.local_node = atoi(argv[4]);
    }
    check_sets();
    check_realloc();
    check_calloc();
    check_aligned();
    check_short_threads();
    return failures != 0;
}
