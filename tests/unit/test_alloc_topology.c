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
        cmocka_unit_test(this_machine_has_memory_somewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
