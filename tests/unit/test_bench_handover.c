/* Lines handed over between two threads, and every two of some CPUs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "bench/lib/handover.h"
#include "bench/lib/handover_pairs.h"

#define LINES 6

/* On one busy CPU two threads take a time slice for every turn: few laps, and seconds of patience.
 */
#define LAPS 2

static unsigned char memory[LINES * HANDOVER_SPACING_BYTES] __attribute__((aligned(64)));

static void set_up(struct handover *handover) {
    *handover = (struct handover){.memory = memory, .lines = LINES, .patience_ns = 60000000000};
    handover_clear(handover);
}

struct second {
    struct handover *handover;
    const struct handover_variant *variant;
    bool ended;
};

static void *second_main(void *argument) {
    struct second *second = argument;
    second->ended =
        handover_run(second->handover, second->variant, 1, second->handover->laps, LAPS);
    return NULL;
}

static void run_both(struct handover *handover, const struct handover_variant *variant) {
    struct second second = {handover, variant, false};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, second_main, &second), 0);
    assert_true(handover_run(handover, variant, 0, handover->laps, LAPS));
    pthread_join(thread, NULL);
    assert_true(second.ended);
    handover->laps += LAPS;
}

static uint64_t *line_at(size_t line) {
    return (uint64_t *)(void *)(memory + line * HANDOVER_SPACING_BYTES);
}

static void every_line_is_handed_over_as_often_as_counted(void **state) {
    (void)state;
    for (size_t i = 0; i < HANDOVER_VARIANTS; i++) {
        const struct handover_variant *variant = &handover_variants[i];
        struct handover handover;
        set_up(&handover);
        run_both(&handover, variant);
        assert_true(handover_is_whole(&handover, variant));
        run_both(&handover, variant); /* goes on where the first laps ended */
        assert_true(handover_is_whole(&handover, variant));
        uint64_t sum = 0;
        for (size_t line = 0; line < LINES; line++) {
            assert_int_equal(*line_at(line), *line_at(0));
            sum += *line_at(line);
        }
        assert_int_equal(sum, handover_count(&handover, variant, 2 * LAPS));
    }
}

static void a_line_left_out_is_found(void **state) {
    (void)state;
    for (size_t i = 0; i < HANDOVER_VARIANTS; i++) {
        const struct handover_variant *variant = &handover_variants[i];
        struct handover handover;
        set_up(&handover);
        run_both(&handover, variant);
        --*line_at(LINES - 1);
        assert_false(handover_is_whole(&handover, variant));
    }
}

static void patience_ends_when_the_other_never_takes_its_turn(void **state) {
    (void)state;
    for (size_t i = 0; i < HANDOVER_VARIANTS; i++)
        for (size_t side = 0; side < 2; side++) {
            struct handover handover;
            set_up(&handover);
            handover.patience_ns = 1000000;
            assert_false(handover_run(&handover, &handover_variants[i], side, 0, 1));
            assert_true(atomic_load(&handover.broken));
        }
}

static void a_turn_out_of_turn_is_not_taken(void **state) {
    (void)state;
    for (size_t i = 0; i < HANDOVER_VARIANTS; i++) {
        struct handover handover;
        set_up(&handover);
        handover.patience_ns = 1000000;
        *line_at(0) = 3; /* where the second expects 1 */
        assert_false(handover_run(&handover, &handover_variants[i], 1, 0, 1));
        assert_int_equal(*line_at(0), 3);
    }
}

static void a_flag_is_awaited_with_the_same_patience(void **state) {
    struct handover handover;
    atomic_bool flag = true;
    (void)state;
    set_up(&handover);
    handover.patience_ns = 1000000;
    assert_true(handover_await(&handover, &flag));
    atomic_store(&flag, false);
    assert_false(handover_await(&handover, &flag));
}

static void lines_use_all_sets_in_turn(void **state) {
    bool used[64] = {false};
    (void)state;
    /* 64 lines fall into 64 sets of 64 bytes, one into each. */
    for (size_t line = 0; line < 64; line++) {
        size_t set = line * HANDOVER_SPACING_BYTES / 64 % 64;
        assert_false(used[set]);
        used[set] = true;
    }
}

static void variants_are_found_by_their_whole_name(void **state) {
    (void)state;
    assert_ptr_equal(handover_find("cas", 3), &handover_variants[0]);
    assert_ptr_equal(handover_find("store-load,cas", 10), &handover_variants[1]);
    assert_null(handover_find("ca", 2));
    assert_null(handover_find("casx", 4));
    assert_null(handover_find("", 0));
}

