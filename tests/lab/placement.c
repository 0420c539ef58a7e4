/*
 * Asks the kernel where the blocks of a preloaded numa_alloc.so are, on a machine of at least two
 * nodes. Prints TAP without a plan; exit status 1 when a promise is broken, 2 for bad usage.
 */
#include <pthread.h>
#include <sys/wait.h>

#include "guest.h"

enum { NODES = 2, MAX_BLOCKS = 20000 };

/* True when every page of the block is on `node`; says what is not. The block must have been
 * written. */
static bool is_on_node(const void *block, size_t size_bytes, int node) {
    struct page_count count = {0};

    if (!count_pages(&count, block, size_bytes))
        return false;
    if (count.on_node[node] != count.all)
        printf("# block of %zu bytes: %zu of %zu pages are on node %d\n", size_bytes,
               count.on_node[node], count.all, node);
    return count.on_node[node] == count.all;
}

/* What is allocated together and looked at together. */
struct blocks {
    size_t size_bytes;
    size_t count;
    size_t first; /* the first one looked at */
    unsigned char *block[MAX_BLOCKS];
};

static void allocate(struct blocks *blocks, size_t size_bytes, size_t count) {
    blocks->size_bytes = size_bytes;
    blocks->count = count;
    blocks->first = 0;
    for (size_t i = 0; i < count; i++)
        blocks->block[i] = written_block(size_bytes);
}

static void release(struct blocks *blocks) {
    for (size_t i = 0; i < blocks->count; i++)
        free(blocks->block[i]);
    blocks->count = 0;
}

static bool are_on_node(const struct blocks *blocks, int node) {
    for (size_t i = blocks->first; i < blocks->count; i++)
        if (!is_on_node(blocks->block[i], blocks->size_bytes, node))
            return false;
    return true;
}

static struct blocks shared; /* too large for a stack */

static const struct {
    const char *promise;
    size_t size_bytes;
    size_t count;
} sizes[] = {
    {"blocks of 16 bytes are on the node", 16, 20000},
    {"blocks of 200 bytes are on the node", 200, 5000},
    {"blocks of 3000 bytes are on the node", 3000, 1000},
    {"blocks of 100 KiB are on the node", 100 << 10, 100},
    {"blocks of 8 MiB are on the node", 8 << 20, 4},
    {"a block of 64 MiB is on the node", 64 << 20, 1},
};

static void check_sizes(int node) {
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        allocate(&shared, sizes[i].size_bytes, sizes[i].count);
        report(are_on_node(&shared, node), sizes[i].promise);
        release(&shared);
    }
}

static void check_calloc(int node) {
    bool passed = true;

    for (size_t size = 64; size <= 16 << 20; size *= 16) {
        unsigned char *block = calloc(size, 1);

        for (size_t i = 0; block != NULL && i < size; i += PAGE_BYTES)
            block[i] = 1;
        passed = passed && block != NULL && is_on_node(block, size, node);
        free(block);
    }
    report(passed, "calloc's blocks are on the node");
}

static void check_realloc(int node) {
    unsigned char *block = NULL;
    bool passed = true;

    for (size_t size = 16; size <= 64 << 20 && passed; size *= 4) {
        block = realloc(block, size);
        if (block == NULL)
            break;
        memset(block, 1, size);
        passed = is_on_node(block, size, node);
    }
    report(block != NULL && passed, "a block that realloc grows to 64 MiB stays on the node");
    free(block);
}

static void check_aligned(int node) {
    size_t size = 4 << 20;
    unsigned char *block = aligned_alloc(2 << 20, size);

    if (block != NULL)
        memset(block, 1, size);
    report(block != NULL && is_on_node(block, size, node), "an aligned block is on the node");
    free(block);
}

static void *free_from_node(void *node) {
    run_on_node(*(int *)node);
    release(&shared);
    return NULL;
}

/* Frees the shared blocks from a thread on `node` and waits for it. */
static void release_from_node(int node) {
    pthread_t thread;

    if (pthread_create(&thread, NULL, free_from_node, &node) != 0 ||
        pthread_join(thread, NULL) != 0) {
        printf("Bail out! no thread\n");
        exit(1);
    }
}

static void check_free_from_the_other_node(int node) {
    static const size_t tried[] = {64, 100 << 10, 8 << 20};
    bool passed = true;

    for (size_t i = 0; i < sizeof tried / sizeof *tried; i++) {
        size_t count = tried[i] == 64 ? 10000 : 8;

        allocate(&shared, tried[i], count);
        release_from_node(1 - node);
        allocate(&shared, tried[i], count);
        passed = are_on_node(&shared, node) && passed;
        release(&shared);
    }
    report(passed, "blocks freed by a thread on the other node are on the node again");
}

struct worker {
    pthread_t thread;
    int expected; /* node */
    bool passed;
};

