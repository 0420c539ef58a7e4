/* Loaded latency's steps, its knee among them, and the tables of victims beside aggressors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/lib/victim_matrix.h"

static void steps_of_reads_alone_are_named_by_their_rate(void **state) {
    const struct aggressor_mix reads = {.reads = 1}, mixed = {.reads = 2, .writes = 1};
    struct loading_plan plan;
    (void)state;
    loading_plan(&plan, &reads);
    assert_string_equal(plan.step_names[LOADING_IDLE], "idle");
    assert_string_equal(plan.step_names[1], "10%");
    assert_string_equal(plan.step_names[LOADING_FULL], "full");
    loading_plan(&plan, &mixed);
    assert_string_equal(plan.step_names[LOADING_IDLE], "idle");
    assert_string_equal(plan.step_names[1], "2:1 10%");
    assert_string_equal(plan.step_names[LOADING_FULL], "2:1 full");
}

static void add(struct series *series, double value) {
    series_add(series, &(struct sample){.value = value});
}

/* A curve that is flat up to `full_ns` at full rate; the marked sample does not count. */
static void make_curve(struct loading_figure figures[LOADING_STEPS], double full_ns) {
    memset(figures, 0, LOADING_STEPS * sizeof *figures);
    for (size_t step = 0; step < LOADING_STEPS; step++) {
        for (size_t i = 0; i < STATS_MIN_SAMPLES; i++) {
            add(&figures[step].latency, step == LOADING_FULL ? full_ns : 100);
            add(&figures[step].bandwidth, 10 * (double)step);
        }
        series_add(&figures[step].latency,
                   &(struct sample){.value = 9000, .disturbed = DISTURBED_PREEMPTED});
    }
}

static void free_curve(struct loading_figure figures[LOADING_STEPS]) {
    for (size_t step = 0; step < LOADING_STEPS; step++) {
        series_free(&figures[step].latency);
        series_free(&figures[step].bandwidth);
    }
}

static void knee_is_between_the_steps_that_it_lies_between(void **state) {
    struct loading_figure figures[LOADING_STEPS];
    struct series knee = {0};
    double rise;
    (void)state;
    make_curve(figures, 200);
    assert_true(loading_knee(figures, &knee, &rise));
    assert_true(rise > 1.999 && rise < 2.001);
    assert_int_equal(knee.count, 1);
    assert_true(knee.taken[0].value > 114.999 && knee.taken[0].value < 115.001);
    assert_string_equal(knee.metric, "knee");
    series_free(&knee);
    free_curve(figures);
}

static void without_a_knee_how_far_latency_rises_is_told(void **state) {
    struct loading_figure figures[LOADING_STEPS];
    struct series knee = {0};
    double rise;
    (void)state;
    make_curve(figures, 149);
    assert_false(loading_knee(figures, &knee, &rise));
    assert_true(rise > 1.489 && rise < 1.491);
    assert_int_equal(knee.count, 0);
    free_curve(figures);
}

/* What the tables say of such series. */
static char *tables(const struct series *series, size_t count) {
    const struct session_program program = {.metric = "loaded_latency"};
    struct session session = {
        .program = &program,
        .size.value = 1 << 20,
        .source = {.allocator = "libnuma", .policy = "bind", .pages = "default"},
    };
    char *text = NULL;
    size_t length;
    FILE *terminal = stdout;
    stdout = open_memstream(&text, &length);
    assert_non_null(stdout);
    victim_matrix_print(&session, series, count);
    fclose(stdout);
    stdout = terminal;
    return text;
}

#define CPU_NODES 2
#define MEM_NODES 3

static const int nodes[] = {0, 8, 9};
static const struct placement_verdict verified = {.status = PLACEMENT_VERIFIED, .fraction = 1};

static struct series made_up(const char *variant, const char *metric, size_t cpu_node,
                             size_t mem_node, const struct series_other *other, double value) {
    static const unsigned cpu;
    struct series series = {.variant = variant,
                            .metric = metric,
                            .cpu = &cpu,
                            .cpu_node = nodes[cpu_node],
                            .mem_node = &nodes[mem_node],
                            .other = other,
                            .placement = &verified};
    add(&series, value);
    return series;
}

