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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_member_does_each_work_once_on_its_cpu),
        cmocka_unit_test(a_crew_may_be_the_caller_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
