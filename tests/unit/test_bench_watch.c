/* What happened to a thread while it was timed, and when it is warm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "bench/lib/warmup.h"
#include "bench/lib/watch.h"

#define CPU 3

static const struct watch watch = {.ticks_per_ns = 2};

/* A sample of 100 ms that nothing befell. */
static void quiet(struct watch_reading *before, struct watch_reading *after) {
    *before = (struct watch_reading){.raw_ns = 5000000000,
                                     .monotonic_ns = 7000000000,
                                     .wall_ns = 1795353706000000000,
                                     .ticks = 1000,
                                     .faults = 10,
                                     .preemptions = 4,
                                     .cpu = CPU};
    *after = *before;
    after->raw_ns += 100000000;
    after->monotonic_ns += 100000000;
    after->wall_ns += 100000000;
    after->ticks += 200000000;
}

static void a_quiet_sample_is_not_marked(void **state) {
    struct watch_reading before, after;
    (void)state;
    quiet(&before, &after);
    assert_int_equal(watch_compare(&watch, &before, &after, CPU), UNDISTURBED);
}

/* Time daemons slew by at most 500 ppm. */
static void a_slewed_clock_is_no_fault(void **state) {
    struct watch_reading before, after;
    (void)state;
    quiet(&before, &after);
    after.monotonic_ns += 50000;
    after.wall_ns -= 50000;
    assert_int_equal(watch_compare(&watch, &before, &after, CPU), UNDISTURBED);
}

static void a_stepped_clock_is_found_whichever_it_is(void **state) {
    struct watch_reading before, after;
    (void)state;
    quiet(&before, &after);
    after.raw_ns += 5000000;
    assert_int_equal(watch_compare(&watch, &before, &after, CPU), DISTURBED_CLOCK);
    quiet(&before, &after);
    after.wall_ns -= 3600000000000;
    assert_int_equal(watch_compare(&watch, &before, &after, CPU), DISTURBED_CLOCK);
    quiet(&before, &after);
    after.ticks += 200000000; /* all of the kernel's clocks stood still */
    assert_int_equal(watch_compare(&watch, &before, &after, CPU), DISTURBED_CLOCK);
}

static void without_a_counter_the_clocks_are_compared_with_each_other(void **state) {
    static const struct watch blind = {0};
    struct watch_reading before, after;
    (void)state;
    quiet(&before, &after);
    before.ticks = after.ticks = 0;
    assert_int_equal(watch_compare(&blind, &before, &after, CPU), UNDISTURBED);
    after.monotonic_ns += 10000000;
    assert_int_equal(watch_compare(&blind, &before, &after, CPU), DISTURBED_CLOCK);
}

static void a_thread_on_another_cpu_has_moved(void **state) {
    struct watch_reading before, after;
    (void)state;
    quiet(&before, &after);
    after.cpu = 1;
    assert_int_equal(watch_compare(&watch, &before, &after, CPU), DISTURBED_MOVED);
    before.cpu = 1; /* it moved before the sample began */
    assert_int_equal(watch_compare(&watch, &before, &after, CPU), DISTURBED_MOVED);
}

static void faults_and_preemptions_are_marked_the_worse_one_named(void **state) {
    struct watch_reading before, after;
    (void)state;
    quiet(&before, &after);
    after.faults++;
    assert_int_equal(watch_compare(&watch, &before, &after, CPU), DISTURBED_FAULTED);
    after.preemptions++;
    assert_int_equal(watch_compare(&watch, &before, &after, CPU), DISTURBED_PREEMPTED);
}

/* The readings themselves, on this machine: a fault is seen, and the right CPU. */
static void a_reading_sees_the_threads_own_fault(void **state) {
    struct watch_reading before, after;
    (void)state;
    watch_read(&before);
    char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(page != MAP_FAILED);
    *(volatile char *)page = 1;
    watch_read(&after);
    munmap(page, 4096);
    assert_true(after.faults > before.faults);
    assert_true(after.raw_ns >= before.raw_ns && after.wall_ns != 0);
}

static void the_counter_runs_evenly_where_there_is_one(void **state) {
    struct watch found;
    struct watch_reading before, after;
    (void)state;
    watch_calibrate(&found);
    if (found.ticks_per_ns <= 0) {
        print_message("# no invariant counter here\n");
        skip();
    }
    watch_read(&before);
    do
        watch_read(&after);
    while (after.raw_ns - before.raw_ns < 5000000);
    assert_int_not_equal(watch_compare(&found, &before, &after, after.cpu), DISTURBED_CLOCK);
    after.ticks *= 2;
    assert_int_equal(watch_compare(&found, &before, &after, after.cpu), DISTURBED_CLOCK);
}

static void warm_when_three_spans_are_as_the_three_before(void **state) {
    static const double spans[] = {300, 200, 150, 120, 101, 100, 100.4};
    struct warmup warmup = {0};
    (void)state;
    for (size_t i = 0; i < 7; i++)
        assert_false(warmup_add(&warmup, spans[i], 0.01));
    assert_false(warmup_add(&warmup, 100.2, 0.01)); /* 120, 101, 100 before */
    assert_true(warmup_add(&warmup, 100.1, 0.01));  /* 101, 100, 100.4 before */
    assert_true(warmup.settled);
}

static void one_interrupted_span_does_not_hold_up_the_start(void **state) {
    static const double spans[] = {100, 900, 100, 100, 100, 100};
    struct warmup warmup = {0};
    (void)state;
    for (size_t i = 0; i < 5; i++)
        assert_false(warmup_add(&warmup, spans[i], 0.01));
    assert_true(warmup_add(&warmup, spans[5], 0.01));
}

static void a_machine_that_never_settles_is_measured_all_the_same(void **state) {
    struct warmup warmup = {0};
    size_t spans = 0;
    (void)state;
    double value = 100;
    do
        value *= 1.1;
    while (++spans < 1000 && !warmup_add(&warmup, value, 0.01));
    assert_int_equal(spans, WARMUP_MOST);
    assert_false(warmup.settled);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quiet_sample_is_not_marked),
        cmocka_unit_test(a_slewed_clock_is_no_fault),
        cmocka_unit_test(a_stepped_clock_is_found_whichever_it_is),
        cmocka_unit_test(without_a_counter_the_clocks_are_compared_with_each_other),
        cmocka_unit_test(a_thread_on_another_cpu_has_moved),
        cmocka_unit_test(faults_and_preemptions_are_marked_the_worse_one_named),
        cmocka_unit_test(a_reading_sees_the_threads_own_fault),
        cmocka_unit_test(the_counter_runs_evenly_where_there_is_one),
        cmocka_unit_test(warm_when_three_spans_are_as_the_three_before),
        cmocka_unit_test(one_interrupted_span_does_not_hold_up_the_start),
        cmocka_unit_test(a_machine_that_never_settles_is_measured_all_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
