/* The warnings of a report, which name the figure they are about. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench/lib/session.h"

#define SERIES  4
#define SAMPLES 8

static struct series series[SERIES];

/* Two rates, each with a latency and a bandwidth, all known well. */
static int even_series(void **state) {
    static const char *const variants[] = {"idle", "95%"};
    (void)state;
    for (size_t i = 0; i < SERIES; i++) {
        series_free(&series[i]);
        series[i] = (struct series){0};
        series[i].variant = variants[i % 2];
        if (i >= 2) {
            series[i].metric = "bandwidth";
            series[i].unit = "GB/s";
        }
        for (size_t sample = 0; sample < SAMPLES; sample++)
            series_add(&series[i], &(struct sample){.value = 100});
    }
    return 0;
}

static void make_noisy(struct series *of, double spread) {
    of->count = of->undisturbed = 0;
    for (size_t sample = 0; sample < SAMPLES; sample++)
        series_add(
            of, &(struct sample){.value = 100 + spread * ((double)sample - (SAMPLES - 1) / 2.0)});
}

/* What the report of the first `count` series says on stderr. */
static void warnings(size_t count, char *text, size_t text_bytes) {
    static unsigned cpu;
    static const struct session_program program = {
        .name = "program", .metric = "loaded_latency", .unit = "ns"};
    struct session session = {
        .program = &program, .cpus = &cpu, .csv.given = true, .precision.fraction = 0.01};
    FILE *said = tmpfile(), *results = tmpfile();
    assert_true(said != NULL && results != NULL);
    fflush(stdout);
    int out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO);
    dup2(fileno(results), STDOUT_FILENO);
    dup2(fileno(said), STDERR_FILENO);
    int status =
        session_report(&session, series, count,
                       (struct placement_verdict){.status = PLACEMENT_VERIFIED, .fraction = 1});
    fflush(stderr);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    close(out);
    close(err);
    rewind(said);
    text[fread(text, 1, text_bytes - 1, said)] = 0;
    fclose(said);
    fclose(results);
    assert_int_equal(status, SESSION_MEASURED);
}

static void what_is_known_well_is_not_warned_of(void **state) {
    char text[512];
    (void)state;
    warnings(SERIES, text, sizeof text);
    assert_string_equal(text, "");
}

static void one_noisy_figure_is_named_with_its_metric(void **state) {
    char text[512];
    (void)state;
    make_noisy(&series[3], 2);
    warnings(SERIES, text, sizeof text);
    assert_string_equal(text, "program: warning: bandwidth at 95% is noisy: its median is known "
                              "within 5.0 % only\n");
    even_series(NULL);
    make_noisy(&series[1], 2);
    warnings(SERIES, text, sizeof text);
    assert_non_null(strstr(text, "warning: loaded_latency at 95% is noisy"));
}

static void the_worst_of_several_is_named_with_its_metric(void **state) {
    char text[512];
    (void)state;
    make_noisy(&series[1], 2);
    make_noisy(&series[3], 4);
    warnings(SERIES, text, sizeof text);
    assert_non_null(strstr(text, "2 of 4 figures are noisy: the median of the worst (bandwidth at "
                                 "95%) is known within 10.0 % only\n"));
}

static void a_metric_alone_goes_without_saying(void **state) {
    char text[512];
    (void)state;
    make_noisy(&series[1], 2);
    warnings(2, text, sizeof text);
    assert_non_null(strstr(text, "program: warning: 95% is noisy"));
}

static void samples_taken_on_another_cpu_are_warned_of(void **state) {
    char text[512];
    (void)state;
    series_add(&series[0], &(struct sample){.value = 300, .disturbed = DISTURBED_MOVED});
    warnings(SERIES, text, sizeof text);
    assert_string_equal(text, "program: warning: 1 of 33 samples are left out as disturbed (the "
                              "worst: a thread was taken off its CPU)\n");
}

static void disturbed_samples_that_count_are_warned_of(void **state) {
    char text[512];
    (void)state;
    series_free(&series[1]);
    for (size_t sample = 0; sample < SAMPLES; sample++)
        series_add(&series[1], &(struct sample){.value = 100, .disturbed = DISTURBED_PREEMPTED});
    warnings(SERIES, text, sizeof text);
    assert_string_equal(text,
                        "program: warning: 8 of 32 samples were disturbed (the worst: another "
                        "program took the CPU), so many that they count\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_is_known_well_is_not_warned_of, even_series),
        cmocka_unit_test_setup(one_noisy_figure_is_named_with_its_metric, even_series),
        cmocka_unit_test_setup(the_worst_of_several_is_named_with_its_metric, even_series),
        cmocka_unit_test_setup(a_metric_alone_goes_without_saying, even_series),
        cmocka_unit_test_setup(samples_taken_on_another_cpu_are_warned_of, even_series),
        cmocka_unit_test_setup(disturbed_samples_that_count_are_warned_of, even_series),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
