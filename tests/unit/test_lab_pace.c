/* The arithmetic of the lab's pacing plugin, on a clock of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "harness/lab/plugin/pace_model.h"

/* In ns: a line of a link takes half of its latency, the emulator a fifth, or a tenth in a stream.
 */
enum {
    LATENCY = 2000,
    LINE_TIME = 1000,
    CHASE_COST = 400,
    STREAM_COST = 200,
    OWED_MAX = 10000000,
    PAUSE = 1000000,
    LINES = 10000,
    START = 1000000,
};

/* A guest's CPU: its clock, and what it does next and how long the emulator takes for that. */
struct cpu {
    struct timeline timeline;
    uint64_t now;
    bool streams;
    uint64_t cost;
    uint64_t taken; /* by the host before the next fetch, and not yet noticed */
    uint64_t lines, late;
};

static const struct owing owing = {OWED_MAX, PAUSE};
static struct link one_link;

static int idle_link(void **state) {
    (void)state;
    one_link = (struct link){.latency = LATENCY, .line_time = LINE_TIME};
    return 0;
}

static struct cpu cpu_that(bool streams) {
    return (struct cpu){
        .timeline = {.end = START},
        .now = START,
        .streams = streams,
        .cost = streams ? STREAM_COST : CHASE_COST,
    };
}

/* The CPU fetches its next line, as the plugin has it. */
static void step(struct cpu *cpu) {
    struct fetch fetch;

    cpu->now += cpu->cost + cpu->taken;
    if (cpu->taken > 0)
        timeline_owe(&cpu->timeline, cpu->now, cpu->taken, &owing);
    fetch = cpu->streams ? stream_fetch(&cpu->timeline, &one_link)
                         : demand_fetch(&cpu->timeline, &one_link);
    cpu->late += fetch_is_late(&cpu->timeline, fetch, cpu->now);
    timeline_go_on(&cpu->timeline, fetch, cpu->now);
    cpu->now = later(cpu->now, cpu->timeline.end);
    cpu->taken = 0;
    cpu->lines++;
}

static void run_lines(struct cpu *cpu, uint64_t lines) {
    for (uint64_t i = 0; i < lines; i++)
        step(cpu);
}

/* Runs the CPUs side by side until each has come to time `end`. */
static void run_until(struct cpu *cpus[], int count, uint64_t end) {
    for (;;) {
        struct cpu *next = cpus[0];

        for (int i = 1; i < count; i++)
            if (cpus[i]->now + cpus[i]->cost < next->now + next->cost)
                next = cpus[i];
        if (next->now >= end)
            return;
        step(next);
    }
}

static void assert_about(uint64_t value, uint64_t expected, uint64_t tolerance) {
    assert_in_range(value, expected - tolerance, expected + tolerance);
}

static void a_lone_chase_takes_the_latency_a_line(void **state) {
    struct cpu cpu = cpu_that(false);

    (void)state;
    run_lines(&cpu, LINES);
    assert_int_equal(cpu.now - START, (uint64_t)LINES * LATENCY);
    assert_int_equal(cpu.late, 0);
}

static void a_lone_stream_runs_at_the_links_rate(void **state) {
    struct cpu cpu = cpu_that(true);

    (void)state;
    run_lines(&cpu, LINES);
    /* It begins with STREAM_DEPTH lines that a prefetcher has fetched before. */
    assert_int_equal(cpu.now - START, (uint64_t)(LINES - STREAM_DEPTH) * LINE_TIME);
    assert_in_range(cpu.late, 0, 1);
}

/* As in STREAM's kernels: a line of each array at once, then much arithmetic. */
static void a_stream_in_bursts_runs_at_the_links_rate(void **state) {
    struct cpu cpu = cpu_that(true);

    (void)state;
    for (int i = 0; i < LINES; i++) {
        cpu.cost = i % 3 == 0 ? 3 * LINE_TIME - 200 : 50;
        step(&cpu);
    }
    assert_about(cpu.now - START, (uint64_t)LINES * LINE_TIME, STREAM_DEPTH * LINE_TIME);
    assert_in_range(cpu.late, 0, STREAM_DEPTH);
}

