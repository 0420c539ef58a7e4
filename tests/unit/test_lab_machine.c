/* The table of the lab's machine that the plugins read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "harness/lab/plugin/machine_model.h"

static struct machine machine;
static char why[MACHINE_WHY_BYTES];

static bool read_table(const char *text) {
    FILE *stream = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
    bool read = machine_read(&machine, stream, "table", why);

    fclose(stream);
    return read;
}

static void assert_refused(const char *text, const char *message) {
    assert_false(read_table(text));
    assert_string_equal(why, message);
}

#define TWO_NODES "cpu 0 0\ncpu 1 1\nmemory 0 0x0 0x1000\nmemory 1 0x1000 0x1000\n"

static void the_upper_half_is_the_kernels(void **state) {
    (void)state;
    assert_false(is_kernel_address(0x00007fffffffffff));
    assert_false(is_kernel_address(0x0000ffffffffffff)); /* arm64 */
    assert_true(is_kernel_address(0xffff000000000000));
    assert_true(is_kernel_address(0xffff800000000000));
    assert_true(is_kernel_address(0xffffffff81000000));
}

static void cpus_belong_to_their_node(void **state) {
    (void)state;
    assert_true(read_table("cpu 0 0\ncpu 5 3\nmemory 0 0 1\n"));
    assert_int_equal(machine.cpus, 6);
    assert_int_equal(machine.node_id[machine.cpu_node[0]], 0);
    assert_int_equal(machine.node_id[machine.cpu_node[5]], 3);
    assert_int_equal(machine.cpu_node[1], -1);
}

static void assert_address_of_node(uint64_t address, unsigned id) {
    int node = machine_node_of(&machine, address);

    assert_true(node >= 0);
    assert_int_equal(machine.node_id[node], id);
}

static void addresses_belong_to_their_node(void **state) {
    (void)state;
    /* Of unlike sizes, in two parts, in any order of lines, with holes, up to the last address. */
    assert_true(read_table("cpu 0 0\n"
                           "memory 252 0x100000000 0x40000000\n"
                           "memory 0 0 0x80000000\n"
                           "memory 8 0xffffffffffffff00 0x100\n"
                           "memory 0 0x140000000 4096\n"));
    assert_address_of_node(0, 0);
    assert_address_of_node(0x7fffffff, 0);
    assert_int_equal(machine_node_of(&machine, 0x80000000), -1);
    assert_int_equal(machine_node_of(&machine, 0xffffffff), -1);
    assert_address_of_node(0x100000000, 252);
    assert_address_of_node(0x13fffffff, 252);
    assert_address_of_node(0x140000000, 0);
    assert_address_of_node(0x140000fff, 0);
    assert_int_equal(machine_node_of(&machine, 0x140001000), -1);
    assert_int_equal(machine_node_of(&machine, 0xfffffffffffffeff), -1);
    assert_address_of_node(0xffffffffffffffff, 8);
}

static void speeds_go_from_cpu_node_to_memory_node(void **state) {
    int cpu_node, mem_node;

    (void)state;
    assert_true(read_table("# a comment\n\n"
                           "cpu 0 7 # another\n"
                           "\tmemory\t 9   0x0 4096\r\n"
                           "latency 7 9 3600\n"
                           "bandwidth 7 9 64000000"));
    cpu_node = machine_find_node(&machine, 7);
    mem_node = machine_find_node(&machine, 9);
    assert_int_equal(machine.latency_ns[cpu_node][mem_node], 3600);
    assert_int_equal(machine.bytes_per_second[cpu_node][mem_node], 64000000);
    assert_true(machine_speeds_known(&machine, "table", why));
}

static void missing_speeds_are_named(void **state) {
    (void)state;
    assert_true(read_table(TWO_NODES "latency 0 0 1\nlatency 0 1 1\nlatency 1 0 1\n"
                                     "bandwidth 0 0 1\nbandwidth 0 1 1\nbandwidth 1 0 1\n"));
    assert_false(machine_speeds_known(&machine, "table", why));
    assert_string_equal(why, "table: no latency from node 1 to node 1: accepted is a table with "
                             "both latency and bandwidth of every pair");
    assert_true(read_table(TWO_NODES "latency 0 0 1\n"));
    assert_false(machine_speeds_known(&machine, "table", why));
    assert_string_equal(why, "table: no bandwidth from node 0 to node 0: accepted is a table with "
                             "both latency and bandwidth of every pair");
}

static void as_many_nodes_and_cpus_as_stated_fit(void **state) {
    static char text[64 << 10];
    size_t length = 0;

    (void)state;
    for (int cpu = 0; cpu < MACHINE_CPUS_MAX; cpu++)
        length += (size_t)sprintf(text + length, "cpu %d %d\nmemory %d %d 1\n", cpu,
                                  cpu % MACHINE_NODES_MAX * 16, cpu % MACHINE_NODES_MAX * 16, cpu);
    assert_true(read_table(text));
    assert_int_equal(machine.cpus, MACHINE_CPUS_MAX);
    assert_int_equal(machine.nodes, MACHINE_NODES_MAX);
    assert_address_of_node(255, 63 * 16);
    sprintf(text + length, "memory 1 0x1000 1\n");
    assert_refused(text, "table:513: accepted are at most 256 ranges of memory");
    length = 0;
    for (int node = 0; node <= MACHINE_NODES_MAX; node++)
        length += (size_t)sprintf(text + length, "memory %d %d 1\n", node, node);
    assert_refused(text, "table:65: node 64: accepted are at most 64 nodes");
}

