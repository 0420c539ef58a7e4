#include "topology.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

bool topology_open(hwloc_topology_t *topology) {
    /* GPU memory that is a node of the kernel is a node here; hwloc before 2.11 hides it. */
    setenv("HWLOC_KEEP_NVIDIA_GPU_NUMA_NODES", "1", 0);
    /* What hwloc cannot read shows in the answers; they are worded once, by the program. */
    setenv("HWLOC_HIDE_ERRORS", "2", 0);
    if (hwloc_topology_init(topology) != 0)
        return false;
    if (hwloc_topology_set_flags(*topology, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED) == 0 &&
        hwloc_topology_load(*topology) == 0)
        return true;
    int error = errno;
    hwloc_topology_destroy(*topology);
    errno = error;
    return false;
}

static bool holds_data(hwloc_obj_t object) {
    return hwloc_obj_type_is_dcache(object->type);
}

/* hwloc's parents of a cache are larger and nearer to memory. */
static bool is_last_level(hwloc_obj_t cache) {
    for (hwloc_obj_t above = cache->parent; above != NULL; above = above->parent)
        if (holds_data(above))
            return false;
    return true;
}

uint64_t topology_cache_bytes(hwloc_topology_t topology) {
    uint64_t total = 0;
    for (int depth = 0; depth < hwloc_topology_get_depth(topology); depth++) {
        hwloc_obj_t object = NULL;
        while ((object = hwloc_get_next_obj_by_depth(topology, depth, object)) != NULL)
            if (holds_data(object) && is_last_level(object))
                total += object->attr->cache.size;
    }
    return total;
}

size_t topology_cpu_caches(hwloc_topology_t topology, unsigned cpu, struct topology_cache *caches,
                           size_t capacity) {
    size_t count = 0;
    for (hwloc_obj_t at = hwloc_get_pu_obj_by_os_index(topology, cpu);
         at != NULL && count < capacity; at = at->parent)
        if (holds_data(at) && at->attr->cache.size > 0)
            caches[count++] = (struct topology_cache){at->attr->cache.depth, at->attr->cache.size};
    return count;
}

uint64_t topology_node_bytes(hwloc_topology_t topology, unsigned node) {
    hwloc_obj_t object = hwloc_get_numanode_obj_by_os_index(topology, node);
    return object != NULL ? object->attr->numanode.local_memory : 0;
}

int topology_touched_node(hwloc_topology_t topology, int node) {
    bool bare = node >= 0 && topology_node_bytes(topology, (unsigned)node) == 0;
    return bare ? -1 : node;
}

enum topology_node topology_check_node(hwloc_topology_t topology, unsigned node) {
    if (hwloc_get_numanode_obj_by_os_index(topology, node) == NULL)
        return TOPOLOGY_NODE_UNKNOWN;
    if (topology_node_bytes(topology, node) == 0)
        return TOPOLOGY_NODE_NO_MEMORY;
    if (!hwloc_bitmap_isset(hwloc_topology_get_allowed_nodeset(topology), node))
        return TOPOLOGY_NODE_NOT_ALLOWED;
    return TOPOLOGY_NODE_USABLE;
}

void topology_usable_nodes(hwloc_topology_t topology, hwloc_bitmap_t nodes) {
    hwloc_bitmap_zero(nodes);
    hwloc_obj_t object = NULL;
    while ((object = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_NUMANODE, object)) != NULL)
        if (topology_check_node(topology, object->os_index) == TOPOLOGY_NODE_USABLE)
            hwloc_bitmap_set(nodes, object->os_index);
}

/* More than any kernel has: a typing error must not cost memory. */
#define CPUS_MAX 65536

/* Reads a number below CPUS_MAX and moves past it. */
static bool read_cpu(const char **at, unsigned *cpu) {
    char *end;
    if (!isdigit((unsigned char)**at))
        return false;
    unsigned long number = strtoul(*at, &end, 10);
    *cpu = (unsigned)number;
    *at = end;
    return number < CPUS_MAX;
}

bool topology_parse_cpus(const char *text, hwloc_bitmap_t cpus) {
    hwloc_bitmap_zero(cpus);
    for (;; text++) {
        unsigned first, last;
        if (!read_cpu(&text, &first))
            return false;
        last = first;
        if (*text == '-' && (text++, !read_cpu(&text, &last)))
            return false;
        if (last < first)
            return false;
        hwloc_bitmap_set_range(cpus, first, (int)last);
        if (*text != ',')
            return *text == '\0';
    }
}

void topology_keep_node(hwloc_topology_t topology, int node, hwloc_bitmap_t cpus) {
    hwloc_obj_t object =
        node >= 0 ? hwloc_get_numanode_obj_by_os_index(topology, (unsigned)node) : NULL;
    if (object != NULL)
        hwloc_bitmap_and(cpus, cpus, object->cpuset);
}
