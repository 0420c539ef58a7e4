// Reads an hwloc XML as an application does. Arguments: FILE CPU... Prints as CSV, of each CPU,
// attribute and node, what hwloc_memattr_get_value() says, and the node that
// hwloc_memattr_get_best_target() finds ("best ATTRIBUTE").
#include <hwloc.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const NAMES[] = {"Bandwidth",      "Latency",     "ReadBandwidth",
                                    "WriteBandwidth", "ReadLatency", "WriteLatency"};

static void print_from(hwloc_topology_t topology, const char *name, unsigned cpu) {
    hwloc_memattr_id_t id;
    hwloc_uint64_t value;
    hwloc_obj_t node = NULL;
    struct hwloc_location from = {.type = HWLOC_LOCATION_TYPE_CPUSET,
                                  .location.cpuset = hwloc_bitmap_alloc()};

    hwloc_bitmap_only(from.location.cpuset, cpu);
    if (hwloc_memattr_get_by_name(topology, name, &id) == 0) {
        while ((node = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_NUMANODE, node)))
            if (hwloc_memattr_get_value(topology, id, node, &from, 0, &value) == 0)
                printf("%s,%u,%u,%llu\n", name, cpu, node->os_index, (unsigned long long)value);
        if (hwloc_memattr_get_best_target(topology, id, &from, 0, &node, &value) == 0)
            printf("best %s,%u,%u,%llu\n", name, cpu, node->os_index, (unsigned long long)value);
    }
    hwloc_bitmap_free(from.location.cpuset);
}

int main(int argc, char **argv) {
    hwloc_topology_t topology;

    if (argc < 3 || hwloc_topology_init(&topology) != 0)
        return 2;
    if (hwloc_topology_set_xml(topology, argv[1]) != 0 || hwloc_topology_load(topology) != 0) {
        fprintf(stderr, "%s: hwloc does not load it\n", argv[1]);
        return 1;
    }
    for (int i = 2; i < argc; i++)
        for (size_t j = 0; j < sizeof NAMES / sizeof *NAMES; j++)
            print_from(topology, NAMES[j], (unsigned)strtoul(argv[i], NULL, 10));
    hwloc_topology_destroy(topology);
    return 0;
}
