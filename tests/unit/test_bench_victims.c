/* Who is victim and who aggressor, on made-up machines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "bench/lib/victims.h"

static hwloc_bitmap_t set_of(const char *list) {
    hwloc_bitmap_t set = hwloc_bitmap_alloc();
    assert_int_equal(hwloc_bitmap_list_sscanf(set, list), 0);
    return set;
}

/* Finds the nodes and compares each with "node:victim:aggressors". */
static void assert_found(const char *victims, const char *aggressors, bool named,
                         const int *node_of_cpu, const char *const *expected, size_t count) {
    hwloc_bitmap_t victim_set = set_of(victims), aggressor_set = set_of(aggressors);
    const struct victim_choice choice = {victim_set, aggressor_set, named};
    struct victim_node *nodes;
    assert_int_equal(victims_find(&choice, node_of_cpu, &nodes), count);
    for (size_t i = 0; i < count; i++) {
        char list[64], victim[16] = "-", text[128];
        if (nodes[i].has_victim)
            snprintf(victim, sizeof victim, "%u", nodes[i].victim_cpu);
        hwloc_bitmap_list_snprintf(list, sizeof list, nodes[i].aggressors);
        snprintf(text, sizeof text, "%d:%s:%s", nodes[i].node, victim, list);
        assert_string_equal(text, expected[i]);
    }
    victims_free(nodes, count);
    hwloc_bitmap_free(victim_set);
    hwloc_bitmap_free(aggressor_set);
}

static void first_cpu_of_each_node_is_its_victim(void **state) {
    static const int node_of_cpu[] = {0, 0, 1, 1};
    static const char *const expected[] = {"0:0:0-1", "1:2:2-3"};
    (void)state;
    assert_found("0-3", "0-3", false, node_of_cpu, expected, 2);
}

/* CPUs numbered across nodes, ids with gaps, CPUs that may not be used. */
static void nodes_are_those_of_the_cpus_in_ascending_order(void **state) {
    static const int node_of_cpu[] = {8, 0, 8, 0, 252, 252};
    static const char *const expected[] = {"0:1:1,3", "8:2:2", "252:4:4"};
    (void)state;
    assert_found("1-4", "1-4", false, node_of_cpu, expected, 3);
}

static void a_named_aggressor_is_victim_only_where_it_is_alone(void **state) {
    static const int node_of_cpu[] = {0, 0, 0, 1, 2};
    static const char *const expected[] = {"0:2:0-1", "1:3:3", "2:4:"};
    (void)state;
    assert_found("0-4", "0-1,3", true, node_of_cpu, expected, 3);
}

static void a_node_may_have_aggressors_alone(void **state) {
    static const int node_of_cpu[] = {0, 0, 1, 1};
    static const char *const expected[] = {"0:1:0-1", "1:-:2-3"};
    (void)state;
    assert_found("1", "0-3", false, node_of_cpu, expected, 2);
}

static void cpus_of_a_node_that_is_not_told_are_together(void **state) {
    static const int node_of_cpu[] = {-1, -1};
    static const char *const expected[] = {"-1:0:0-1"};
    (void)state;
    assert_found("0-1", "0-1", false, node_of_cpu, expected, 1);
}

static void aggressors_beside_a_victim_are_without_its_cpu(void **state) {
    hwloc_bitmap_t cpus = hwloc_bitmap_alloc(), expected = set_of("1");
    const struct victim_node here = {
        .node = 0, .has_victim = true, .victim_cpu = 0, .aggressors = set_of("0-1")};
    const struct victim_node lone = {
        .node = 1, .has_victim = true, .victim_cpu = 2, .aggressors = set_of("2")};
    (void)state;
    assert_true(victims_beside(&here, &here, cpus));
    assert_true(hwloc_bitmap_isequal(cpus, expected));
    assert_true(victims_beside(&lone, &here, cpus));
    assert_true(hwloc_bitmap_isequal(cpus, here.aggressors));
    assert_false(victims_beside(&lone, &lone, cpus));
    hwloc_bitmap_free(here.aggressors);
    hwloc_bitmap_free(lone.aggressors);
    hwloc_bitmap_free(expected);
    hwloc_bitmap_free(cpus);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_cpu_of_each_node_is_its_victim),
        cmocka_unit_test(nodes_are_those_of_the_cpus_in_ascending_order),
        cmocka_unit_test(a_named_aggressor_is_victim_only_where_it_is_alone),
        cmocka_unit_test(a_node_may_have_aggressors_alone),
        cmocka_unit_test(cpus_of_a_node_that_is_not_told_are_together),
        cmocka_unit_test(aggressors_beside_a_victim_are_without_its_cpu),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
