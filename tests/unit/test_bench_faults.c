/* Memory that is got, touched and given back. */
#include "made_up_machine.h"

#include <sched.h>
#include <sys/prctl.h>

#include "bench/lib/fault.h"
#include "bench/lib/topology.h"

#define SLICE_BYTES ((size_t)1 << 20)

static hwloc_topology_t topology;

/* Two threads, on one CPU if there is no other. */
static void start(struct fault_team *team) {
    static const struct watch watch; /* without a counter */
    assert_true(topology_open(&topology));
    hwloc_bitmap_t allowed = hwloc_bitmap_alloc();
    assert_int_equal(hwloc_get_cpubind(topology, allowed, HWLOC_CPUBIND_THREAD), 0);
    const unsigned cpus[2] = {(unsigned)hwloc_bitmap_first(allowed),
                              (unsigned)hwloc_bitmap_last(allowed)};
    hwloc_bitmap_free(allowed);
    assert_int_equal(fault_team_start(team, topology, cpus, 2, &watch), 0);
}

static void end(struct fault_team *team) {
    fault_team_end(team);
    hwloc_topology_destroy(topology);
}

static void each_page_of_a_mapping_faults_once_whichever_way_it_is_touched(void **state) {
    struct fault_team team;
    (void)state;
    start(&team);
    for (size_t i = 0; i < FAULT_VARIANTS; i++) {
        struct fault_plan plan = {&fault_variants[i], PAGE_BASE, -1, SLICE_BYTES};
        struct fault_cost cost = {0};
        const char *why;
        if (plan.variant->from_malloc)
            continue;
        if (!fault_get(&team, &plan, &cost, &why)) {
            assert_int_equal(i, FAULT_POPULATE);
            print_message("populate is left out: %s\n", why);
            continue;
        }
        assert_string_equal(fault_pages_in_force(&team), "base");
        fault_give_back(&team, &cost);
        assert_int_equal(cost.pages, 2 * SLICE_BYTES / page_kind_bytes(PAGE_BASE));
        assert_int_equal(cost.bytes, 2 * SLICE_BYTES);
        assert_true(fault_cost_is_whole(&cost));
        assert_true(cost.touch_ns > 0 && cost.wall_ns > 0 && cost.free_ns > 0);
        assert_true((cost.zero_ns > 0) == plan.variant->written);
        assert_int_not_equal(cost.disturbed, DISTURBED_FAULTED);
    }
    end(&team);
}

/* One fault a huge page either way: only what is there tells them from base pages. */
static void base_pages_in_place_of_huge_ones_are_found(void **state) {
    struct fault_team team;
    struct fault_cost cost = {0};
    const char *why;
    struct fault_plan plan = {&fault_variants[FAULT_WRITE], PAGE_THP, -1,
                              page_kind_bytes(PAGE_THP)};
    size_t base_pages = page_kind_bytes(PAGE_THP) / page_kind_bytes(PAGE_BASE);
    (void)state;
    start(&team);
    assert_int_equal(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0), 0);
    bool got = fault_get(&team, &plan, &cost, &why);
    if (got)
        fault_give_back(&team, &cost);
    assert_int_equal(prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0), 0);
    end(&team);
    if (!got) {
        print_message("# %s\n", why);
        skip();
    }
    assert_true(fault_cost_is_whole(&cost));
    assert_int_equal(cost.absent, 2 * (base_pages - 1));
}

static void blocks_of_malloc_are_touched_where_each_thread_has_its_own(void **state) {
    struct fault_team team;
    struct fault_plan plan = {&fault_variants[FAULT_MALLOC], PAGE_BASE, -1, SLICE_BYTES};
    struct fault_cost cost = {0};
    const char *why;
    (void)state;
    start(&team);
    assert_true(fault_get(&team, &plan, &cost, &why));
    char *one = fault_slice(&team, 0), *other = fault_slice(&team, 1);
    assert_true(one + SLICE_BYTES <= other || other + SLICE_BYTES <= one);
    assert_int_equal(one[0], 0); /* written again */
    fault_give_back(&team, &cost);
    assert_int_equal(cost.pages, 2 * SLICE_BYTES / page_kind_bytes(PAGE_BASE));
    end(&team);
}

static void pages_are_counted_on_the_nodes_that_the_kernel_says(void **state) {
    struct fault_team team;
    struct fault_plan plan = {&fault_variants[FAULT_WRITE], PAGE_BASE, -1, SLICE_BYTES};
    struct fault_cost cost = {0};
    const char *why;
    (void)state;
    start(&team);
    assert_true(fault_get(&team, &plan, &cost, &why));
    struct placement_tally tally = fault_ask(&team, NULL);
    fault_give_back(&team, &cost);
    if (tally.error != 0) {
        print_message("left out: the kernel does not say where pages are: errno %d\n", tally.error);
        skip();
    }
    assert_true(tally.pages >= cost.pages);
    assert_int_equal(tally.placed, tally.pages);
    end(&team);
}

