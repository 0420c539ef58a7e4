#include "victims.h"

#include <stdlib.h>

#include "session.h"

/* The node's entry, added in its place when there is none; NULL without memory. `nodes` has room
 * for one more. */
static struct victim_node *entry_of(struct victim_node *nodes, size_t *count, int node) {
    size_t at = 0;
    while (at < *count && nodes[at].node < node)
        at++;
    if (at < *count && nodes[at].node == node)
        return &nodes[at];
    hwloc_bitmap_t aggressors = hwloc_bitmap_alloc();
    if (aggressors == NULL)
        return NULL;
    for (size_t i = (*count)++; i > at; i--)
        nodes[i] = nodes[i - 1];
    nodes[at] = (struct victim_node){.node = node, .aggressors = aggressors};
    return &nodes[at];
}

/* Of the CPUs that may be the victim's the first counts, but one that is not named as an
 * aggressor's comes before one that is. */
static void offer_victim(struct victim_node *node, unsigned cpu,
                         const struct victim_choice *choice) {
    bool named = choice->aggressors_named && hwloc_bitmap_isset(choice->aggressors, cpu);
    bool has_named = node->has_victim && choice->aggressors_named &&
                     hwloc_bitmap_isset(choice->aggressors, node->victim_cpu);
    if (node->has_victim && !(has_named && !named))
        return;
    node->has_victim = true;
    node->victim_cpu = cpu;
}

size_t victims_find(const struct victim_choice *choice, const int *node_of_cpu,
                    struct victim_node **nodes) {
    size_t count = 0;
    hwloc_bitmap_t all = hwloc_bitmap_alloc();
    hwloc_bitmap_or(all, choice->victims, choice->aggressors);
    *nodes = calloc((size_t)hwloc_bitmap_weight(all) + 1, sizeof **nodes);
    int cpu = *nodes != NULL ? hwloc_bitmap_first(all) : -1;
    for (; cpu >= 0; cpu = hwloc_bitmap_next(all, cpu)) {
        struct victim_node *node = entry_of(*nodes, &count, node_of_cpu[cpu]);
        if (node == NULL) {
            victims_free(*nodes, count);
            *nodes = NULL;
            count = 0;
            break;
        }
        if (hwloc_bitmap_isset(choice->victims, (unsigned)cpu))
            offer_victim(node, (unsigned)cpu, choice);
        if (hwloc_bitmap_isset(choice->aggressors, (unsigned)cpu))
            hwloc_bitmap_set(node->aggressors, (unsigned)cpu);
    }
    hwloc_bitmap_free(all);
    return count;
}

void victims_free(struct victim_node *nodes, size_t count) {
    for (size_t i = 0; i < count; i++)
        hwloc_bitmap_free(nodes[i].aggressors);
    free(nodes);
}

int *victims_ask_nodes(hwloc_topology_t topology, hwloc_const_bitmap_t cpus) {
    int last = hwloc_bitmap_last(cpus);
    int *nodes = calloc((size_t)last + 1, sizeof *nodes);
    hwloc_bitmap_t only = hwloc_bitmap_alloc();
    for (int cpu = hwloc_bitmap_first(cpus); nodes != NULL && only != NULL && cpu >= 0;
         cpu = hwloc_bitmap_next(cpus, cpu)) {
        hwloc_bitmap_only(only, (unsigned)cpu);
        bool there = hwloc_set_cpubind(topology, only, HWLOC_CPUBIND_THREAD) == 0;
        nodes[cpu] = there ? session_current_node() : -1;
    }
    hwloc_bitmap_free(only);
    return nodes;
}

bool victims_beside(const struct victim_node *victim, const struct victim_node *from,
                    hwloc_bitmap_t cpus) {
    hwloc_bitmap_copy(cpus, from->aggressors);
    hwloc_bitmap_clr(cpus, victim->victim_cpu);
    return !hwloc_bitmap_iszero(cpus);
}
