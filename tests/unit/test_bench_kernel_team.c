/* Threads that run bandwidth kernels on their slices: what they count, and broken kernels found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sched.h>
#include <string.h>

#include "bench/lib/kernel_team.h"
#include "bench/lib/topology.h"

#define SIZE_BYTES 100001 /* a remainder at the end of every slice */
#define MOST       2      /* threads */

static struct session session;
static unsigned cpus[MOST];
static size_t threads; /* as many as there are CPUs, at most MOST */

static int make_session(void **state) {
    cpu_set_t allowed;
    (void)state;
    if (!topology_open(&session.topology) || sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return -1;
    for (unsigned cpu = 0; cpu < CPU_SETSIZE && threads < MOST; cpu++)
        if (CPU_ISSET(cpu, &allowed))
            cpus[threads++] = cpu;
    session.cpus = cpus;
    strcpy(session.source.pages, "default");
    placement_expect_node(&session.source.expected, -1);
    return 0;
}

static int end_session(void **state) {
    (void)state;
    hwloc_topology_destroy(session.topology);
    return 0;
}

static kernel_run *scalar(enum kernel_id id) {
    return kernel_set(KERNEL_ISA_SCALAR)->run[id];
}

static void threads_cover_whole_lines_of_the_size(void **state) {
    struct kernel_team team;
    (void)state;
    assert_true(kernel_team_start(&team, &session, threads, SIZE_BYTES));
    struct kernel_traffic traffic = kernel_team_traffic(&team, KERNEL_TRIAD);
    uint64_t lines = SIZE_BYTES / KERNEL_LINE_BYTES / threads * threads;
    assert_int_equal(traffic.read, lines * 2 * KERNEL_LINE_BYTES);
    assert_int_equal(traffic.written, lines * KERNEL_LINE_BYTES);
    assert_int_equal(traffic.allocated, lines * KERNEL_LINE_BYTES);
    kernel_team_end(&team);
}

static void right_kernels_are_proven_and_their_sums_are_right(void **state) {
    struct kernel_team team;
    (void)state;
    assert_true(kernel_team_start(&team, &session, threads, SIZE_BYTES));
    for (enum kernel_id id = 0; id < KERNELS; id++) {
        if (scalar(id) == NULL)
            continue;
        struct kernel_time time = kernel_team_run(&team, id, scalar(id), 3);
        assert_true(time.right);
        assert_true(time.elapsed_ns > 0);
        assert_null(kernel_team_check_and_wipe(&team, id));
    }
    assert_null(kernel_team_check_sources(&team));
    kernel_team_end(&team);
}

static uint64_t do_nothing(const struct kernel_slice *slice) {
    (void)slice;
    return 0;
}

/* A fault of one thread among others that are right. */
static uint64_t copy_unless_last(const struct kernel_slice *slice) {
    if (slice->first_line == SIZE_BYTES / KERNEL_LINE_BYTES / threads * (threads - 1))
        return 0;
    return scalar(KERNEL_COPY)(slice);
}

static uint64_t read_too_little(const struct kernel_slice *slice) {
    struct kernel_slice shorter = *slice;
    shorter.lines--;
    return scalar(KERNEL_READ)(&shorter);
}

/* What is wrong after a run. */
static const char *run_and_check(struct kernel_team *team, enum kernel_id id, kernel_run *run) {
    struct kernel_time time = kernel_team_run(team, id, run, 1);
    return time.right ? kernel_team_check_and_wipe(team, id) : "sum";
}

static uint64_t change_b_of_last(const struct kernel_slice *slice) {
    if (slice->first_line == SIZE_BYTES / KERNEL_LINE_BYTES / threads * (threads - 1))
        slice->b[slice->lines * KERNEL_LINE_ELEMENTS - 1] = 0;
    return 0;
}

static void broken_kernels_are_found(void **state) {
    struct kernel_team team;
    (void)state;
    assert_true(kernel_team_start(&team, &session, threads, SIZE_BYTES));
    /* Right before, so that what it left would hide a kernel that does nothing. */
    assert_null(run_and_check(&team, KERNEL_COPY, scalar(KERNEL_COPY)));
    assert_string_equal(run_and_check(&team, KERNEL_COPY, do_nothing), "c");
    kernel_team_run(&team, KERNEL_COPY, scalar(KERNEL_COPY), 1);
    kernel_team_wipe(&team);
    assert_string_equal(run_and_check(&team, KERNEL_COPY, do_nothing), "c");
    assert_string_equal(run_and_check(&team, KERNEL_COPY, copy_unless_last), "c");
    assert_string_equal(run_and_check(&team, KERNEL_COPY, scalar(KERNEL_SCALE)), "c");
    assert_string_equal(run_and_check(&team, KERNEL_READ, do_nothing), "sum");
    assert_string_equal(run_and_check(&team, KERNEL_READ, read_too_little), "sum");
    assert_false(kernel_team_run(&team, KERNEL_READ, read_too_little, 5).right);
    assert_true(kernel_team_run(&team, KERNEL_READ, scalar(KERNEL_READ), 5).right);
    assert_null(kernel_team_check_sources(&team));
    kernel_team_run(&team, KERNEL_COPY, change_b_of_last, 1);
    assert_string_equal(kernel_team_check_sources(&team), "b");
    kernel_team_end(&team);
}

static void more_memory_than_there_is_is_refused_with_a_reason(void **state) {
    struct kernel_team team;
    (void)state;
    assert_false(kernel_team_start(&team, &session, 1, (uint64_t)1 << 60));
    assert_non_null(strstr(team.why, "cannot get memory: "));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_cover_whole_lines_of_the_size),
        cmocka_unit_test(right_kernels_are_proven_and_their_sums_are_right),
        cmocka_unit_test(broken_kernels_are_found),
        cmocka_unit_test(more_memory_than_there_is_is_refused_with_a_reason),
    };
    return cmocka_run_group_tests(tests, make_session, end_session);
}
