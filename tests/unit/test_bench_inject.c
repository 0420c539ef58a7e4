/* Traffic at a set rate: how much is due when, on a made-up clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "bench/lib/inject.h"

/* Asks every look_ns for total_ns, as a thread does whose reads cost line_ns each; returns lines.
 */
static uint64_t lines_read(struct inject_pace *pace, uint64_t look_ns, double line_ns,
                           uint64_t total_ns) {
    uint64_t now_ns = pace->started_ns, lines = 0;
    while (now_ns < pace->started_ns + total_ns) {
        size_t due = inject_due(pace, now_ns);
        lines += due;
        now_ns += look_ns + (uint64_t)((double)due * line_ns);
    }
    return lines;
}

static void assert_rate(double lines_per_ns, size_t burst, uint64_t look_ns, double line_ns) {
    const uint64_t total_ns = 100000000;
    struct inject_pace pace = {
        .lines_per_ns = lines_per_ns, .burst = burst, .started_ns = 1000000007};
    double rate = (double)lines_read(&pace, look_ns, line_ns, total_ns) / (double)total_ns;
    if (rate < 0.99 * lines_per_ns || rate > 1.01 * lines_per_ns)
        fail_msg("%g lines/ns instead of %g", rate, lines_per_ns);
}

/* 2.5 ns a line, a look in 40. */
static void rate_is_kept_on_a_fast_machine(void **state) {
    static const double parts[] = {0.01, 0.1, 0.3, 0.5, 0.8, 0.9, 0.95};
    (void)state;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        assert_rate(parts[i] / 2.5, 20, 40, 2.5);
}

/* 1 us a line, a look in half of that. */
static void rate_is_kept_in_an_emulator(void **state) {
    static const double parts[] = {0.01, 0.1, 0.3, 0.5, 0.8, 0.9, 0.95};
    (void)state;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        assert_rate(parts[i] / 1000, 1, 500, 1000);
}

static void lines_come_in_bursts(void **state) {
    struct inject_pace pace = {.lines_per_ns = 0.1, .burst = 8};
    (void)state;
    assert_int_equal(inject_due(&pace, 0), 0);
    assert_int_equal(inject_due(&pace, 79), 0);
    assert_int_equal(inject_due(&pace, 80), 8);
    assert_int_equal(inject_due(&pace, 81), 0);
    assert_int_equal(inject_due(&pace, 200), 12);
    assert_int_equal(inject_due(&pace, 100), 0);
}

/* A thread that begins in the middle of a period waits for the rest of it. */
static void first_burst_comes_a_part_of_a_period_later(void **state) {
    struct inject_pace pace = {.lines_per_ns = 0.1, .burst = 8, .given = 4};
    (void)state;
    assert_int_equal(inject_due(&pace, 119), 0);
    assert_int_equal(inject_due(&pace, 120), 8);
}

static void time_without_a_cpu_is_not_made_up_for(void **state) {
    struct inject_pace pace = {.lines_per_ns = 0.1, .burst = 8};
    (void)state;
    assert_int_equal(inject_due(&pace, 1000000), 8 * INJECT_BACKLOG_BURSTS);
    assert_int_equal(inject_due(&pace, 1000079), 0);
    assert_int_equal(inject_due(&pace, 1000080), 8);
}

/* Of a thread that never ran while the rates were found. */
static void without_a_rate_nothing_is_due(void **state) {
    struct inject_pace pace = {.lines_per_ns = 0, .burst = 1};
    (void)state;
    assert_int_equal(inject_due(&pace, 1000000), 0);
    pace.lines_per_ns = NAN;
    assert_int_equal(inject_due(&pace, 2000000), 0);
}

/* Half an idle latency's worth, from one line to a page of 4 KiB. */
static void burst_is_short_beside_a_load(void **state) {
    (void)state;
    assert_int_equal(inject_burst(2000, 0.001), 1); /* an emulator: 2 us, 0.064 GB/s */
    assert_int_equal(inject_burst(3600, 0.0005), 1);
    assert_int_equal(inject_burst(100, 0.4), 20); /* 25.6 GB/s */
    assert_int_equal(inject_burst(120, 3), 64);   /* 192 GB/s */
}

static void *stop_soon(void *argument) {
    struct injector *injector = ((void **)argument)[0];
    atomic_bool *stop = ((void **)argument)[1];
    while (atomic_load(&injector->lines) < 1000)
        sched_yield();
    atomic_store(stop, true);
    return NULL;
}

/* Reading goes on from the start at the end: under a sanitizer or at a guard page it would show. */
static void reads_until_told_to_stop(void **state) {
    const size_t lines = 5;
    struct injector injector = {.memory = calloc(lines, INJECT_LINE_BYTES),
                                .size_bytes = lines * INJECT_LINE_BYTES};
    struct inject_pace pace = {.lines_per_ns = 0.01, .burst = 3};
    (void)state;
    assert_non_null(injector.memory);
    for (size_t run = 0; run < 2; run++) {
        atomic_bool stop = false;
        void *arguments[] = {&injector, &stop};
        pthread_t stopper;
        atomic_store(&injector.lines, 0);
        assert_int_equal(pthread_create(&stopper, NULL, stop_soon, arguments), 0);
        inject(&injector, run == 0 ? NULL : &pace, &stop);
        pthread_join(stopper, NULL);
        assert_true(atomic_load(&injector.lines) >= 1000);
        assert_true(injector.at < injector.size_bytes && injector.at % INJECT_LINE_BYTES == 0);
    }
    free((void *)(uintptr_t)injector.memory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rate_is_kept_on_a_fast_machine),
        cmocka_unit_test(rate_is_kept_in_an_emulator),
        cmocka_unit_test(lines_come_in_bursts),
        cmocka_unit_test(first_burst_comes_a_part_of_a_period_later),
        cmocka_unit_test(time_without_a_cpu_is_not_made_up_for),
        cmocka_unit_test(without_a_rate_nothing_is_due),
        cmocka_unit_test(burst_is_short_beside_a_load),
        cmocka_unit_test(reads_until_told_to_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
