/* What the benchmarks need to know of the machine. Nodes and CPUs go by the kernel's ids, never by
 * a count: ids have gaps. Every question takes the topology, so a test asks them of a made-up one.
 */
#ifndef BENCH_TOPOLOGY_H
#define BENCH_TOPOLOGY_H

#include <hwloc.h>
#include <stdbool.h>
#include <stdint.h>

/* Reads this machine, with what a cpuset hides included. False with errno when hwloc cannot. */
bool topology_open(hwloc_topology_t *topology);

/* Bytes of all last-level caches together (a cache with no cache above it); 0 when unknown. */
uint64_t topology_cache_bytes(hwloc_topology_t topology);

struct topology_cache {
    unsigned level; /* 1, 2, ... */
    uint64_t size_bytes;
};

/* Fills in the caches that hold a CPU's data, the nearest first; returns how many there are, at
 * most capacity. */
size_t topology_cpu_caches(hwloc_topology_t topology, unsigned cpu, struct topology_cache *caches,
                           size_t capacity);

enum topology_node {
    TOPOLOGY_NODE_USABLE,
    TOPOLOGY_NODE_UNKNOWN,     /* no such id */
    TOPOLOGY_NODE_NO_MEMORY,   /* CPUs only */
    TOPOLOGY_NODE_NOT_ALLOWED, /* outside the process's cpuset */
};

/* May memory be asked for on this node? */
enum topology_node topology_check_node(hwloc_topology_t topology, unsigned node);

/* Bytes of memory the node has in all; 0 when it has none or there is no such node. */
uint64_t topology_node_bytes(hwloc_topology_t topology, unsigned node);

/* Where memory is that a CPU of the node touches first: on the node, or, negative, wherever the
 * kernel chooses, since the node has CPUs only. */
int topology_touched_node(hwloc_topology_t topology, int node);

/* Reads a list of CPUs such as "0,8-9" into cpus. False for anything else. */
bool topology_parse_cpus(const char *text, hwloc_bitmap_t cpus);

/* Takes those CPUs out that are not on the node; does nothing when the node's CPUs are not known.
 */
void topology_keep_node(hwloc_topology_t topology, int node, hwloc_bitmap_t cpus);

/* Fills nodes with those that topology_check_node calls usable. */
void topology_usable_nodes(hwloc_topology_t topology, hwloc_bitmap_t nodes);

#endif