static void what_cannot_be_mapped_is_said(void **state) {
    struct fault_team team;
    struct fault_plan plan = {&fault_variants[FAULT_WRITE], PAGE_BASE, -1, (size_t)1 << 60};
    struct fault_cost cost = {0};
    const char *why = NULL;
    (void)state;
    start(&team);
    assert_false(fault_get(&team, &plan, &cost, &why));
    assert_non_null(why);
    plan.variant = &fault_variants[FAULT_MALLOC];
    assert_false(fault_get(&team, &plan, &cost, &why));
    assert_int_equal(cost.pages, 0);
    end(&team);
}

static void costs_add_up_and_the_worst_disturbance_stays(void **state) {
    struct fault_cost cost = {1, 2, 3, 4, 5, 6, 7, 8, DISTURBED_MOVED};
    const struct fault_cost other = {10, 20, 30, 40, 50, 60, 70, 80, DISTURBED_PREEMPTED};
    (void)state;
    fault_cost_add(&cost, &other);
    assert_int_equal(cost.pages, 11);
    assert_int_equal(cost.bytes, 22);
    assert_int_equal(cost.touch_ns, 33);
    assert_int_equal(cost.wall_ns, 44);
    assert_int_equal(cost.zero_ns, 55);
    assert_int_equal(cost.free_ns, 66);
    assert_int_equal(cost.faults, 77);
    assert_int_equal(cost.absent, 88);
    assert_int_equal(cost.disturbed, DISTURBED_MOVED);
}

static void pages_that_did_not_fault_or_did_twice_are_found(void **state) {
    (void)state;
    assert_true(fault_cost_is_whole(&(struct fault_cost){.pages = 1000, .faults = 1000}));
    assert_true(fault_cost_is_whole(&(struct fault_cost){.pages = 1000, .faults = 1003}));
    assert_false(fault_cost_is_whole(&(struct fault_cost){.pages = 1000, .faults = 999}));
    assert_false(fault_cost_is_whole(&(struct fault_cost){.pages = 1000, .faults = 2000}));
    assert_false(fault_cost_is_whole(&(struct fault_cost){.pages = 4, .faults = 2048}));
}

static void variants_are_found_by_their_whole_name(void **state) {
    (void)state;
    assert_ptr_equal(fault_find("write", 5), &fault_variants[FAULT_WRITE]);
    assert_ptr_equal(fault_find("malloc,read", 6), &fault_variants[FAULT_MALLOC]);
    assert_null(fault_find("writ", 4));
    assert_null(fault_find("", 0));
}

static void free_memory_is_read_from_the_nodes_own_files(void **state) {
    struct made_up_machine machine;
    char folder[128];
    (void)state;
    machine_begin(&machine);
    machine_file(&machine, "node8/meminfo",
                 "Node 8 MemTotal:       1048576 kB\nNode 8 MemFree:         524288 kB\n");
    snprintf(folder, sizeof folder, "%s/node8/hugepages", machine.root);
    assert_int_equal(mkdir(folder, 0755), 0);
    snprintf(folder, sizeof folder, "%s/node8/hugepages/hugepages-2048kB", machine.root);
    assert_int_equal(mkdir(folder, 0755), 0);
    machine_file(&machine, "node8/hugepages/hugepages-2048kB/free_hugepages", "7\n");
    assert_int_equal(fault_free_bytes(machine.root, 8, PAGE_BASE), (uint64_t)512 << 20);
    assert_int_equal(fault_free_bytes(machine.root, 8, PAGE_THP), (uint64_t)512 << 20);
    assert_int_equal(fault_free_bytes(machine.root, 8, PAGE_2M), (uint64_t)14 << 20);
    assert_int_equal(fault_free_bytes(machine.root, 8, PAGE_1G), UINT64_MAX);
    assert_int_equal(fault_free_bytes(machine.root, 0, PAGE_BASE), UINT64_MAX);
    machine_end(&machine);
}

static void transparent_huge_pages_are_off_only_at_never(void **state) {
    static const struct {
        const char *text;
        bool allowed;
    } cases[] = {{"[always] madvise never\n", true},
                 {"always [madvise] never\n", true},
                 {"always madvise [never]\n", false}};
    struct made_up_machine machine;
    char path[128];
    (void)state;
    machine_begin(&machine);
    snprintf(path, sizeof path, "%s/enabled", machine.root);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        machine_file(&machine, "enabled", cases[i].text);
        assert_int_equal(fault_thp_is_allowed(path), cases[i].allowed);
    }
    snprintf(path, sizeof path, "%s/none", machine.root);
    assert_false(fault_thp_is_allowed(path));
    machine_end(&machine);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_page_of_a_mapping_faults_once_whichever_way_it_is_touched),
        cmocka_unit_test(base_pages_in_place_of_huge_ones_are_found),
        cmocka_unit_test(blocks_of_malloc_are_touched_where_each_thread_has_its_own),
        cmocka_unit_test(pages_are_counted_on_the_nodes_that_the_kernel_says),
        cmocka_unit_test(what_cannot_be_mapped_is_said),
        cmocka_unit_test(costs_add_up_and_the_worst_disturbance_stays),
        cmocka_unit_test(pages_that_did_not_fault_or_did_twice_are_found),
        cmocka_unit_test(variants_are_found_by_their_whole_name),
        cmocka_unit_test(free_memory_is_read_from_the_nodes_own_files),
        cmocka_unit_test(transparent_huge_pages_are_off_only_at_never),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
