/* numa_run's choice of CPUs on machines that are not this one. */
#define main numa_run_main
#include "alloc/numa_run.c"
#undef main

#include "made_up_machine.h"

/* Nodes 0 and 8 with CPUs, 1 with memory only, 3 with CPUs outside the cpuset: 16-31 of 0-95. */
struct fixture {
    struct made_up_machine machine;
    struct topology topology;
    struct cpu_choice choice;
    char reason_chars[160];
    struct text reason;
};

static void add_cpus(union cpus *cpus, unsigned first, unsigned last) {
    for (unsigned cpu = first; cpu <= last; cpu++)
        CPU_SET_S(cpu, sizeof *cpus, cpus->parts);
}

static int make_machine(void **state) {
    static struct fixture fixture;
    struct node_set allowed;
    memset(&fixture, 0, sizeof fixture);
    machine_begin(&fixture.machine);
    machine_file(&fixture.machine, "online", "0-1,3,8\n");
    machine_file(&fixture.machine, "has_memory", "0-1,8\n");
    machine_file(&fixture.machine, "has_cpu", "0,3,8\n");
    machine_file(&fixture.machine, "node0/cpulist", "0-15\n");
    machine_file(&fixture.machine, "node1/cpulist", "\n");
    machine_file(&fixture.machine, "node3/cpulist", "16-31\n");
    machine_file(&fixture.machine, "node8/cpulist", "32-47,80-95\n");
    (void)node_set_parse("0-8", &allowed);
    topology_read(&fixture.topology, fixture.machine.root, &allowed);
    fixture.choice.topology = &fixture.topology;
    add_cpus(&fixture.choice.present, 0, 95);
    add_cpus(&fixture.choice.allowed, 0, 15);
    add_cpus(&fixture.choice.allowed, 40, 95);
    fixture.reason = (struct text){fixture.reason_chars, 0, sizeof fixture.reason_chars - 1};
    *state = &fixture;
    return 0;
}

static int remove_machine(void **state) {
    struct fixture *fixture = *state;
    machine_end(&fixture->machine);
    return 0;
}

static void choose_anew(struct cpu_choice *choice) {
    memset(&choice->chosen, 0, sizeof choice->chosen);
    memset(&choice->nodes, 0, sizeof choice->nodes);
}

static void assert_chosen(struct fixture *fixture, list_visitor choose, const char *list,
                          const char *expected) {
    choose_anew(&fixture->choice);
    assert_true(read_list(list, NODE_IDS_MAX, choose, &fixture->choice, &fixture->reason));
    char *chosen = cpus_format(&fixture->choice.chosen);
    assert_string_equal(chosen, expected);
    free(chosen);
}

static void assert_refused(struct fixture *fixture, list_visitor choose, const char *list,
                           const char *reason) {
    choose_anew(&fixture->choice);
    memset(fixture->reason_chars, 0, sizeof fixture->reason_chars);
    fixture->reason.length = 0;
    assert_false(read_list(list, NODE_IDS_MAX, choose, &fixture->choice, &fixture->reason));
    assert_string_equal(fixture->reason_chars, reason);
}

static void a_node_stands_for_its_usable_cpus(void **state) {
    assert_chosen(*state, choose_node, "0", "0-15");
    assert_chosen(*state, choose_node, "8", "40-47,80-95");
    assert_chosen(*state, choose_node, "8,0", "0-15,40-47,80-95");
}

static void nodes_without_usable_cpus_are_refused(void **state) {
    assert_refused(*state, choose_node, "1", "node 1 has no CPUs");
    assert_refused(*state, choose_node, "0-1", "node 1 has no CPUs");
    assert_refused(*state, choose_node, "2", "there is no node 2");
    assert_refused(*state, choose_node, "3", "this process may not run on any CPU of node 3");
}

static void a_node_given_twice_is_refused(void **state) {
    assert_refused(*state, choose_node, "8,0,8", "node 8 is given twice");
}

static void a_cpu_given_twice_is_refused(void **state) {
    assert_refused(*state, choose_cpu, "0,0", "CPU 0 is given twice");
    assert_refused(*state, choose_cpu, "1-3,9,2-2", "CPU 2 is given twice");
}

static void the_nodes_offered_are_those_that_would_be_taken(void **state) {
    struct fixture *fixture = *state;
    char chars[32] = "";
    struct text text = {chars, 0, sizeof chars - 1};
    format_usable_nodes(&fixture->choice, &text);
    assert_string_equal(chars, "0,8");
}

static void nodes_are_refused_where_sysfs_is_masked(void **state) {
    struct fixture *fixture = *state;
    topology_read(&fixture->topology, "/nowhere", NULL);
    assert_refused(fixture, choose_node, "0",
                   "which CPUs a node has cannot be read from " SYSFS_NODE_ROOT);
}

static void cpus_are_chosen_one_by_one(void **state) {
    assert_chosen(*state, choose_cpu, "0", "0");
    assert_chosen(*state, choose_cpu, "95,2-3,1,40", "1-3,40,95");
    assert_refused(*state, choose_cpu, "15-16", "this process may not run on CPU 16");
    assert_refused(*state, choose_cpu, "96", "there is no CPU 96");
}

static void a_list_is_read_strictly(void **state) {
    static const struct {
        const char *list, *reason;
    } bad[] = {{"", "expected a number at the end"},
               {"0,", "expected a number at the end"},
               {",0", "expected a number at \",0\""},
               {"0-", "expected a number at the end"},
               {"-1", "expected a number at \"-1\""},
               {"0 1", "expected a comma at \" 1\""},
               {"0\n", "expected a comma at \"?\""},
               {"0-3:2", "expected a comma at \":2\""},
               {"3-2", "the range from 3 ends below its start"},
               {"1024", "the numbers end at 1023"},
               {"0-99999999999999999999", "the numbers end at 1023"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_refused(*state, choose_cpu, bad[i].list, bad[i].reason);
}

static void the_last_cpu_a_kernel_can_have_is_read(void **state) {
    struct fixture *fixture = *state;
    struct cpu_choice *choice = &fixture->choice;
    add_cpus(&choice->present, 0, CPU_IDS_MAX - 1);
    add_cpus(&choice->allowed, 0, CPU_IDS_MAX - 1);
    assert_true(read_list("0-8191", CPU_IDS_MAX, choose_cpu, choice, &fixture->reason));
    char *list = cpus_format(&choice->chosen);
    assert_string_equal(list, "0-8191");
    free(list);
    assert_false(read_list("8192", CPU_IDS_MAX, choose_cpu, choice, &fixture->reason));
}

#define on_the_machine(test) cmocka_unit_test_setup_teardown(test, make_machine, remove_machine)

int main(void) {
    const struct CMUnitTest tests[] = {
        on_the_machine(a_node_stands_for_its_usable_cpus),
        on_the_machine(nodes_without_usable_cpus_are_refused),
        on_the_machine(the_nodes_offered_are_those_that_would_be_taken),
        on_the_machine(nodes_are_refused_where_sysfs_is_masked),
        on_the_machine(a_node_given_twice_is_refused),
        on_the_machine(cpus_are_chosen_one_by_one),
        on_the_machine(a_cpu_given_twice_is_refused),
        on_the_machine(a_list_is_read_strictly),
        on_the_machine(the_last_cpu_a_kernel_can_have_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
