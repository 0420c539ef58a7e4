/*
 * Workloads whose remote line fetches are counted in the lab with lab.sh --count, under any
 * preloaded allocator. Threads are pinned; the counted part begins when every thread is ready
 * and warm.
 *
 * Prints one line: workload, section, operations, and how many lines the workload itself makes a
 * CPU fetch from the other node's memory, at most, when every block is on the node of the thread
 * that asked for it: those that read what others have made, or take over the list of it. No
 * placement can save these.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "../../harness/lab/count_mark.h"
#include "guest.h"

enum { NODES = 2, THREADS = 4, LINE_BYTES = 64, MAX_BLOCK_BYTES = 1008 };

/* A thread's work and what came of it. */
struct worker {
    pthread_t thread;
    int id;
    int node;
    uint64_t random;
    uint64_t operations, inherent_lines; /* of the counted part */
    uint64_t sum;                        /* of what was read, so that it must be read */
} __attribute__((aligned(128)));

static struct worker workers[THREADS];
static pthread_barrier_t ready, start, done;

static void pin(int cpu) {
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0) {
        perror("locality: sched_setaffinity");
        exit(2);
    }
}

/* CPUs 0 and 1 are on node 0, 2 and 3 on node 1. */
static int cpu_of(int node, int index) {
    return node * 2 + index;
}

static uint64_t next_random(uint64_t *state) { /* Knuth's MMIX */
    *state = *state * 6364136223846793005 + 1442695040888963407;
    return *state >> 33;
}

static void begin(void) {
    pthread_barrier_wait(&ready);
    pthread_barrier_wait(&start);
}

/* A block says how long it is, so that whoever gets it can read it whole. */
struct content {
    uint32_t bytes;
    uint32_t maker_node;
};

static struct content *make(struct worker *worker) {
    size_t bytes = 16 + next_random(&worker->random) % (MAX_BLOCK_BYTES - 16 + 1);
    struct content *block = malloc(bytes);

    if (block == NULL)
        exit(1);
    memset(block, worker->id, bytes);
    block->bytes = (uint32_t)bytes;
    block->maker_node = (uint32_t)worker->node;
    return block;
}

/* Reads a word of each line. */
static void read_whole(struct worker *worker, const struct content *block) {
    for (size_t at = 0; at < block->bytes / LINE_BYTES * LINE_BYTES + 1; at += LINE_BYTES)
        worker->sum += *(const unsigned char *)((uintptr_t)block + at);
    if ((int)block->maker_node != worker->node)
        worker->inherent_lines += block->bytes / LINE_BYTES + 1;
}

/* --- blocks that only their own thread uses -------------------------------------------------- */

enum { SLOTS = 8000 }; /* 4 MiB of blocks */

/* Replaces blocks at random: free, allocate, write; and reads another one. */
static void churn(struct worker *worker, struct content **slots, uint64_t operations) {
    for (uint64_t i = 0; i < operations; i++) {
        struct content **slot = &slots[next_random(&worker->random) % SLOTS];
        struct content *other = slots[next_random(&worker->random) % SLOTS];

        if (other != NULL)
            read_whole(worker, other);
        free(*slot);
        *slot = make(worker);
    }
}

static struct content *slots_of[THREADS][SLOTS];

enum { CHURN_OPERATIONS = 30000, MIGRATED_OPERATIONS = 120000 };

static void *run_churn(void *argument) {
    struct worker *worker = argument;

    pin(cpu_of(worker->node, worker->id / 2));
    churn(worker, slots_of[worker->id], 3 * SLOTS);
    begin();
    worker->inherent_lines = 0;
    churn(worker, slots_of[worker->id], CHURN_OPERATIONS);
    worker->operations = CHURN_OPERATIONS;
    pthread_barrier_wait(&done);
    return NULL;
}

/* --- threads that move to the other node ------------------------------------------------------ */

static void *run_migrate(void *argument) {
    struct worker *worker = argument;
    struct content **slots;

    pin(cpu_of(worker->node, worker->id / 2));
    churn(worker, slots_of[worker->id], 3 * SLOTS);
    worker->node = 1 - worker->node;
    pin(cpu_of(worker->node, worker->id / 2));
    begin();
    slots = malloc(sizeof slots_of[0]); /* it takes its list along, not its blocks */
    if (slots == NULL)
        exit(1);
    memcpy(slots, slots_of[worker->id], sizeof slots_of[0]);
    worker->inherent_lines = sizeof slots_of[0] / LINE_BYTES;
    churn(worker, slots, MIGRATED_OPERATIONS);
    worker->operations = MIGRATED_OPERATIONS;
    pthread_barrier_wait(&done);
    return NULL;
}

/* --- a server that hands its blocks on to a successor on the other node ------------------------
 */

enum { HANDOVERS = 4, HANDOVER_OPERATIONS = 24000 };
static pthread_barrier_t handover;

/* In each period a thread takes over the blocks that a thread of the other node has left: it frees
 * those one by one, unread, and works on its own in their place. */
