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
#include <string.h>

#include "bench/lib/aggressor.h"

/* Asks every look_ns for total_ns, as a thread does whose reads cost line_ns each; returns lines.
 */
static uint64_t lines_read(struct aggressor_pace *pace, uint64_t look_ns, double line_ns,
                           uint64_t total_ns) {
    uint64_t now_ns = pace->started_ns, lines = 0;
    while (now_ns < pace->started_ns + total_ns) {
        size_t due = aggressor_due(pace, now_ns);
        lines += due;
        now_ns += look_ns + (uint64_t)((double)due * line_ns);
    }
    return lines;
}

static void assert_rate(double lines_per_ns, size_t burst, uint64_t look_ns, double line_ns) {
    const uint64_t total_ns = 100000000;
    struct aggressor_pace pace = {
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
    struct aggressor_pace pace = {.lines_per_ns = 0.1, .burst = 8};
    (void)state;
    assert_int_equal(aggressor_due(&pace, 0), 0);
    assert_int_equal(aggressor_due(&pace, 79), 0);
    assert_int_equal(aggressor_due(&pace, 80), 8);
    assert_int_equal(aggressor_due(&pace, 81), 0);
    assert_int_equal(aggressor_due(&pace, 200), 12);
    assert_int_equal(aggressor_due(&pace, 100), 0);
}

/* A thread that begins in the middle of a period waits for the rest of it. */
static void first_burst_comes_a_part_of_a_period_later(void **state) {
    struct aggressor_pace pace = {.lines_per_ns = 0.1, .burst = 8, .given = 4};
    (void)state;
    assert_int_equal(aggressor_due(&pace, 119), 0);
    assert_int_equal(aggressor_due(&pace, 120), 8);
}

static void time_without_a_cpu_is_not_made_up_for(void **state) {
    struct aggressor_pace pace = {.lines_per_ns = 0.1, .burst = 8};
    (void)state;
    assert_int_equal(aggressor_due(&pace, 1000000), 8 * AGGRESSOR_BACKLOG_BURSTS);
    assert_int_equal(aggressor_due(&pace, 1000079), 0);
    assert_int_equal(aggressor_due(&pace, 1000080), 8);
}

/* Of a thread that never ran while the rates were found. */
static void without_a_rate_nothing_is_due(void **state) {
    struct aggressor_pace pace = {.lines_per_ns = 0, .burst = 1};
    (void)state;
    assert_int_equal(aggressor_due(&pace, 1000000), 0);
    pace.lines_per_ns = NAN;
    assert_int_equal(aggressor_due(&pace, 2000000), 0);
}

/* Half an idle latency's worth, from one line to a page of 4 KiB. */
static void burst_is_short_beside_a_load(void **state) {
    (void)state;
    assert_int_equal(aggressor_burst(2000, 0.001), 1); /* an emulator: 2 us, 0.064 GB/s */
    assert_int_equal(aggressor_burst(3600, 0.0005), 1);
    assert_int_equal(aggressor_burst(100, 0.4), 20); /* 25.6 GB/s */
    assert_int_equal(aggressor_burst(120, 3), 64);   /* 192 GB/s */
}

static void *stop_soon(void *argument) {
    struct aggressor *aggressor = ((void **)argument)[0];
    atomic_bool *stop = ((void **)argument)[1];
    while (atomic_load(&aggressor->lines) < 1000)
        sched_yield();
    atomic_store(stop, true);
    return NULL;
}

/* Runs until at least 1000 lines are moved; returns how many. */
static uint64_t run(struct aggressor *aggressor, struct aggressor_pace *pace) {
    atomic_bool stop = false;
    void *arguments[] = {aggressor, &stop};
    pthread_t stopper;
    atomic_store(&aggressor->lines, 0);
    assert_int_equal(pthread_create(&stopper, NULL, stop_soon, arguments), 0);
    aggressor_run(aggressor, pace, &stop);
    pthread_join(stopper, NULL);
    uint64_t lines = atomic_load(&aggressor->lines);
    assert_true(lines >= 1000);
    return lines;
}

#define MARK 0xAA

/* Lines from `from` on that are changed from the mark: in their first 8 bytes, or wholly. */
static size_t changed_lines(const unsigned char *from, size_t lines, bool wholly) {
    size_t changed = 0;
    for (size_t line = 0; line < lines; line++, from += AGGRESSOR_LINE_BYTES) {
        bool start = false, rest = false;
        for (size_t i = 0; i < AGGRESSOR_LINE_BYTES; i++) {
            start = start || (i < 8 && from[i] != MARK);
            rest = rest || (i >= 8 && from[i] != MARK);
        }
        changed += start && rest == wholly;
        assert_true(start || !rest);
    }
    return changed;
}

/* Of each mix, with and without a pace: what is read stays, what is written changes as said, and
 * both are gone through evenly and from the start again at the end; a guard line follows. */
static void assert_moves(const char *text, size_t read_lines, size_t written_lines) {
    size_t lines = read_lines + written_lines;
    unsigned char *memory = aligned_alloc(AGGRESSOR_LINE_BYTES, (lines + 1) * AGGRESSOR_LINE_BYTES);
    struct aggressor aggressor = {0};
    struct aggressor_mix mix;
    assert_non_null(memory);
    memset(memory, MARK, (lines + 1) * AGGRESSOR_LINE_BYTES);
    assert_true(aggressor_mix_parse(text, &mix));
    assert_true(aggressor_lay(&aggressor, &mix, (char *)memory, lines * AGGRESSOR_LINE_BYTES));
    struct aggressor_pace pace = {.lines_per_ns = 0.01, .burst = 3};
    uint64_t moved = run(&aggressor, NULL) + run(&aggressor, &pace);
    uint64_t written = moved * mix.writes / (mix.reads + mix.writes);
    if (read_lines > 0)
        assert_int_equal(aggressor.read.at, (moved - written) % read_lines * AGGRESSOR_LINE_BYTES);
    if (written_lines > 0)
        assert_int_equal(aggressor.write.at, written % written_lines * AGGRESSOR_LINE_BYTES);
    assert_int_equal(changed_lines(memory, read_lines, false), 0);
    assert_int_equal(
        changed_lines(memory + read_lines * AGGRESSOR_LINE_BYTES, written_lines, mix.non_temporal),
        written_lines);
    assert_int_equal(changed_lines(memory + lines * AGGRESSOR_LINE_BYTES, 1, false), 0);
    free(memory);
}

static void moves_what_the_mix_says(void **state) {
    (void)state;
    assert_moves("1:0", 5, 0);
    assert_moves("3:1", 15, 5);
    assert_moves("2:1", 14, 7);
    assert_moves("1:1", 7, 7);
    assert_moves("0:1", 0, 5);
    assert_moves("2:3", 2, 3);
    assert_moves("1:1-nt", 7, 7);
    assert_moves("0:1-nt", 0, 5);
}

static void too_little_memory_for_the_mix_is_refused(void **state) {
    static char memory[8 * AGGRESSOR_LINE_BYTES];
    const struct aggressor_mix mix = {.reads = 3, .writes = 1}, reads = {.reads = 1};
    struct aggressor aggressor = {0};
    (void)state;
    assert_false(aggressor_lay(&aggressor, &mix, memory, AGGRESSOR_LINE_BYTES));
    assert_true(aggressor_lay(&aggressor, &mix, memory, 4 * AGGRESSOR_LINE_BYTES));
    assert_false(aggressor_lay(&aggressor, &reads, memory, AGGRESSOR_LINE_BYTES - 1));
    assert_true(aggressor_lay(&aggressor, &reads, memory, AGGRESSOR_LINE_BYTES));
}

static void mixes_are_named_as_they_are_read(void **state) {
    static const char *const pairs[][2] = {
        {"1:0", "1:0"}, {"3:1", "3:1"},           {"0:1", "0:1"},     {"4:2", "2:1"},
        {"7:0", "1:0"}, {"1:1-nt", "1:1-nt"},     {"99:98", "99:98"}, {"1:0-nt", "1:0"},
        {"0:9", "0:1"}, {"99:98-nt", "99:98-nt"},
    };
    char text[AGGRESSOR_MIX_TEXT];
    struct aggressor_mix mix;
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        assert_true(aggressor_mix_parse(pairs[i][0], &mix));
        assert_string_equal(aggressor_mix_name(&mix, text), pairs[i][1]);
    }
}