static void pairs_are_every_two_cpus_once_whatever_their_ids(void **state) {
    static const int expected[][2] = {{0, 3}, {0, 8}, {0, 252}, {3, 8}, {3, 252}, {8, 252}};
    hwloc_bitmap_t cpus = hwloc_bitmap_alloc();
    struct handover_pair *pairs;
    (void)state;
    hwloc_bitmap_set(cpus, 0);
    hwloc_bitmap_set(cpus, 3);
    hwloc_bitmap_set(cpus, 8);
    hwloc_bitmap_set(cpus, 252);
    assert_int_equal(handover_pairs_list(cpus, &pairs), 6);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(pairs[i].cpu, expected[i][0]);
        assert_int_equal(pairs[i].other.cpu, expected[i][1]);
        assert_int_equal(pairs[i].other.mem_node, -1);
    }
    free(pairs);
    hwloc_bitmap_free(cpus);
}

/* Two nodes of two cores of two threads each. */
static hwloc_topology_t made_up(void) {
    hwloc_topology_t topology;
    assert_int_equal(hwloc_topology_init(&topology), 0);
    assert_int_equal(hwloc_topology_set_synthetic(topology, "numa:2 core:2 pu:2"), 0);
    assert_int_equal(hwloc_topology_load(topology), 0);
    return topology;
}

static void threads_of_one_core_are_told_from_cores(void **state) {
    hwloc_topology_t topology = made_up();
    (void)state;
    struct handover_distance distance =
        handover_pairs_distance(topology, &(struct handover_pair){0, 0, {.cpu = 1, .cpu_node = 0}});
    assert_true(distance.same_core);
    distance =
        handover_pairs_distance(topology, &(struct handover_pair){1, 0, {.cpu = 2, .cpu_node = 0}});
    assert_false(distance.same_core);
    distance =
        handover_pairs_distance(topology, &(struct handover_pair){5, 1, {.cpu = 2, .cpu_node = 0}});
    assert_int_equal(distance.nodes[0], 0);
    assert_int_equal(distance.nodes[1], 1);
    /* A CPU that the topology does not know. */
    distance = handover_pairs_distance(
        topology, &(struct handover_pair){98, -1, {.cpu = 99, .cpu_node = -1}});
    assert_false(distance.same_core);
    hwloc_topology_destroy(topology);
}

#define TEXT_BYTES 2048

static void tables_hold_each_figure_where_it_belongs(void **state) {
    /* CPUs 0, 1 (a core) and 2 of node 0, 4 of node 1. */
    static const struct handover_pair pairs[] = {
        {0, 0, {1, 0, -1}}, {0, 0, {2, 0, -1}}, {0, 0, {4, 1, -1}},
        {1, 0, {2, 0, -1}}, {1, 0, {4, 1, -1}}, {2, 0, {4, 1, -1}},
    };
    static const double figures[] = {10, 20, 103, 30, 101, 102};
    hwloc_topology_t topology = made_up();
    hwloc_bitmap_t cpus = hwloc_bitmap_alloc();
    char text[TEXT_BYTES] = "";
    FILE *out = fmemopen(text, sizeof text, "w");
    (void)state;
    hwloc_bitmap_set_range(cpus, 0, 2);
    hwloc_bitmap_set(cpus, 4);
    handover_pairs_matrix(out, cpus, pairs, figures, 6);
    handover_pairs_summary(out, topology, pairs, figures, 6);
    fclose(out);
    assert_string_equal(text, "   CPU      0      1      2      4\n"
                              "     0      -  10.00  20.00  103.0\n"
                              "     1  10.00      -  30.00  101.0\n"
                              "     2  20.00  30.00      -  102.0\n"
                              "     4  103.0  101.0  102.0      -\n"
                              "pairs of                  count    minimum     median    maximum\n"
                              "one core of node 0            1      10.00      10.00      10.00\n"
                              "two cores of node 0           2      20.00      25.00      30.00\n"
                              "nodes 0 and 1                 3      101.0      102.0      103.0\n");
    hwloc_bitmap_free(cpus);
    hwloc_topology_destroy(topology);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_line_is_handed_over_as_often_as_counted),
        cmocka_unit_test(a_line_left_out_is_found),
        cmocka_unit_test(patience_ends_when_the_other_never_takes_its_turn),
        cmocka_unit_test(a_turn_out_of_turn_is_not_taken),
        cmocka_unit_test(a_flag_is_awaited_with_the_same_patience),
        cmocka_unit_test(lines_use_all_sets_in_turn),
        cmocka_unit_test(variants_are_found_by_their_whole_name),
        cmocka_unit_test(pairs_are_every_two_cpus_once_whatever_their_ids),
        cmocka_unit_test(threads_of_one_core_are_told_from_cores),
        cmocka_unit_test(tables_hold_each_figure_where_it_belongs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
