/* Questions to made-up machines: caches, nodes without memory or CPUs, ids with gaps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "bench/lib/topology.h"

#define MIB ((uint64_t)1 << 20)

/* A machine from hwloc's synthetic description. */
static hwloc_topology_t made_up(const char *description) {
    hwloc_topology_t topology;
    assert_int_equal(hwloc_topology_init(&topology), 0);
    assert_int_equal(hwloc_topology_set_synthetic(topology, description), 0);
    assert_int_equal(hwloc_topology_load(topology), 0);
    return topology;
}

static void assert_usable(hwloc_topology_t topology, const char *expected) {
    char list[64];
    hwloc_bitmap_t nodes = hwloc_bitmap_alloc();
    topology_usable_nodes(topology, nodes);
    hwloc_bitmap_list_snprintf(list, sizeof list, nodes);
    assert_string_equal(list, expected);
    hwloc_bitmap_free(nodes);
}

static void last_level_caches_of_all_packages_add_up(void **state) {
    (void)state;
    hwloc_topology_t topology =
        made_up("pack:2 [numa] l3:2(size=32MiB) l2:4(size=1MiB) l1:1(size=48KiB) core:1 pu:2");
    assert_int_equal(topology_cache_bytes(topology), 128 * MIB);
    hwloc_topology_destroy(topology);
}

static void without_an_l3_the_l2_is_last(void **state) {
    (void)state;
    hwloc_topology_t topology =
        made_up("pack:1 [numa] l2:4(size=2MiB) l1:1(size=32KiB) core:1 pu:1");
    assert_int_equal(topology_cache_bytes(topology), 8 * MIB);
    hwloc_topology_destroy(topology);
}

static void no_cache_known_is_zero(void **state) {
    (void)state;
    hwloc_topology_t topology = made_up("pack:1 [numa] core:4 pu:1");
    assert_int_equal(topology_cache_bytes(topology), 0);
    hwloc_topology_destroy(topology);
}

static void node_ids_may_have_gaps(void **state) {
    (void)state;
    hwloc_topology_t topology =
        made_up("pack:3 [numa(indexes=0,8,252 memory=1073741824)] core:2 pu:1");
    assert_usable(topology, "0,8,252");
    assert_int_equal(topology_check_node(topology, 8), TOPOLOGY_NODE_USABLE);
    assert_int_equal(topology_check_node(topology, 1), TOPOLOGY_NODE_UNKNOWN);
    assert_int_equal(topology_check_node(topology, 1023), TOPOLOGY_NODE_UNKNOWN);
    assert_int_equal(topology_node_bytes(topology, 252), 1024 * MIB);
    assert_int_equal(topology_node_bytes(topology, 1), 0);
    hwloc_topology_destroy(topology);
}

static void a_node_without_memory_is_not_usable(void **state) {
    (void)state;
    hwloc_topology_t topology = made_up("pack:2 [numa(memory=0)] core:2 pu:1");
    assert_usable(topology, "");
    assert_int_equal(topology_check_node(topology, 1), TOPOLOGY_NODE_NO_MEMORY);
    hwloc_topology_destroy(topology);
}

static void a_node_without_cpus_is_usable(void **state) {
    (void)state;
    hwloc_topology_t topology =
        made_up("[numa(memory=536870912)] pack:2 [numa(memory=1073741824)] core:2 pu:1");
    assert_int_equal(topology_check_node(topology, 2), TOPOLOGY_NODE_USABLE);
    assert_int_equal(topology_node_bytes(topology, 2), 512 * MIB);
    hwloc_topology_destroy(topology);
}

static void a_node_outside_the_cpuset_is_told_apart(void **state) {
    (void)state;
    hwloc_topology_t topology;
    assert_int_equal(hwloc_topology_init(&topology), 0);
    assert_int_equal(hwloc_topology_set_flags(topology, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED), 0);
    assert_int_equal(
        hwloc_topology_set_synthetic(topology, "pack:2 [numa(memory=1073741824)] core:2 pu:1"), 0);
    assert_int_equal(hwloc_topology_load(topology), 0);
    hwloc_bitmap_t only = hwloc_bitmap_alloc();
    hwloc_bitmap_only(only, 0);
    assert_int_equal(hwloc_topology_allow(topology, NULL, only, HWLOC_ALLOW_FLAG_CUSTOM), 0);
    hwloc_bitmap_free(only);
    assert_usable(topology, "0");
    assert_int_equal(topology_check_node(topology, 1), TOPOLOGY_NODE_NOT_ALLOWED);
    hwloc_topology_destroy(topology);
}

static void cpu_lists_are_read(void **state) {
    static const char *const accepted[][2] = {
        {"0", "0"}, {"0,2-3", "0,2-3"}, {"3,1,2", "1-3"}, {"8-8", "8"}, {"007", "7"}};
    static const char *const refused[] = {"",    "a",   "1,",  ",1",  "1-",       "-1",
                                          "3-1", "1 2", "1;2", "0x1", "99999999", "1-2-3"};
    char list[64];
    hwloc_bitmap_t cpus = hwloc_bitmap_alloc();
    (void)state;
    for (size_t i = 0; i < sizeof accepted / sizeof accepted[0]; i++) {
        assert_true(topology_parse_cpus(accepted[i][0], cpus));
        hwloc_bitmap_list_snprintf(list, sizeof list, cpus);
        assert_string_equal(list, accepted[i][1]);
    }
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        assert_false(topology_parse_cpus(refused[i], cpus));
    hwloc_bitmap_free(cpus);
}

static void assert_kept(hwloc_topology_t topology, int node, const char *expected) {
    char list[64];
    hwloc_bitmap_t cpus = hwloc_bitmap_alloc();
    hwloc_bitmap_set_range(cpus, 0, 4);
    topology_keep_node(topology, node, cpus);
    hwloc_bitmap_list_snprintf(list, sizeof list, cpus);
    assert_string_equal(list, expected);
    hwloc_bitmap_free(cpus);
}

static void cpus_of_one_node_are_kept(void **state) {
    (void)state;
    hwloc_topology_t topology =
        made_up("pack:3 [numa(indexes=0,8,252 memory=1073741824)] core:2 pu:1");
    assert_kept(topology, 0, "0-1");
    assert_kept(topology, 8, "2-3");
    assert_kept(topology, 252, "4");
    assert_kept(topology, -1, "0-4");
    assert_kept(topology, 1, "0-4");
    hwloc_topology_destroy(topology);
}

static void this_machine_can_be_read(void **state) {
    (void)state;
    hwloc_topology_t topology;
    assert_true(topology_open(&topology));
    assert_true(hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_PU) > 0);
    hwloc_topology_destroy(topology);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(last_level_caches_of_all_packages_add_up),
        cmocka_unit_test(without_an_l3_the_l2_is_last),
        cmocka_unit_test(no_cache_known_is_zero),
        cmocka_unit_test(node_ids_may_have_gaps),
        cmocka_unit_test(a_node_without_memory_is_not_usable),
        cmocka_unit_test(a_node_without_cpus_is_usable),
        cmocka_unit_test(a_node_outside_the_cpuset_is_told_apart),
        cmocka_unit_test(cpu_lists_are_read),
        cmocka_unit_test(cpus_of_one_node_are_kept),
        cmocka_unit_test(this_machine_can_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