static void *allocate_as_worker(void *argument) {
    struct worker *worker = argument;

    worker->passed = true;
    for (size_t size = 32; size <= 1 << 20; size *= 2) {
        unsigned char *block = malloc(size);

        memset(block, 1, size);
        worker->passed = is_on_node(block, size, worker->expected) && worker->passed;
        free(block);
    }
    return NULL;
}

/* Two threads a node, at once; `node` is expected of all, or -1: each thread's own. */
static bool workers_blocks_are_on(int node) {
    struct worker workers[2 * NODES];
    bool passed = true;

    for (int i = 0; i < 2 * NODES; i++) {
        cpu_set_t set = cpus_of_node(i % NODES);
        pthread_attr_t attributes; /* on its node from its first instruction */

        workers[i].expected = node < 0 ? i % NODES : node;
        pthread_attr_init(&attributes);
        pthread_attr_setaffinity_np(&attributes, sizeof set, &set);
        if (pthread_create(&workers[i].thread, &attributes, allocate_as_worker, &workers[i]) != 0)
            return false;
        pthread_attr_destroy(&attributes);
    }
    for (int i = 0; i < 2 * NODES; i++) {
        pthread_join(workers[i].thread, NULL);
        passed = passed && workers[i].passed;
    }
    return passed;
}

static void check_fork(int node) {
    pid_t child;
    int status = 0;

    fflush(stdout);
    child = fork();
    if (child == 0) {
        unsigned char *block = malloc(1 << 20);

        memset(block, 1, 1 << 20);
        _exit(is_on_node(block, 1 << 20, node) ? 0 : 1);
    }
    report(child > 0 && waitpid(child, &status, 0) == child && status == 0,
           "a forked child's blocks are on the node");
}

static void check_numa_maps(const char *expected) {
    struct mapping mapping;
    bool passed = true;

    for (size_t size = 64; size <= 16 << 20; size <<= 6) {
        unsigned char *block = malloc(size);

        *block = 1;
        if (!numa_maps_of(block, &mapping) || strcmp(mapping.policy, expected) != 0) {
            printf("# block of %zu bytes: numa_maps says %s, not %s\n", size, mapping.policy,
                   expected);
            passed = false;
        }
        free(block);
    }
    report(passed, "numa_maps shows the policy");
}

/* bind and preferred: one node, wherever threads run. */
static void check_fixed(int node, const char *policy) {
    check_sizes(node);
    check_calloc(node);
    check_realloc(node);
    check_aligned(node);
    check_numa_maps(policy);
    check_fork(node);
    report(workers_blocks_are_on(node), "threads on every node get blocks on the node");
    check_free_from_the_other_node(node);
}

/* A thread on `node` that moves to the other one afterwards. */
static void check_local(int node) {
    static struct blocks first;

    run_on_node(node);
    check_sizes(node);
    check_calloc(node);
    check_realloc(node);
    check_free_from_the_other_node(node);
    report(workers_blocks_are_on(-1), "each thread's blocks are on its own node");

    allocate(&first, 300, 2000);
    run_on_node(1 - node);
    /* It may use up the page it has, and a few more before the allocator believes in the move. */
    allocate(&shared, 300, 4000);
    shared.first = 2000;
    report(are_on_node(&shared, 1 - node),
           "a thread that moved soon takes blocks from its new node");
    report(are_on_node(&first, node), "its older blocks stay where they were");
    release(&first);
    release(&shared);
    allocate(&shared, 300, 6000);
    report(are_on_node(&shared, 1 - node),
           "older blocks that it frees are not reused on the new node");
    release(&shared);
}

static void check_first_touch(void) {
    size_t size = 16 << 20;
    unsigned char *block;
    struct mapping mapping;
    bool found;

    run_on_node(0);
    block = malloc(size);
    memset(block, 1, size / 2);
    run_on_node(1);
    memset(block + size / 2, 1, size / 2);
    found = numa_maps_of(block, &mapping);
    report(is_on_node(block, size / 4, 0), "pages first touched from node 0 are there");
    /* A huge page across the middle belongs to who touched it first. */
    report(is_on_node(block + size * 3 / 4, size / 4, 1),
           "pages first touched from node 1 are there");
    report(found && strcmp(mapping.policy, "default") == 0, "numa_maps shows no policy");
    free(block);
}

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (cpu_of_node(NODES - 1) < 0) {
        fprintf(stderr, "placement: needs CPUs on nodes 0 and 1\n");
        return 2;
    }
    if (argc == 4 && strcmp(argv[1], "fixed") == 0)
        check_fixed(atoi(argv[2]), argv[3]);
    else if (argc == 3 && strcmp(argv[1], "local") == 0)
        check_local(atoi(argv[2]));
    else if (argc == 2 && strcmp(argv[1], "first-touch") == 0)
        check_first_touch();
    else {
        fprintf(stderr, "usage: placement fixed NODE POLICY | local NODE | first-touch\n"
                        "POLICY is as numa_maps words it, such as bind:1 or prefer:1\n");
        return 2;
    }
    return failures != 0;
}
