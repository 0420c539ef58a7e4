/* Who can be victim and who aggressor: the nodes with CPUs, and which CPUs of each take which part.
 * The kernel says which node a CPU is on; hwloc also counts a node without CPUs as local to those
 * near it. */
#ifndef BENCH_VICTIMS_H
#define BENCH_VICTIMS_H

#include <hwloc.h>
#include <stdbool.h>
#include <stddef.h>

/* A node that has CPUs of either kind. */
struct victim_node {
    int node;                  /* kernel's id; negative: the kernel will not say */
    bool has_victim;           /* a CPU that the victim may run on */
    unsigned victim_cpu;       /* that one */
    hwloc_bitmap_t aggressors; /* CPUs that aggressors may run on, the victim's among them */
};

/* The CPUs to choose from. */
struct victim_choice {
    hwloc_const_bitmap_t victims, aggressors;
    bool aggressors_named; /* by the user: then the victim rather runs on another CPU */
};

/* The nodes of those CPUs, in ascending order, CPU i being on node_of_cpu[i]; a node's victim is
 * its first CPU. Returns how many there are, *nodes allocated; 0 without memory. */
size_t victims_find(const struct victim_choice *choice, const int *node_of_cpu,
                    struct victim_node **nodes);

void victims_free(struct victim_node *nodes, size_t count);

/* Asks the kernel for the node of each of the CPUs by going there; the caller pins itself
 * afterwards. An array up to the last of them, allocated; NULL without memory. Negative for a CPU
 * that cannot be gone to. */
int *victims_ask_nodes(hwloc_topology_t topology, hwloc_const_bitmap_t cpus);

/* The aggressors of `from` beside that victim: without its CPU. Copies into cpus; false when none
 * is left. */
bool victims_beside(const struct victim_node *victim, const struct victim_node *from,
                    hwloc_bitmap_t cpus);

#endif