static void a_slow_emulator_is_reported(void **state) {
    struct cpu chase = cpu_that(false), stream = cpu_that(true);

    (void)state;
    chase.cost = LATENCY + 1;
    run_lines(&chase, LINES);
    assert_int_equal(chase.now - START, (uint64_t)LINES * (LATENCY + 1));
    assert_int_equal(chase.late, LINES);
    stream.now = stream.timeline.end = chase.now;
    stream.cost = LINE_TIME + 1;
    run_lines(&stream, LINES);
    assert_int_equal(stream.late, LINES);
}

static void streams_share_the_links_rate(void **state) {
    struct cpu a = cpu_that(true), b = cpu_that(true), c = cpu_that(true);
    uint64_t lines = 3 * LINES;

    (void)state;
    run_until((struct cpu *[]){&a, &b, &c}, 3, START + lines * LINE_TIME);
    assert_about(a.lines + b.lines + c.lines, lines, 3 * (STREAM_DEPTH + 1));
    assert_about(a.lines, LINES, 2 * STREAM_DEPTH);
    assert_about(b.lines, LINES, 2 * STREAM_DEPTH);
}

static void another_links_stream_does_not_matter(void **state) {
    struct cpu cpu = cpu_that(false), other = cpu_that(true);
    struct link busy = one_link;

    (void)state;
    for (int i = 0; i < LINES; i++)
        timeline_go_on(&other.timeline, stream_fetch(&other.timeline, &busy), 0);
    run_lines(&cpu, LINES);
    assert_int_equal(cpu.now - START, (uint64_t)LINES * LATENCY);
}

static void a_chase_waits_for_the_queue_of_a_saturated_link(void **state) {
    struct cpu chase = cpu_that(false), a = cpu_that(true), b = cpu_that(true);
    uint64_t end = START + (uint64_t)LINES * LINE_TIME;

    (void)state;
    run_until((struct cpu *[]){&chase, &a}, 2, end);
    assert_about((chase.now - START) / chase.lines, LATENCY + STREAM_DEPTH * LINE_TIME, LINE_TIME);
    assert_about(chase.lines + a.lines, LINES, STREAM_DEPTH + 2);
    idle_link(NULL);
    chase = cpu_that(false);
    a = cpu_that(true);
    run_until((struct cpu *[]){&chase, &a, &b}, 3, end);
    assert_in_range((chase.now - START) / chase.lines, LATENCY + 2 * STREAM_DEPTH * LINE_TIME,
                    LATENCY + 2 * (STREAM_DEPTH + 1) * LINE_TIME);
}

static void a_chase_does_not_wait_below_saturation(void **state) {
    struct cpu chase = cpu_that(false), stream = cpu_that(true);

    (void)state;
    stream.cost = 2 * LINE_TIME; /* half of the link's rate */
    run_until((struct cpu *[]){&chase, &stream}, 2, START + (uint64_t)LINES * LINE_TIME);
    assert_in_range((chase.now - START) / chase.lines, LATENCY, LATENCY + LINE_TIME);
}

static void idling_earns_nothing(void **state) {
    struct cpu chase = cpu_that(false), stream = cpu_that(true);
    uint64_t begin;

    (void)state;
    run_lines(&chase, 10);
    begin = chase.now += 1000000000;
    run_lines(&chase, LINES);
    /* Only the first line comes at once. */
    assert_about(chase.now - begin, (uint64_t)LINES * LATENCY, LATENCY);
    stream.now = stream.timeline.end = chase.now;
    run_lines(&stream, 100);
    begin = stream.now += 1000000000;
    run_lines(&stream, LINES);
    /* Only what was on its way comes at once. */
    assert_about(stream.now - begin, (uint64_t)(LINES - STREAM_DEPTH) * LINE_TIME, 2 * LINE_TIME);
}

static void what_the_host_takes_is_made_up_for(void **state) {
    struct cpu chase = cpu_that(false), stream = cpu_that(true);
    uint64_t begin;

    (void)state;
    for (int i = 0; i < LINES; i++) {
        chase.taken = i % 5000 == 100 ? 4000000 : 0;
        step(&chase);
    }
    assert_int_equal(chase.now - START, (uint64_t)LINES * LATENCY);
    assert_int_equal(chase.late, 0);
    begin = stream.now = stream.timeline.end = chase.now;
    for (int i = 0; i < LINES; i++) {
        stream.taken = i % 5000 == 100 ? 3000000 : 0;
        step(&stream);
    }
    assert_about(stream.now - begin, (uint64_t)(LINES - STREAM_DEPTH) * LINE_TIME, LINE_TIME);
    assert_in_range(stream.late, 0, 1);
}

