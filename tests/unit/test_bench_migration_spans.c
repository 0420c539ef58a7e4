/* Spans of a reader: middle, tail and mean, and what is kept of very many. Also a reader beside a
 * mover. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "bench/lib/migration_reader.h"

static void assert_near(double actual, double expected) {
    if (actual < 0.999999 * expected || actual > 1.000001 * expected)
        fail_msg("%g instead of %g", actual, expected);
}

static struct migration_spans started(void) {
    struct migration_spans spans;
    assert_int_equal(migration_spans_start(&spans), 0);
    return spans;
}

static void one_span_is_all_of_it(void **state) {
    (void)state;
    struct migration_spans spans = started();
    migration_spans_add(&spans, 6400);
    struct migration_latency latency = migration_spans_summarise(&spans, 64);
    assert_near(latency.median_ns, 100);
    assert_near(latency.p99_ns, 100);
    assert_near(latency.mean_ns, 100);
    assert_int_equal(spans.longest_ns, 6400);
    migration_spans_end(&spans);
}

/* 1 to 100 us, from the longest. */
static void the_99th_of_100_spans_is_the_tail(void **state) {
    (void)state;
    struct migration_spans spans = started();
    for (uint64_t us = 100; us > 0; us--)
        migration_spans_add(&spans, us * 1000);
    struct migration_latency latency = migration_spans_summarise(&spans, 10);
    assert_near(latency.median_ns, 5000);
    assert_near(latency.p99_ns, 9900);
    assert_near(latency.mean_ns, 5050);
    migration_spans_end(&spans);
}

static void a_rare_wait_is_in_mean_and_tail_but_not_in_the_median(void **state) {
    (void)state;
    struct migration_spans spans = started();
    for (size_t i = 0; i < 1000; i++)
        migration_spans_add(&spans, i % 50 == 0 ? 1000000 : 10000);
    struct migration_latency latency = migration_spans_summarise(&spans, 100);
    assert_near(latency.median_ns, 100);
    assert_near(latency.p99_ns, 10000);
    assert_near(latency.mean_ns, 298);
    migration_spans_end(&spans);
}

static void very_many_spans_keep_their_middle_tail_and_mean(void **state) {
    (void)state;
    struct migration_spans spans = started();
    size_t count = 5 * MIGRATION_SPANS_KEPT;
    for (size_t i = 0; i < count; i++)
        migration_spans_add(&spans, 1000 + i * 7919 % 1009);
    assert_true(spans.kept <= MIGRATION_SPANS_KEPT);
    assert_true(spans.kept > MIGRATION_SPANS_KEPT / 4);
    assert_int_equal(spans.count, count);
    struct migration_latency latency = migration_spans_summarise(&spans, 1);
    assert_in_range((uint64_t)latency.median_ns, 1494, 1514);
    assert_in_range((uint64_t)latency.p99_ns, 1993, 2003);
    assert_in_range((uint64_t)latency.mean_ns, 1503, 1505);
    migration_spans_end(&spans);
}

static void cleared_spans_are_forgotten(void **state) {
    (void)state;
    struct migration_spans spans = started();
    for (size_t i = 0; i <= MIGRATION_SPANS_KEPT; i++)
        migration_spans_add(&spans, 1000000);
    migration_spans_clear(&spans);
    migration_spans_add(&spans, 10);
    assert_int_equal(spans.longest_ns, 10);
    assert_near(migration_spans_summarise(&spans, 1).mean_ns, 10);
    migration_spans_end(&spans);
}

/* A ring of 64 slots, which is enough for a walk. */
static void a_reader_alone_notes_spans_for_as_long_as_asked(void **state) {
    (void)state;
    enum { BYTES = 64 * RING_SLOT_BYTES };
    void *memory = aligned_alloc(RING_SLOT_BYTES, BYTES);
    struct ring ring;
    assert_non_null(memory);
    assert_int_equal(ring_build(&ring, memory, BYTES, 1), 0);
    struct migration_reader reader = {.at = ring.starts[0], .min_ns = 1000000, .spans = started()};
    assert_true(migration_read(&reader, NULL));
    assert_true(reader.spans.count > 0);
    assert_true(reader.spans.total_ns >= reader.min_ns);
    assert_int_equal(reader.asked, 0);
    migration_spans_end(&reader.spans);
    free(memory);
}

/* Of a mover that has come to `met` of the meetings before and after the work, and does no work. */
static bool read_without_mover(size_t met) {
    enum { BYTES = 64 * RING_SLOT_BYTES };
    void *memory = aligned_alloc(RING_SLOT_BYTES, BYTES);
    struct ring ring;
    assert_non_null(memory);
    assert_int_equal(ring_build(&ring, memory, BYTES, 1), 0);
    struct migration_shuttle shuttle = {0};
    struct migration_reader reader = {
        .at = ring.starts[0],
        .min_ns = 1,
        .spans = started(),
        .shuttle = &shuttle,
        .patience_ns = 1000000,
    };
    struct crew crew = {.size = 2, .met = met};
    bool read = migration_read(&reader, &crew);
    assert_int_equal(reader.spans.count, 0);
    migration_spans_end(&reader.spans);
    free(memory);
    return read;
}

static void a_reader_gives_up_on_a_mover_that_never_comes(void **state) {
    (void)state;
    assert_false(read_without_mover(0));
}

static void a_reader_gives_up_on_a_mover_that_never_begins(void **state) {
    (void)state;
    assert_false(read_without_mover(1));
}

static void a_wait_for_a_page_is_no_disturbance(void **state) {
    (void)state;
    struct migration_reader reader = {.after.faults = 3};
    struct watch watch = {.ticks_per_ns = 0};
    assert_int_equal(migration_read_disturbance(&reader, &watch, 0), UNDISTURBED);
    reader.after.preemptions = 1;
    assert_int_equal(migration_read_disturbance(&reader, &watch, 0), DISTURBED_PREEMPTED);
    reader.after.cpu = 1;
    assert_int_equal(migration_read_disturbance(&reader, &watch, 0), DISTURBED_MOVED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_span_is_all_of_it),
        cmocka_unit_test(the_99th_of_100_spans_is_the_tail),
        cmocka_unit_test(a_rare_wait_is_in_mean_and_tail_but_not_in_the_median),
        cmocka_unit_test(very_many_spans_keep_their_middle_tail_and_mean),
        cmocka_unit_test(cleared_spans_are_forgotten),
        cmocka_unit_test(a_reader_alone_notes_spans_for_as_long_as_asked),
        cmocka_unit_test(a_reader_gives_up_on_a_mover_that_never_comes),
        cmocka_unit_test(a_reader_gives_up_on_a_mover_that_never_begins),
        cmocka_unit_test(a_wait_for_a_page_is_no_disturbance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
