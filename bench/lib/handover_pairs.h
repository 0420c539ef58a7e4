/* Every two of some CPUs, and their figures as a matrix and by how near the two are. */
#ifndef BENCH_HANDOVER_PAIRS_H
#define BENCH_HANDOVER_PAIRS_H

#include <hwloc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "series.h"

struct handover_pair {
    unsigned cpu;
    int cpu_node;
    struct series_other other;
};

/* Lists every two of the CPUs once, the lower first, nodes still unknown; returns how many there
 * are. *pairs is the caller's to free; NULL when there is no memory. */
size_t handover_pairs_list(hwloc_const_bitmap_t cpus, struct handover_pair **pairs);

/* How near the CPUs of a pair are: one core, or two nodes, which may be the same. */
struct handover_distance {
    bool same_core;
    int nodes[2]; /* the lower first; negative: not known */
};

struct handover_distance handover_pairs_distance(hwloc_topology_t topology,
                                                 const struct handover_pair *pair);

/* Writes a matrix of figures[i] of pairs[i], a row and a column a CPU. */
void handover_pairs_matrix(FILE *out, hwloc_const_bitmap_t cpus, const struct handover_pair *pairs,
                           const double *figures, size_t count);

/* Writes minimum, median and maximum of the figures of each distance, the nearest first. */
void handover_pairs_summary(FILE *out, hwloc_topology_t topology, const struct handover_pair *pairs,
                            const double *figures, size_t count);

#endif