/* All victims alone, and beside aggressors but for those of node 8 beside victims there. */
static size_t make_matrix(struct series *series, struct series_other *others) {
    size_t count = 0;
    for (size_t row = 0; row < CPU_NODES * MEM_NODES; row++) {
        size_t cpu = row / MEM_NODES, memory = row % MEM_NODES;
        double idle = 100 * (double)(row + 1);
        series[count++] = made_up("idle", NULL, cpu, memory, NULL, idle);
        series[count++] = made_up("idle", "bandwidth", cpu, memory, NULL, 1);
        for (size_t column = 0; column < CPU_NODES * MEM_NODES; column++) {
            struct series_other *other = &others[column];
            *other =
                (struct series_other){-1, nodes[column / MEM_NODES], nodes[column % MEM_NODES]};
            if (cpu == 1 && column / MEM_NODES == 1)
                continue;
            double times = 1 + (double)column;
            series[count++] = made_up("2:1 95%", NULL, cpu, memory, other, 7);
            series[count++] = made_up("2:1 full", NULL, cpu, memory, other, idle * times);
            series[count++] = made_up("2:1 full", "bandwidth", cpu, memory, other, 30 + times);
        }
    }
    return count;
}

static void each_victim_is_a_row_and_each_aggressor_a_column(void **state) {
    static struct series series[200];
    static struct series_other others[CPU_NODES * MEM_NODES];
    (void)state;
    size_t count = make_matrix(series, others);
    char *text = tables(series, count);
    assert_non_null(strstr(text, "bytes each on every node\n"));
    assert_non_null(strstr(text, "verified (100.00 % of pages"));
    /* As many columns as fit a line, then the others. */
    assert_non_null(strstr(text, "\nvictim         idle        0:0  x idle        0:8  x idle"
                                 "        0:9  x idle        8:0  x idle\n"));
    assert_non_null(strstr(text, "\n0:8           200.0      200.0    1.00      400.0    2.00"
                                 "      600.0    3.00      800.0    4.00\n"));
    assert_non_null(strstr(text, "\nvictim         idle        8:8  x idle        8:9  x idle\n"));
    /* Beside victims of node 8 there is none of its aggressors. */
    assert_non_null(strstr(text, "\n8:9           600.0          -       -          -       -\n"));
    assert_non_null(strstr(text, "\nvictim          0:0        0:8        0:9        8:0"
                                 "        8:8        8:9\n"));
    assert_non_null(strstr(text, "\n8:0           31.00      32.00      33.00          -"
                                 "          -          -\n"));
    assert_null(strstr(text, " 7.00"));
    assert_null(strstr(text, "knee"));
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"))
        assert_true(strlen(line) <= 100);
    free(text);
    for (size_t i = 0; i < count; i++)
        series_free(&series[i]);
}

static void knees_are_a_table_of_their_own(void **state) {
    static const struct series_other other = {-1, 8, 9};
    struct series series[] = {
        made_up("idle", NULL, 0, 0, NULL, 100),
        made_up("full", NULL, 0, 0, &other, 300),
        made_up("full", "bandwidth", 0, 0, &other, 31),
        made_up("x1.5", "knee", 0, 0, &other, 28.5),
    };
    (void)state;
    char *text = tables(series, 4);
    char *knees = strstr(text, "knee, GB/s");
    assert_non_null(knees);
    assert_non_null(strstr(knees, "8:9"));
    assert_non_null(strstr(knees, "\n0:0           28.50\n"));
    free(text);
    for (size_t i = 0; i < 4; i++)
        series_free(&series[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_of_reads_alone_are_named_by_their_rate),
        cmocka_unit_test(knee_is_between_the_steps_that_it_lies_between),
        cmocka_unit_test(without_a_knee_how_far_latency_rises_is_told),
        cmocka_unit_test(each_victim_is_a_row_and_each_aggressor_a_column),
        cmocka_unit_test(knees_are_a_table_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