static void no_more_than_the_most_is_made_up_for(void **state) {
    struct cpu cpu = cpu_that(false);

    (void)state;
    step(&cpu);
    cpu.taken = 3 * OWED_MAX;
    run_lines(&cpu, LINES);
    assert_about(cpu.now - START, (uint64_t)(LINES + 1) * LATENCY + 2 * OWED_MAX, 2 * LATENCY);
}

static void a_pause_ends_what_is_owed(void **state) {
    struct cpu cpu = cpu_that(false);
    uint64_t begin;

    (void)state;
    step(&cpu);
    cpu.taken = OWED_MAX;
    step(&cpu);
    assert_about(cpu.timeline.owed, OWED_MAX, LATENCY);
    cpu.now += PAUSE + LATENCY; /* of its own: the guest was idle */
    cpu.taken = 1;              /* and the plugin asks why */
    begin = cpu.now;
    run_lines(&cpu, LINES);
    assert_about(cpu.now - begin, (uint64_t)LINES * LATENCY, LATENCY);
}

static void others_use_the_link_of_a_cpu_that_the_host_stopped(void **state) {
    struct cpu a = cpu_that(true), b = cpu_that(true);
    uint64_t end = START + (uint64_t)LINES * LINE_TIME;

    (void)state;
    run_until((struct cpu *[]){&a, &b}, 2, START + 1000000);
    a.taken = 4000000;
    run_until((struct cpu *[]){&b}, 1, a.now + 4000000);
    run_until((struct cpu *[]){&a, &b}, 2, end);
    /* The link carried no less, and not more either when a came back. */
    assert_about(a.lines + b.lines, LINES, 3 * STREAM_DEPTH);
}

static void a_stopped_chase_does_not_wait_in_the_past(void **state) {
    struct cpu chase = cpu_that(false), stream = cpu_that(true);
    uint64_t lines;

    (void)state;
    run_until((struct cpu *[]){&chase, &stream}, 2, START + 1000000);
    lines = chase.lines;
    chase.taken = 4000000;
    run_until((struct cpu *[]){&stream}, 1, chase.now + 4000000);
    run_until((struct cpu *[]){&chase, &stream}, 2, START + 30000000);
    /* Its latency is that of a loaded link, as if it had not been stopped. */
    assert_about((chase.now - START) / chase.lines, (1000000 / lines), LINE_TIME);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_lone_chase_takes_the_latency_a_line, idle_link),
        cmocka_unit_test_setup(a_lone_stream_runs_at_the_links_rate, idle_link),
        cmocka_unit_test_setup(a_stream_in_bursts_runs_at_the_links_rate, idle_link),
        cmocka_unit_test_setup(a_slow_emulator_is_reported, idle_link),
        cmocka_unit_test_setup(streams_share_the_links_rate, idle_link),
        cmocka_unit_test_setup(another_links_stream_does_not_matter, idle_link),
        cmocka_unit_test_setup(a_chase_waits_for_the_queue_of_a_saturated_link, idle_link),
        cmocka_unit_test_setup(a_chase_does_not_wait_below_saturation, idle_link),
        cmocka_unit_test_setup(idling_earns_nothing, idle_link),
        cmocka_unit_test_setup(what_the_host_takes_is_made_up_for, idle_link),
        cmocka_unit_test_setup(no_more_than_the_most_is_made_up_for, idle_link),
        cmocka_unit_test_setup(a_pause_ends_what_is_owed, idle_link),
        cmocka_unit_test_setup(others_use_the_link_of_a_cpu_that_the_host_stopped, idle_link),
        cmocka_unit_test_setup(a_stopped_chase_does_not_wait_in_the_past, idle_link),
    };

    return cmocka_run_group_tests_name("lab_pace", tests, NULL, NULL);
}
