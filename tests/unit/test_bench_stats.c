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

/* P(binomial(7, 1/7) >= 4) = 0.0101 and P(binomial(7, 2/7) >= 4) = 0.095, so the 2.5 % point of the
 * median of seven is the second; the rest likewise by hand or by symmetry. */
static void ranks_are_those_of_the_exact_bootstrap(void **state) {
    static const size_t table[][3] = {
        {6, 1, 6},  {7, 2, 6},   {8, 2, 7},   {9, 2, 8},
        {11, 3, 9}, {15, 4, 12}, {21, 7, 15}, {51, 19, 33},
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        size_t n = table[i][0];
        assert_int_equal(stats_bootstrap_rank(n, (n + 1) / 2, 0.025), table[i][1]);
        assert_int_equal(stats_bootstrap_rank(n, n / 2 + 1, 0.975), table[i][2]);
    }
}

/* What the exact bootstrap is exact of: 4,000 resamples of 15 samples, drawn with a fixed seed,
 * have 2.5 % of their medians below the fourth sample's rank within what chance allows. */
static void resampling_agrees(void **state) {
    size_t below = 0, up_to = 0;
    uint64_t seed = 1;
    (void)state;
    for (size_t resample = 0; resample < 4000; resample++) {
        size_t drawn[15] = {0}, seen = 0, rank = 0;
        for (size_t i = 0; i < 15; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            drawn[(seed >> 33) % 15]++;
        }
        while (seen < 8)
            seen += drawn[rank++];
        below += rank < 4;
        up_to += rank <= 4;
    }
    assert_in_range(below, 0, 4000 / 40 - 1);
    assert_in_range(up_to, 4000 / 40, 4000);
}

/* Large n: the normal approximation n/2 - 1.96 sqrt(n)/2 gives 469.0; the exact rank is near. */
static void rank_of_many_samples_is_near_the_normal_one(void **state) {
    (void)state;
    assert_in_range(stats_bootstrap_rank(STATS_MAX_SAMPLES, STATS_MAX_SAMPLES / 2, 0.025), 468,
                    471);
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

static void add(struct series *series, double value, enum disturbance disturbed) {
    series_add(series,
               &(struct sample){.value = value, .started_at = 1000, .disturbed = disturbed});
}

static void series_stops_when_settled(void **state) {
    struct series series = {0};
    (void)state;
    for (int i = 0; i < 6; i++) {
        assert_false(series_enough(&series, 21, 0.01));
        add(&series, 100 + i * 0.1, UNDISTURBED);
    }
    assert_true(series_enough(&series, 21, 0.01));
    assert_false(series_enough(&series, 21, 0.001));
    assert_string_equal(series_stopped_by(&series, 0.01), "precision");
    series_free(&series);
}

static void series_stops_at_the_limit_when_noisy(void **state) {
    struct series series = {0};
    (void)state;
    for (int i = 0; i < 21; i++) {
        assert_false(series_enough(&series, 21, 0.01));
        add(&series, i % 2 == 0 ? 100 : 200, UNDISTURBED);
    }
    assert_true(series_enough(&series, 21, 0.01));
    assert_string_equal(series_stopped_by(&series, 0.01), "max-samples");
    series_free(&series);
}

static void series_keeps_the_order_taken(void **state) {
    struct series series = {0};
    const double taken[] = {3, 1, 2};
    (void)state;
    for (size_t i = 0; i < 100; i++)
        add(&series, taken[i % 3], UNDISTURBED);
    for (size_t i = 0; i < 100; i++)
        assert_true(series.taken[i].value == taken[i % 3]);
    assert_true(series.sorted[0] == 1 && series.sorted[34] == 2 && series.sorted[99] == 3);
    series_free(&series);
}

static void disturbed_samples_are_left_out_of_the_median(void **state) {
    struct series series = {0};
    (void)state;
    for (int i = 0; i < 9; i++)
        add(&series, i < 6 ? 100 : 500, i < 6 ? UNDISTURBED : DISTURBED_PREEMPTED);
    series_settle(&series);
    struct stats_summary summary = series_summary(&series);
    assert_true(summary.median == 100 && summary.ci_high == 100 && summary.samples == 6);
    assert_int_equal(series.count, 9);
    assert_string_equal(series_stopped_by(&series, 0.01), "precision");
    series_free(&series);
}

static void with_too_few_others_the_disturbed_count_and_it_is_said(void **state) {
    struct series series = {0};
    (void)state;
    for (int i = 0; i < 9; i++)
        add(&series, i < 5 ? 100 : 500, i < 5 ? UNDISTURBED : DISTURBED_MOVED);
    assert_false(series_enough(&series, 21, 1));
    series_settle(&series);
    assert_int_equal(series_summary(&series).samples, 9);
    assert_true(series_summary(&series).ci_high == 500);
    assert_string_equal(series_stopped_by(&series, 1), "disturbed");
    series_free(&series);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_are_those_of_the_exact_bootstrap),
        cmocka_unit_test(resampling_agrees),
        cmocka_unit_test(rank_of_many_samples_is_near_the_normal_one),
        cmocka_unit_test(median_of_odd_and_even),
        cmocka_unit_test(interval_needs_six_samples),
        cmocka_unit_test(interval_of_nine_drops_the_extremes),
        cmocka_unit_test(series_stops_when_settled),
        cmocka_unit_test(series_stops_at_the_limit_when_noisy),
        cmocka_unit_test(series_keeps_the_order_taken),
        cmocka_unit_test(disturbed_samples_are_left_out_of_the_median),
        cmocka_unit_test(with_too_few_others_the_disturbed_count_and_it_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
