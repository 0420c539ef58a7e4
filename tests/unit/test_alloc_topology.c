/* Nodes as the allocator sees them, on machines that are folders. */
#pragma GCC diagnostic ignored "-Wunused-function"
#include "alloc/topology.c"
#include "made_up_machine.h"

static struct node_set set_of(const char *list) {
    struct node_set set;
    assert_true(node_set_parse(list, &set));
    return set;
}

static void assert_set(const struct node_set *set, const char *list) {
    char chars[256];
    struct text text = {chars, 0, sizeof chars - 1};
    node_set_format(set, &text);
    chars[text.length] = '\0';
    assert_string_equal(chars, list);
}

static void lists_of_the_kernel_are_read_back(void **state) {
    (void)state;
    static const char *const same[] = {"",        "0",     "0-3",         "0,2-3,8",
                                       "63-64",   "1023",  "0,252-255",   "0-1023",
                                       "1,3,5,7", "62-66", "127-128,1000"};
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        struct node_set set = set_of(same[i]);
        assert_set(&set, same[i]);
    }
    struct node_set set = set_of("3,1,2\n");
    assert_set(&set, "1-3");
    set = set_of(" \t0\n");
    assert_set(&set, "0");
}

static void lists_that_are_none_are_refused(void **state) {
    (void)state;
    static const char *const bad[] = {"x",
                                      "1-",
                                      "-1",
                                      "2-1",
                                      "0,",
                                      "0,,1",
                                      "0 1",
                                      "1024",
                                      "0-1024",
                                      "0x1",
                                      "99999999999999999999"};
    struct node_set set;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(node_set_parse(bad[i], &set));
}

static void sets_are_walked_in_order_across_words(void **state) {
    (void)state;
    struct node_set set = set_of("0,63,64,1023");
    static const int expected[] = {0, 63, 64, 1023, -1};
    int node = node_set_next(&set, 0);
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        assert_int_equal(node, expected[i]);
        node = node_set_next(&set, (unsigned)node + 1);
    }
    assert_int_equal(node_set_count(&set), 4);
    assert_false(node_set_has(&set, 1024));
}

static void a_machine_with_gaps_keeps_its_ids(void **state) {
    (void)state;
    struct made_up_machine machine;
    struct topology topology;
    struct node_set allowed = set_of("0-1023");
    machine_begin(&machine);
    machine_file(&machine, "online", "0,8,252-255\n");
    machine_file(&machine, "has_memory", "0,8,252\n");
    machine_file(&machine, "has_cpu", "0,8\n");
    topology_read(&topology, machine.root, &allowed);
    assert_true(topology.sysfs_read);
    assert_set(&topology.online, "0,8,252-255");
    assert_set(&topology.has_memory, "0,8,252");
    assert_set(&topology.has_cpu, "0,8");
    machine_end(&machine);
}

static void nodes_outside_the_cpuset_are_forbidden_not_absent(void **state) {
    (void)state;
    struct made_up_machine machine;
    struct topology topology;
    struct node_set allowed = set_of("1");
    machine_begin(&machine);
    machine_file(&machine, "online", "0-2\n");
    machine_file(&machine, "has_memory", "0-1\n");
    topology_read(&topology, machine.root, &allowed);
    assert_set(&topology.has_memory, "1");
    assert_set(&topology.forbidden, "0");
    machine_end(&machine);
}

static void a_masked_sysfs_leaves_the_allowed_nodes(void **state) {
    (void)state;
    struct topology topology;
    struct node_set allowed = set_of("2-3");
    topology_read(&topology, "/nonexistent", &allowed);
    assert_false(topology.sysfs_read);
    assert_set(&topology.has_memory, "2-3");
}

static void a_file_in_another_format_counts_as_missing(void **state) {
    (void)state;
    struct made_up_machine machine;
    struct topology topology;
    struct node_set allowed = set_of("0");
    machine_begin(&machine);
    machine_file(&machine, "online", "nonsense\n");
    topology_read(&topology, machine.root, &allowed);
    assert_false(topology.sysfs_read);
    assert_set(&topology.has_memory, "0");
    machine_end(&machine);
}

static void a_node_without_memory_uses_the_nearest_that_has_some(void **state) {
    (void)state;
    struct made_up_machine machine;
    struct topology topology;
    struct node_set allowed = set_of("0-1023");
    machine_begin(&machine);
    machine_file(&machine, "online", "0,4,9\n");
    machine_file(&machine, "has_memory", "0,9\n");
    machine_file(&machine, "has_cpu", "0,4\n");
    /* Columns are the online nodes in order: 0, 4, 9. */
    machine_file(&machine, "node4/distance", "31 10 21\n");
    topology_read(&topology, machine.root, &allowed);
    assert_int_equal(topology_nearest_memory(&topology, 4), 9);
    assert_int_equal(topology_nearest_memory(&topology, 0), 0);
    assert_int_equal(topology_nearest_memory(&topology, 77), 0);
    machine_end(&machine);
}

