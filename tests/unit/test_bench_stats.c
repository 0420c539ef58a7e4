/* Medians, their intervals, and when there are samples enough. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "bench/lib/series.h"
#include "bench/lib/stats.h"

static struct stats_summary summarise(const double *values, size_t count) {
    double sorted[64];
    for (size_t i = 0; i < count; i++)
        stats_insert(sorted, i, values[i]);
    return stats_summarise(sorted, count);
}

/* Ranks from published tables of intervals of the median (95 %, two-sided, symmetric). */
static void ranks_match_published_tables(void **state) {
    static const size_t table[][2] = {
        {1, 0},  {5, 0},  {6, 1},  {8, 1},  {9, 2},  {11, 2}, {12, 3}, {14, 3},
        {15, 4}, {16, 4}, {17, 5}, {19, 5}, {20, 6}, {22, 6}, {23, 7}, {25, 8},
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        assert_int_equal(stats_median_rank(table[i][0]), table[i][1]);
}

/* Large n: the normal approximation n/2 - 1.96 sqrt(n)/2 gives 469.0; the exact rank is near. */
static void rank_of_many_samples_is_near_the_normal_one(void **state) {
    (void)state;
    assert_in_range(stats_median_rank(STATS_MAX_SAMPLES), 468, 470);
}

static void median_of_odd_and_even(void **state) {
    const double odd[] = {5, 1, 9, 3, 7}, even[] = {4, 1, 3, 2};
    (void)state;
    struct stats_summary summary = summarise(odd, 5);
    assert_true(summary.median == 5 && summary.minimum == 1);
    summary = summarise(even, 4);
    assert_true(summary.median == 2.5);
}

static void interval_needs_six_samples(void **state) {
    const double values[] = {6, 5, 4, 3, 2, 1};
    (void)state;
    struct stats_summary summary = summarise(values, 5);
    assert_false(summary.has_interval);
    assert_true(isinf(stats_spread(&summary)));
    summary = summarise(values, 6);
    assert_true(summary.has_interval && summary.ci_low == 1 && summary.ci_high == 6);
}

static void interval_of_nine_drops_the_extremes(void **state) {
    const double values[] = {100, 102, 101, 103, 99, 98, 97, 1, 5000};
    (void)state;
    struct stats_summary summary = summarise(values, 9);
    assert_true(summary.median == 100 && summary.ci_low == 97 && summary.ci_high == 103);
    assert_true(fabs(stats_spread(&summary) - 0.03) < 1e-12);
}

static void series_stops_when_settled(void **state) {
    static struct series series;
    (void)state;
    for (int i = 0; i < 6; i++) {
        assert_false(series_enough(&series, 21));
        series_add(&series, 100 + i * 0.1, 1000 + i);
    }
    assert_true(series_enough(&series, 21));
    assert_true(series.values[5] == 100.5 && series.started_at[5] == 1005);
}

static void series_stops_at_the_limit_when_noisy(void **state) {
    static struct series series;
    (void)state;
    for (int i = 0; i < 21; i++) {
        assert_false(series_enough(&series, 21));
        series_add(&series, i % 2 == 0 ? 100 : 200, 0);
    }
    assert_true(series_enough(&series, 21));
}

static void series_keeps_the_order_taken(void **state) {
    static struct series series;
    const double taken[] = {3, 1, 2};
    (void)state;
    for (size_t i = 0; i < 3; i++)
        series_add(&series, taken[i], 0);
    assert_memory_equal(series.values, taken, sizeof taken);
    assert_true(series.sorted[0] == 1 && series.sorted[1] == 2 && series.sorted[2] == 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_match_published_tables),
        cmocka_unit_test(rank_of_many_samples_is_near_the_normal_one),
        cmocka_unit_test(median_of_odd_and_even),
        cmocka_unit_test(interval_needs_six_samples),
        cmocka_unit_test(interval_of_nine_drops_the_extremes),
        cmocka_unit_test(series_stops_when_settled),
        cmocka_unit_test(series_stops_at_the_limit_when_noisy),
        cmocka_unit_test(series_keeps_the_order_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