static void what_is_no_mix_is_refused(void **state) {
    static const char *const texts[] = {
        "",     "1",    ":",     "1:",   ":1",    "0:0",       "0:0-nt",  "-1:1",
        "1:-1", "1:1n", "1:1nt", "1:1 ", " 1:1",  "1:1:1",     "100:1",   "1:100",
        "-nt",  "1-nt", "1,1",   "a:b",  "1.5:1", "1:1-nt-nt", "1:1-ntt", "2:1-nt2:1-nt2:1-nt",
    };
    struct aggressor_mix mix;
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (aggressor_mix_parse(texts[i], &mix))
            fail_msg("'%s' is read as %u:%u", texts[i], mix.reads, mix.writes);
}

/* An ordinary store moves its line twice. */
static void traffic_counts_the_lines_that_stores_fetch(void **state) {
    static const struct {
        const char *mix;
        double lines;
    } expected[] = {{"1:0", 1}, {"3:1", 1.25}, {"1:1", 1.5}, {"0:1", 2}, {"1:1-nt", 1}};
    struct aggressor_mix mix;
    (void)state;
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        assert_true(aggressor_mix_parse(expected[i].mix, &mix));
        assert_true(fabs(aggressor_mix_traffic(&mix) - expected[i].lines) < 1e-12);
    }
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
        cmocka_unit_test(moves_what_the_mix_says),
        cmocka_unit_test(too_little_memory_for_the_mix_is_refused),
        cmocka_unit_test(mixes_are_named_as_they_are_read),
        cmocka_unit_test(what_is_no_mix_is_refused),
        cmocka_unit_test(traffic_counts_the_lines_that_stores_fetch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