static void a_list_too_long_to_be_read_whole_counts_as_missing(void **state) {
    (void)state;
    struct made_up_machine machine;
    struct topology topology;
    struct node_set allowed = set_of("0");
    static char list[8192];
    memset(list, '0', sizeof list - 1); /* its start is a list as well: "000..." */
    machine_begin(&machine);
    machine_file(&machine, "online", list);
    topology_read(&topology, machine.root, &allowed);
    assert_false(topology.sysfs_read);
    machine_end(&machine);
}

/* A node with CPUs and no memory, and one with memory and no CPUs, ids apart. */
static void begin_uneven_machine(struct made_up_machine *machine, struct topology *topology) {
    struct node_set allowed = set_of("0-1023");
    machine_begin(machine);
    machine_file(machine, "online", "0,8,252\n");
    machine_file(machine, "has_memory", "0,252\n");
    machine_file(machine, "has_cpu", "0,8\n");
    topology_read(topology, machine->root, &allowed);
}

static unsigned cpus_of(const struct topology *topology, unsigned node, unsigned long *mask) {
    unsigned count = 0;
    if (!topology_read_node_cpus(topology, node, mask, CPU_IDS_MAX))
        return 0;
    for (size_t i = 0; i < CPU_IDS_MAX / 64; i++)
        count += (unsigned)__builtin_popcountl(mask[i]);
    return count;
}

static void the_cpus_of_a_node_are_read_up_to_the_last(void **state) {
    (void)state;
    struct made_up_machine machine;
    struct topology topology;
    static unsigned long mask[CPU_IDS_MAX / 64];
    begin_uneven_machine(&machine, &topology);
    machine_file(&machine, "node0/cpulist", "0-2,64,8191\n");
    machine_file(&machine, "node8/cpulist", "0-8191\n");
    assert_int_equal(cpus_of(&topology, 0, mask), 5);
    assert_int_equal(mask[0], 7);
    assert_int_equal(mask[1], 1);
    assert_int_equal(mask[127], 1UL << 63);
    assert_int_equal(cpus_of(&topology, 8, mask), 8192);
    machine_end(&machine);
}

static void a_node_without_readable_cpus_has_none(void **state) {
    (void)state;
    struct made_up_machine machine;
    struct topology topology;
    static unsigned long mask[CPU_IDS_MAX / 64];
    static char list[8200];
    begin_uneven_machine(&machine, &topology);
    assert_int_equal(cpus_of(&topology, 0, mask), 0); /* no such file */
    machine_file(&machine, "node252/cpulist", "\n");
    assert_int_equal(cpus_of(&topology, 252, mask), 0);
    machine_file(&machine, "node8/cpulist", "");
    assert_int_equal(cpus_of(&topology, 8, mask), 0);
    static const char *const bad[] = {"nonsense\n", "0-\n", "-1\n", "8192\n", "0-8192\n", "3 4\n"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        machine_file(&machine, "node8/cpulist", bad[i]);
        assert_int_equal(cpus_of(&topology, 8, mask), 0);
    }
    memset(list, '0', sizeof list - 1);
    machine_file(&machine, "node8/cpulist", list);
    assert_int_equal(cpus_of(&topology, 8, mask), 0);
    machine_end(&machine);
}

static void a_smaller_mask_is_not_overrun(void **state) {
    (void)state;
    struct made_up_machine machine;
    struct topology topology;
    unsigned long mask[3] = {0, 0, 0xabcd};
    begin_uneven_machine(&machine, &topology);
    machine_file(&machine, "node0/cpulist", "1,127\n");
    assert_true(topology_read_node_cpus(&topology, 0, mask, 128));
    assert_true(mask[0] == 2 && mask[1] == 1UL << 63);
    machine_file(&machine, "node0/cpulist", "1,128\n");
    assert_false(topology_read_node_cpus(&topology, 0, mask, 128));
    assert_int_equal(mask[2], 0xabcd);
    machine_end(&machine);
}

static void free_memory_is_read_in_bytes(void **state) {
    (void)state;
    struct made_up_machine machine;
    struct topology topology;
    uint64_t free_bytes = 0;
    begin_uneven_machine(&machine, &topology);
    machine_file(&machine, "node252/meminfo",
                 "Node 252 MemTotal:       16777216 kB\n"
                 "Node 252 MemFree:        10485761 kB\n"
                 "Node 252 MemUsed:         6291455 kB\n");
    assert_true(topology_read_node_free(&topology, 252, &free_bytes));
    assert_int_equal(free_bytes, 10485761 * KIB);
    machine_file(&machine, "node8/meminfo", "Node 8 MemTotal: 0 kB\nNode 8 MemFree: 0 kB\n");
    assert_true(topology_read_node_free(&topology, 8, &free_bytes));
    assert_int_equal(free_bytes, 0);
    machine_end(&machine);
}

