/* What spans of probing say: latency, bandwidth and the rates that the aggressors are paced by. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "bench/lib/spans.h"

static void assert_near(double actual, double expected) {
    if (actual < 0.999999 * expected || actual > 1.000001 * expected)
        fail_msg("%g instead of %g", actual, expected);
}

/* Counting takes no time. */
static struct span span_of(uint64_t elapsed_ns, uint64_t loads, uint64_t lines) {
    return (struct span){elapsed_ns, elapsed_ns, loads, lines, false};
}

static void figures_of_even_spans(void **state) {
    struct span spans[10];
    (void)state;
    for (size_t i = 0; i < 10; i++)
        spans[i] = span_of(1000, 10, 40);
    struct spans_summary summary = spans_summarise(spans, 10);
    assert_near(summary.latency_ns, 100);
    assert_near(summary.bandwidth, 3.2);
    assert_near(summary.aggressor_rate, 0.04);
    assert_near(summary.rate, 0.05);
}

/* With hundreds of aggressors that is some microseconds a span. */
static void counting_is_no_part_of_latency(void **state) {
    const struct span span = {.elapsed_ns = 1000, .chase_ns = 800, .loads = 10, .lines = 40};
    (void)state;
    struct spans_summary summary = spans_summarise(&span, 1);
    assert_near(summary.latency_ns, 80);
    assert_near(summary.bandwidth, 3.2);
    assert_near(summary.rate, 0.05);
}

/* Also where their lines are few beside the victim's loads, whose number varies by more: a median
 * of both less one of the victim's would be off by a quarter here. */
static void rate_of_slow_aggressors_is_theirs(void **state) {
    struct span spans[9];
    (void)state;
    for (size_t i = 0; i < 9; i++)
        spans[i] = i < 5 ? span_of(2600, 256, 2) : span_of(2500, 256, 1);
    for (size_t i = 0; i < 4; i++)
        spans[i].loads = 200; /* the victim itself lost its CPU */
    struct spans_summary summary = spans_summarise(spans, 9);
    assert_near(summary.aggressor_rate, 14.0 / 23000);
    assert_near(summary.rate, (14.0 + 4 * 200 + 5 * 256) / 23000);
}

/* Whatever the spans are, as long as anything was moved. */
static void rate_of_aggressors_is_above_zero(void **state) {
    uint32_t random = 20261122;
    (void)state;
    for (size_t round = 0; round < 10000; round++) {
        struct span spans[32];
        size_t count = 1 + round % 32;
        for (size_t i = 0; i < count; i++) {
            random = random * 1664525 + 1013904223;
            spans[i] = span_of(1 + (random >> 8) % 100000, 256 * (1 + (random >> 4) % 3),
                               random >> 28 == 0 ? random >> 16 & 15 : 0);
        }
        spans[round * 7 % count].lines = 1;
        struct spans_summary summary = spans_summarise(spans, count);
        assert_true(summary.aggressor_rate > 0);
        assert_true(summary.rate > summary.aggressor_rate);
    }
}

static void spans_without_the_aggressors_do_not_count(void **state) {
    struct span spans[20];
    (void)state;
    for (size_t i = 0; i < 20; i++)
        spans[i] = span_of(1000, 10, 40);
    spans[3] = span_of(1000, 100, 0);
    spans[8] = span_of(1000, 90, 19);
    struct spans_summary summary = spans_summarise(spans, 20);
    assert_near(summary.latency_ns, 100);
    assert_near(summary.aggressor_rate, 0.04);
    assert_near(summary.rate, 0.05);
}

static void all_spans_count_while_the_aggressors_rest(void **state) {
    const struct span spans[] = {span_of(1000, 10, 0), span_of(2000, 10, 0), span_of(3000, 10, 0)};
    (void)state;
    struct spans_summary summary = spans_summarise(spans, 3);
    assert_near(summary.latency_ns, 200);
    assert_near(summary.rate, 0.005);
    assert_true(summary.aggressor_rate <= 0);
    assert_false(summary.disturbed);
}

static void a_sample_whose_aggressors_mostly_starved_is_marked(void **state) {
    struct span spans[20];
    (void)state;
    for (size_t starved = 0; starved <= 18; starved++) {
        for (size_t i = 0; i < 20; i++)
            spans[i] = span_of(1000, 10, i < starved ? 19 : 40);
        assert_int_equal(spans_summarise(spans, 20).disturbed, starved > 10 && starved < 18);
    }
}

static void spans_in_which_the_victim_was_disturbed_do_not_count(void **state) {
    struct span spans[20];
    (void)state;
    for (size_t disturbed = 0; disturbed < 20; disturbed++) {
        for (size_t i = 0; i < 20; i++) {
            spans[i] = i < disturbed ? span_of(5000, 10, 4000) : span_of(1000, 10, 40);
            spans[i].disturbed = i < disturbed;
        }
        struct spans_summary summary = spans_summarise(spans, 20);
        assert_near(summary.latency_ns, 100);
        assert_near(summary.aggressor_rate, 0.04);
        assert_int_equal(summary.disturbed, disturbed > 10);
    }
}

static void where_the_victim_was_always_disturbed_all_spans_count(void **state) {
    struct span spans[] = {span_of(1000, 10, 40), span_of(1200, 10, 40), span_of(1300, 10, 40)};
    (void)state;
    for (size_t i = 0; i < 3; i++)
        spans[i].disturbed = true;
    struct spans_summary summary = spans_summarise(spans, 3);
    assert_near(summary.latency_ns, 120);
    assert_true(summary.disturbed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_of_even_spans),
        cmocka_unit_test(counting_is_no_part_of_latency),
        cmocka_unit_test(rate_of_slow_aggressors_is_theirs),
        cmocka_unit_test(rate_of_aggressors_is_above_zero),
        cmocka_unit_test(spans_without_the_aggressors_do_not_count),
        cmocka_unit_test(all_spans_count_while_the_aggressors_rest),
        cmocka_unit_test(spans_in_which_the_victim_was_disturbed_do_not_count),
        cmocka_unit_test(where_the_victim_was_always_disturbed_all_spans_count),
        cmocka_unit_test(a_sample_whose_aggressors_mostly_starved_is_marked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