static void *run_server(void *argument) {
    struct worker *worker = argument;
    struct content **slots = slots_of[worker->id], **copy = malloc(sizeof slots_of[0]);

    pin(cpu_of(worker->node, worker->id / 2));
    if (copy == NULL)
        exit(1);
    for (int period = -4; period < HANDOVERS; period++) {
        if (period == 0) {
            begin();
            worker->operations = worker->inherent_lines = 0;
        }
        memcpy(copy, slots_of[(worker->id + 1) % THREADS], sizeof slots_of[0]);
        worker->inherent_lines += sizeof slots_of[0] / LINE_BYTES;
        pthread_barrier_wait(&handover);
        memcpy(slots, copy, sizeof slots_of[0]);
        for (uint64_t i = 0; i < HANDOVER_OPERATIONS; i++) {
            struct content **slot = &slots[next_random(&worker->random) % SLOTS];

            free(*slot);
            *slot = make(worker);
            read_whole(worker, *slot);
        }
        worker->operations += HANDOVER_OPERATIONS;
        pthread_barrier_wait(&handover);
    }
    pthread_barrier_wait(&done);
    return NULL;
}

/* --- threads that are born and die -------------------------------------------------------------
 */

enum { GENERATIONS = 24, BORN_BLOCKS = 4000 };

static void *live_once(void *argument) {
    struct worker *worker = argument;
    struct content **slots;

    pin(cpu_of(worker->node, worker->id / 2));
    slots = malloc(BORN_BLOCKS * sizeof *slots);
    if (slots == NULL)
        exit(1);
    for (int i = 0; i < BORN_BLOCKS; i++)
        slots[i] = make(worker);
    for (int i = 0; i < BORN_BLOCKS; i++)
        read_whole(worker, slots[i]);
    for (int i = 0; i < BORN_BLOCKS; i++)
        free(slots[i]);
    free(slots);
    worker->operations += BORN_BLOCKS;
    return NULL;
}

/* Each generation's threads start on the nodes in another order, two a time. */
static void *run_born(void *argument) {
    struct worker *worker = argument;
    bool first = worker->id == 0;

    pin(1);
    for (int generation = -8; first && generation < GENERATIONS; generation++) {
        struct worker life[2];

        if (generation == 0) {
            begin();
            worker->operations = 0;
        }
        for (int i = 0; i < 2; i++) {
            life[i] = (struct worker){.id = i, .node = (generation + 8 + i) / 2 % 2, .random = 1};
            if (pthread_create(&life[i].thread, NULL, live_once, &life[i]) != 0)
                exit(1);
            pthread_join(life[i].thread, NULL);
            worker->operations += life[i].operations;
        }
    }
    if (!first)
        begin();
    pthread_barrier_wait(&done);
    return NULL;
}

/* --- a producer on node 0, consumers on node 1 -------------------------------------------------
 */

enum { RING = 128, BATCH = 63, PRODUCED = 2 * BATCH * 500, WARM_UP = 2 * BATCH * 200 };

/* Blocks are passed in batches, so that passing them costs few lines itself. */
struct batch {
    _Atomic(unsigned) full;
    struct content *block[BATCH];
} __attribute__((aligned(LINE_BYTES)));

static struct batch rings[2][RING]; /* one a consumer */

static void produce(struct worker *worker, uint64_t from, uint64_t to) {
    for (uint64_t i = from / BATCH; i < to / BATCH; i++) {
        struct batch *batch = &rings[i % 2][i / 2 % RING];

        while (atomic_load_explicit(&batch->full, memory_order_acquire))
            sched_yield();
        for (int k = 0; k < BATCH; k++)
            batch->block[k] = make(worker);
        atomic_store_explicit(&batch->full, 1, memory_order_release);
    }
}

static void consume(struct worker *worker, uint64_t from, uint64_t to, bool read) {
    for (uint64_t i = from / BATCH / 2; i < to / BATCH / 2; i++) {
        struct batch *batch = &rings[worker->id - 2][i % RING];

        while (!atomic_load_explicit(&batch->full, memory_order_acquire))
            sched_yield();
        for (int k = 0; k < BATCH; k++) {
            if (read)
                read_whole(worker, batch->block[k]);
            free(batch->block[k]);
        }
        atomic_store_explicit(&batch->full, 0, memory_order_release);
        worker->operations += BATCH;
        worker->inherent_lines += sizeof *batch / LINE_BYTES + 1;
    }
}

static void pass_on(struct worker *worker, bool read) {
    pin(cpu_of(worker->id / 2, worker->id % 2));
    worker->node = worker->id / 2;
    if (worker->id == 0)
        produce(worker, 0, WARM_UP);
    else if (worker->id >= 2)
        consume(worker, 0, WARM_UP, read);
    begin();
    worker->operations = worker->inherent_lines = 0;
    if (worker->id == 0)
        produce(worker, WARM_UP, WARM_UP + PRODUCED);
    else if (worker->id >= 2)
        consume(worker, WARM_UP, WARM_UP + PRODUCED, read);
    pthread_barrier_wait(&done);
}

