/* Search trees that are built in random order, looked up, walked and torn down: maps, indexes and
 * syntax trees. Nodes and their keys come in two sizes; how densely and in what order the allocator
 * lays them decides how many cache lines and pages a walk needs. */
#include "workloads.h"

#define NODES     32768 /* of a tree at most: with keys, some 3 MB */
#define KEY_BYTES 24    /* to 24 + 15: two or three size classes */

struct node {
    struct node *left, *right;
    struct block key; /* its order is in its stamp's place of the random numbers */
    uint64_t order;
    uint64_t visits;
};

static void insert(struct worker *worker, struct node **root) {
    uint64_t order = random_next(worker);
    while (*root != NULL)
        root = order < (*root)->order ? &(*root)->left : &(*root)->right;
    struct node *node = malloc(sizeof *node);
    if (node == NULL)
        workload_broken(worker, "no memory for a node of %zu bytes", sizeof *node);
    *node = (struct node){.order = order, .key = block_get(worker, KEY_BYTES + order % 16)};
    *root = node;
}

/* Nodes in order; checks the order and every key. */
static uint64_t walk(const struct worker *worker, struct node *node, uint64_t *last) {
    uint64_t count = 0;
    for (; node != NULL; node = node->right) {
        count += 1 + walk(worker, node->left, last);
        block_check(worker, &node->key);
        if (node->order < *last)
            workload_broken(worker, "the nodes of a tree changed");
        *last = node->order;
        node->visits++;
    }
    return count;
}

static void tear_down(const struct worker *worker, struct node *node) {
    while (node != NULL) {
        struct node *right = node->right;
        tear_down(worker, node->left);
        block_put(worker, node->key);
        free(node);
        node = right;
    }
}

static void tree(struct worker *worker) {
    for (uint64_t count; (count = worker_batch(worker, NODES)) > 0;) {
        struct node *root = NULL;
        for (uint64_t i = 0; i < count; i++)
            insert(worker, &root);
        for (unsigned times = 0; times < 4; times++) {
            uint64_t last = 0;
            if (walk(worker, root, &last) != count)
                workload_broken(worker, "a tree lost nodes");
        }
        tear_down(worker, root);
    }
}

const struct workload workload_tree = {
    .name = "tree",
    .about = "trees built, walked four times and torn down; operation: a node and its key",
    .threads = 1,
    .threads_min = 1,
    .threads_step = 1,
    .operations = 1800000,
    .work = tree,
};