static void bad_lines_are_refused_with_their_place(void **state) {
    (void)state;
    assert_refused("cpu 0 0\nnode 1\n",
                   "table:2: 'node': accepted are cpu, memory, latency and bandwidth");
    assert_refused("cpu 0\n",
                   "table:1: too few values: accepted is 'cpu CPU NODE', in whole numbers");
    assert_refused("cpu 0 0 0\n", "table:1: '0': accepted is 'cpu CPU NODE', in whole numbers");
    for (const char *const *word = (const char *const[]){"x", "-1", "1.5", "0x", "0xg", "1k",
                                                         "99999999999999999999", NULL};
         *word != NULL; word++) {
        char text[100], message[MACHINE_WHY_BYTES];

        sprintf(text, "memory 0 %s 1\n", *word);
        sprintf(message,
                "table:1: '%s': accepted is 'memory NODE FIRST_ADDRESS BYTES', in whole numbers",
                *word);
        assert_refused(text, message);
    }
}

static void impossible_machines_are_refused(void **state) {
    (void)state;
    assert_refused("cpu 256 0\n", "table:1: CPU 256: accepted are 0 to 255");
    assert_refused("cpu 0 0\ncpu 0 1\n",
                   "table:2: CPU 0 a second time: accepted is one line a CPU");
    assert_refused("cpu 0 1024\n", "table:1: node 1024: accepted are 0 to 1023");
    assert_refused("memory 0 0x10 0\n", "table:1: memory of 0x0 bytes from 0x10: accepted are "
                                        "1 byte to as many as end below 2^64");
    assert_refused("memory 0 0xffffffffffffffff 2\n",
                   "table:1: memory of 0x2 bytes from 0xffffffffffffffff: accepted are "
                   "1 byte to as many as end below 2^64");
    assert_refused("", "table:0: no cpu line: accepted is a machine with at least one CPU and "
                       "memory");
    assert_refused("cpu 0 0\n", "table:1: no memory line: accepted is a machine with at least one "
                                "CPU and memory");
}

static void memory_that_overlaps_is_refused(void **state) {
    (void)state;
    assert_refused(
        "memory 0 0 0x1001\nmemory 1 0x1000 0x1000\n",
        "table:2: memory of nodes 0 and 1 overlaps at 0x1000: accepted are ranges apart");
    assert_refused(
        "memory 1 0x1000 0x1000\nmemory 0 0 0x1001\n",
        "table:2: memory of nodes 1 and 0 overlaps at 0x1000: accepted are ranges apart");
    assert_refused(
        "memory 1 0x1000 0x1000\nmemory 0 0 0x9000\n",
        "table:2: memory of nodes 1 and 0 overlaps at 0x1000: accepted are ranges apart");
}

static void impossible_speeds_are_refused(void **state) {
    (void)state;
    assert_refused(TWO_NODES "latency 2 0 1\n",
                   "table:5: node 2 has no CPU above: accepted are nodes of CPUs");
    assert_refused("memory 0 0 1\nlatency 0 0 1\n",
                   "table:2: node 0 has no CPU above: accepted are nodes of CPUs");
    assert_refused("cpu 0 0\nbandwidth 0 0 1\n",
                   "table:2: node 0 has no memory above: accepted are nodes with memory");
    assert_refused(TWO_NODES "latency 0 1 1\nlatency 0 1 2\n",
                   "table:6: from node 0 to node 1 a second time: accepted is one line a pair");
    assert_refused(TWO_NODES "latency 0 1 0\n", "table:5: 0 ns: accepted are 1 to 1000000000");
    assert_refused(TWO_NODES "latency 0 1 1000000001\n",
                   "table:5: 1000000001 ns: accepted are 1 to 1000000000");
    assert_refused(TWO_NODES "bandwidth 0 1 0\n",
                   "table:5: 0 bytes per second: accepted are 1 to 1000000000000000");
}

static void an_endless_line_is_refused(void **state) {
    char text[400];

    (void)state;
    memset(text, '#', sizeof text);
    text[sizeof text - 1] = '\0';
    assert_refused(text, "table:1: accepted are lines of up to 298 characters");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_upper_half_is_the_kernels),
        cmocka_unit_test(cpus_belong_to_their_node),
        cmocka_unit_test(addresses_belong_to_their_node),
        cmocka_unit_test(speeds_go_from_cpu_node_to_memory_node),
        cmocka_unit_test(missing_speeds_are_named),
        cmocka_unit_test(as_many_nodes_and_cpus_as_stated_fit),
        cmocka_unit_test(bad_lines_are_refused_with_their_place),
        cmocka_unit_test(impossible_machines_are_refused),
        cmocka_unit_test(memory_that_overlaps_is_refused),
        cmocka_unit_test(impossible_speeds_are_refused),
        cmocka_unit_test(an_endless_line_is_refused),
    };

    return cmocka_run_group_tests_name("lab_machine", tests, NULL, NULL);
}
