/* The machine as sysfs describes it, or as something in its place does. */
#pragma GCC diagnostic ignored "-Wunused-function"
#include "alloc/topology.c"

#include "fuzz.h"

#include <stdio.h>

static const char *const files[] = {"online",         "has_memory",    "has_cpu",
                                    "node0/distance", "node0/cpulist", "node0/meminfo",
                                    "weights/node0",  "node2/distance"};

static void check_set(const struct node_set *set) {
    static char list[16384];
    struct text text = {list, 0, sizeof list - 1};
    struct node_set again;
    node_set_format(set, &text);
    list[text.length] = '\0';
    fuzz_expect(node_set_parse(list, &again));
    fuzz_expect(memcmp(&again, set, sizeof again) == 0);
    unsigned count = 0;
    for (int node = node_set_next(set, 0); node >= 0; node = node_set_next(set, (unsigned)node + 1))
        count++;
    fuzz_expect(count == node_set_count(set));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    struct topology topology;
    struct node_set allowed;
    unsigned long cpus[CPU_IDS_MAX / 64];
    uint8_t weights[NODE_IDS_MAX];
    uint64_t free_bytes;
    char list[512];
    memset(weights, 3, sizeof weights);
    (void)fuzz_text(&bytes, &size, list, sizeof list);
    bool limited = node_set_parse(list, &allowed);
    fuzz_files(&bytes, &size, files, sizeof files / sizeof *files);
    topology_read(&topology, fuzz_folder(), limited ? &allowed : NULL);
    check_set(&topology.online);
    check_set(&topology.has_memory);
    check_set(&topology.has_cpu);
    for (size_t i = 0; i < NODE_IDS_MAX / 64; i++) {
        fuzz_expect((topology.has_memory.words[i] & topology.forbidden.words[i]) == 0);
        fuzz_expect(!limited || (topology.has_memory.words[i] & ~allowed.words[i]) == 0);
    }
    for (unsigned node = 0; node < 4; node++) {
        int nearest = topology_nearest_memory(&topology, node);
        fuzz_expect(nearest < 0 ? node_set_empty(&topology.has_memory)
                                : node_set_has(&topology.has_memory, (unsigned)nearest));
        (void)topology_read_node_cpus(&topology, node, cpus, CPU_IDS_MAX);
        (void)topology_read_node_cpus(&topology, node, cpus, 64);
        (void)topology_read_node_free(&topology, node, &free_bytes);
    }
    snprintf(list, sizeof list, "%s/weights", fuzz_folder());
    (void)topology_kernel_weights_match(list, &topology.has_memory, weights);
    return 0;
}
