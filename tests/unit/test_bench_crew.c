/* Pinned threads that work together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sched.h>
#include <stdatomic.h>

#include "bench/lib/crew.h"
#include "bench/lib/topology.h"

#define MEMBERS 3

struct record {
    atomic_int done[MEMBERS];
    atomic_int cpu[MEMBERS];
    atomic_int working;
};

/* Nobody leaves before all have come: this ends only if the members work side by side. */
static void meet(void *context, size_t member) {
    struct record *record = context;
    atomic_fetch_add(&record->working, 1);
    while (atomic_load(&record->working) < MEMBERS)
        sched_yield();
    atomic_store(&record->cpu[member], sched_getcpu());
    atomic_fetch_add(&record->done[member], 1);
}

static void note(void *context, size_t member) {
    atomic_fetch_add(&((struct record *)context)->done[member], 10);
}

static void every_member_does_each_work_once_on_its_cpu(void **state) {
    hwloc_topology_t topology;
    struct record record = {0};
    struct crew crew;
    (void)state;
    assert_true(topology_open(&topology));
    hwloc_bitmap_t allowed = hwloc_bitmap_alloc();
    assert_int_equal(hwloc_get_cpubind(topology, allowed, HWLOC_CPUBIND_THREAD), 0);
    unsigned first = (unsigned)hwloc_bitmap_first(allowed);
    unsigned last = (unsigned)hwloc_bitmap_last(allowed);
    const unsigned cpus[MEMBERS] = {first, last, first};
    assert_int_equal(crew_start(&crew, topology, cpus, MEMBERS), 0);
    crew_do(&crew, meet, &record);
    crew_do(&crew, note, &record);
    crew_end(&crew);
    for (size_t i = 0; i < MEMBERS; i++)
        assert_int_equal(record.done[i], 11);
    assert_int_equal(record.cpu[1], last);
    assert_int_equal(record.cpu[2], first);
    hwloc_bitmap_free(allowed);
    hwloc_topology_destroy(topology);
}

static void a_crew_may_be_the_caller_alone(void **state) {
    hwloc_topology_t topology;
    struct record record = {0};
    struct crew crew;
    (void)state;
    assert_true(topology_open(&topology));
    assert_int_equal(crew_start(&crew, topology, &(unsigned){0}, 1), 0);
    crew_do(&crew, note, &record);
    crew_end(&crew);
    assert_int_equal(record.done[0], 10);
    hwloc_topology_destroy(topology);
}

static atomic_bool leave;

static void stay(void *context, size_t member) {
    (void)context;
    while (member != 0 && !atomic_load(&leave))
        sched_yield();
}

/* These crews' threads are left waiting, as they are when a program gives up. */
static hwloc_topology_t topology_of_lost_crews;

static void start_crew_of_two(struct crew *crew, unsigned cpus[2]) {
    if (topology_of_lost_crews == NULL)
        assert_true(topology_open(&topology_of_lost_crews));
    hwloc_bitmap_t allowed = hwloc_bitmap_alloc();
    assert_int_equal(hwloc_get_cpubind(topology_of_lost_crews, allowed, HWLOC_CPUBIND_THREAD), 0);
    cpus[0] = (unsigned)hwloc_bitmap_first(allowed);
    cpus[1] = (unsigned)hwloc_bitmap_last(allowed);
    hwloc_bitmap_free(allowed);
    assert_int_equal(crew_start(crew, topology_of_lost_crews, cpus, 2), 0);
}

static void patience_ends_with_a_member_that_never_begins(void **state) {
    static struct crew crew;
    unsigned cpus[2];
    struct record record = {0};
    (void)state;
    start_crew_of_two(&crew, cpus);
    crew.size++; /* one more, which never comes */
    assert_false(crew_try(&crew, note, &record, 1000000));
    assert_int_equal(record.done[0], 0);
}

static void patience_ends_with_a_member_that_never_ends(void **state) {
    static struct crew crew;
    unsigned cpus[2];
    (void)state;
    start_crew_of_two(&crew, cpus);
    assert_false(crew_try(&crew, stay, NULL, 1000000));
    atomic_store(&leave, true);
}

static void where_it_was(void *context, size_t member) {
    ((int *)context)[member] = sched_getcpu();
}

static void released_members_run_on_the_callers_cpu(void **state) {
    static struct crew crew;
    unsigned cpus[2];
    int at[2];
    (void)state;
    start_crew_of_two(&crew, cpus);
    crew_do(&crew, where_it_was, at);
    assert_int_equal(at[1], cpus[1]);
    crew_release(&crew);
    crew_do(&crew, where_it_was, at);
    assert_int_equal(at[1], cpus[0]);
    crew_end(&crew);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_member_does_each_work_once_on_its_cpu),
        cmocka_unit_test(a_crew_may_be_the_caller_alone),
        cmocka_unit_test(patience_ends_with_a_member_that_never_begins),
        cmocka_unit_test(patience_ends_with_a_member_that_never_ends),
        cmocka_unit_test(released_members_run_on_the_callers_cpu),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