static void *run_producer(void *argument) {
    pass_on(argument, true);
    return NULL;
}

/* The consumers only free: what is left is the allocators' own. */
static void *run_freer(void *argument) {
    pass_on(argument, false);
    return NULL;
}

/* --- a tree that one thread builds and others walk ---------------------------------------------
 */

enum { TREE_NODES = 40000, WALKS = 2 };

struct tree {
    struct tree *left, *right;
    uint64_t key;
    unsigned char value[40];
};
static struct tree *root;

static void tree_add(struct tree **place, uint64_t key) {
    while (*place != NULL)
        place = key < (*place)->key ? &(*place)->left : &(*place)->right;
    *place = malloc(sizeof **place);
    if (*place == NULL)
        exit(1);
    **place = (struct tree){.key = key};
}

static void tree_walk(struct worker *worker, const struct tree *tree) {
    for (; tree != NULL; tree = tree->right) {
        tree_walk(worker, tree->left);
        worker->sum += tree->key + tree->value[0];
        worker->operations++;
        worker->inherent_lines += worker->node != 0;
    }
}

static void *run_tree(void *argument) {
    struct worker *worker = argument;

    pin(cpu_of(worker->node, worker->id / 2));
    for (int i = 0; worker->id == 0 && i < TREE_NODES; i++)
        tree_add(&root, next_random(&worker->random));
    begin();
    for (int i = 0; i < WALKS; i++)
        tree_walk(worker, root);
    pthread_barrier_wait(&done);
    return NULL;
}

/* Each walker copies the tree first, which is what a program can do about it. */
static struct tree *tree_copy(const struct tree *tree) {
    struct tree *copy;

    if (tree == NULL)
        return NULL;
    copy = malloc(sizeof *copy);
    if (copy == NULL)
        exit(1);
    *copy = *tree;
    copy->left = tree_copy(tree->left);
    copy->right = tree_copy(tree->right);
    return copy;
}

static pthread_barrier_t built;

static void *run_tree_copies(void *argument) {
    struct worker *worker = argument;
    struct tree *own;

    pin(cpu_of(worker->node, worker->id / 2));
    for (int i = 0; worker->id == 0 && i < TREE_NODES; i++)
        tree_add(&root, next_random(&worker->random));
    pthread_barrier_wait(&built);
    own = tree_copy(root);
    begin();
    for (int i = 0; i < WALKS; i++)
        tree_walk(worker, own);
    worker->inherent_lines = 0;
    pthread_barrier_wait(&done);
    return NULL;
}

static const struct {
    const char *name;
    void *(*run)(void *);
} workloads[] = {
    {"churn", run_churn},   {"migrate", run_migrate},
    {"server", run_server}, {"born", run_born},
    {"freer", run_freer},   {"producer", run_producer},
    {"tree", run_tree},     {"tree-copies", run_tree_copies},
};
enum { WORKLOADS = sizeof workloads / sizeof *workloads };

int main(int argc, char **argv) {
    uint64_t operations = 0, inherent_lines = 0;
    unsigned section;
    int chosen = 0;

    while (argc == 3 && chosen < WORKLOADS && strcmp(workloads[chosen].name, argv[1]) != 0)
        chosen++;
    if (argc != 3 || chosen == WORKLOADS || atoi(argv[2]) < 0 ||
        atoi(argv[2]) >= COUNT_MARK_SECTIONS) {
        fprintf(stderr, "usage: locality WORKLOAD SECTION; workloads:");
        for (int i = 0; i < WORKLOADS; i++)
            fprintf(stderr, " %s", workloads[i].name);
        fprintf(stderr, "\n");
        return 2;
    }
    section = (unsigned)atoi(argv[2]);
    if (!count_mark_map()) {
        fprintf(stderr, "locality: the marks' page is taken\n");
        return 1;
    }
    pthread_barrier_init(&ready, NULL, THREADS + 1);
    pthread_barrier_init(&start, NULL, THREADS + 1);
    pthread_barrier_init(&done, NULL, THREADS + 1);
    pthread_barrier_init(&handover, NULL, THREADS);
    pthread_barrier_init(&built, NULL, THREADS);
    pin(1);
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.id = i, .node = i % NODES, .random = (uint64_t)i + 1};
        if (pthread_create(&workers[i].thread, NULL, workloads[chosen].run, &workers[i]) != 0) {
            fprintf(stderr, "locality: no thread\n");
            return 1;
        }
    }
    pthread_barrier_wait(&ready);
    count_mark_begin(section);
    pthread_barrier_wait(&start);
    pthread_barrier_wait(&done);
    count_mark_end(section);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        operations += workers[i].operations;
        inherent_lines += workers[i].inherent_lines;
    }
    printf("%s,%u,%lu,%lu\n", workloads[chosen].name, section, operations, inherent_lines);
    return 0;
}