static void free_memory_that_cannot_be_read_is_unknown_not_none(void **state) {
    (void)state;
    struct made_up_machine machine;
    struct topology topology;
    uint64_t free_bytes = 77;
    begin_uneven_machine(&machine, &topology);
    assert_false(topology_read_node_free(&topology, 0, &free_bytes)); /* no such file */
    static const char *const bad[] = {"",
                                      "Node 0 MemTotal: 12 kB\n",
                                      "Node 0 MemFree:",
                                      "Node 0 MemFree: -1 kB\n",
                                      "Node 0 MemFree: 12 MB\n",
                                      "Node 0 MemFree: 12\n",
                                      "Node 0 MemFree: 18014398509481984 kB\n"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        machine_file(&machine, "node0/meminfo", bad[i]);
        assert_false(topology_read_node_free(&topology, 0, &free_bytes));
    }
    assert_int_equal(free_bytes, 77);
    machine_end(&machine);
}

static void kernel_weights_match_only_if_each_node_has_the_users(void **state) {
    (void)state;
    struct made_up_machine kernel;
    static uint8_t weights[NODE_IDS_MAX];
    struct node_set nodes = set_of("0,252");
    machine_begin(&kernel);
    weights[0] = 3;
    weights[252] = 255;
    assert_false(topology_kernel_weights_match(kernel.root, &nodes, weights)); /* before 6.9 */
    machine_file(&kernel, "node0", "3\n");
    assert_false(topology_kernel_weights_match(kernel.root, &nodes, weights));
    machine_file(&kernel, "node252", "255\n");
    machine_file(&kernel, "node1", "9\n"); /* not asked for */
    assert_true(topology_kernel_weights_match(kernel.root, &nodes, weights));
    static const char *const bad[] = {"254\n", "0\n", "\n", "", "255", "255x\n", "-1\n", "511\n"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        machine_file(&kernel, "node252", bad[i]);
        assert_false(topology_kernel_weights_match(kernel.root, &nodes, weights));
    }
    nodes = set_of("0");
    assert_true(topology_kernel_weights_match(kernel.root, &nodes, weights));
    machine_end(&kernel);
}

static void a_root_too_long_for_a_path_is_refused_not_cut(void **state) {
    (void)state;
    static char root[600];
    char text[64];
    memset(root, '/', sizeof root - 1);
    assert_int_equal(read_below(root, "proc/self/status", text, sizeof text), -ENAMETOOLONG);
}

static void this_machine_can_be_asked_about_its_nodes(void **state) {
    (void)state;
    struct topology topology;
    static unsigned long mask[CPU_IDS_MAX / 64];
    uint64_t free_bytes;
    topology_read(&topology, SYSFS_NODE_ROOT, NULL);
    if (!topology.sysfs_read) {
        print_message("skipped: no " SYSFS_NODE_ROOT " here\n");
        skip();
    }
    for (int node = node_set_next(&topology.has_cpu, 0); node >= 0;
         node = node_set_next(&topology.has_cpu, (unsigned)node + 1))
        assert_true(cpus_of(&topology, (unsigned)node, mask) > 0);
    for (int node = node_set_next(&topology.has_memory, 0); node >= 0;
         node = node_set_next(&topology.has_memory, (unsigned)node + 1))
        assert_true(topology_read_node_free(&topology, (unsigned)node, &free_bytes));
}

static void this_machine_has_memory_somewhere(void **state) {
    (void)state;
    struct topology topology;
    topology_read(&topology, SYSFS_NODE_ROOT, NULL);
    assert_false(node_set_empty(&topology.has_memory));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_of_the_kernel_are_read_back),
        cmocka_unit_test(lists_that_are_none_are_refused),
        cmocka_unit_test(sets_are_walked_in_order_across_words),
        cmocka_unit_test(a_machine_with_gaps_keeps_its_ids),
        cmocka_unit_test(nodes_outside_the_cpuset_are_forbidden_not_absent),
        cmocka_unit_test(a_masked_sysfs_leaves_the_allowed_nodes),
        cmocka_unit_test(a_file_in_another_format_counts_as_missing),
        cmocka_unit_test(a_node_without_memory_uses_the_nearest_that_has_some),
        cmocka_unit_test(a_list_too_long_to_be_read_whole_counts_as_missing),
        cmocka_unit_test(the_cpus_of_a_node_are_read_up_to_the_last),
        cmocka_unit_test(a_node_without_readable_cpus_has_none),
        cmocka_unit_test(a_smaller_mask_is_not_overrun),
        cmocka_unit_test(free_memory_is_read_in_bytes),
        cmocka_unit_test(free_memory_that_cannot_be_read_is_unknown_not_none),
        cmocka_unit_test(kernel_weights_match_only_if_each_node_has_the_users),
        cmocka_unit_test(a_root_too_long_for_a_path_is_refused_not_cut),
        cmocka_unit_test(this_machine_can_be_asked_about_its_nodes),
        cmocka_unit_test(this_machine_has_memory_somewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
