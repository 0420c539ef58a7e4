/* The arithmetic of the virtual machine's pacing plugin. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/vm/plugin/pace_model.h"

static struct pace_cache cache;

static int empty_cache(void **state) {
    (void)state;
    cache = (struct pace_cache){0};
    return 0;
}

static void second_touch_of_a_line_hits(void **state) {
    (void)state;
    assert_false(pace_cache_touch(&cache, 0x1000));
    assert_true(pace_cache_touch(&cache, 0x1000));
    assert_true(pace_cache_touch(&cache, 0x103f));
    assert_false(pace_cache_touch(&cache, 0x1040));
}

static void line_zero_misses_in_an_empty_cache(void **state) {
    (void)state;
    assert_false(pace_cache_touch(&cache, 0));
    assert_true(pace_cache_touch(&cache, 63));
}

static void as_many_streams_as_ways_do_not_evict_each_other(void **state) {
    (void)state;
    for (uint64_t line = 0; line < 100; line++)
        for (uint64_t offset = 0; offset < 64; offset += 8)
            for (uint64_t stream = 0; stream < PACE_CACHE_WAYS; stream++)
                assert_int_equal(pace_cache_touch(&cache, (stream << 22) + line * 64 + offset),
                                 offset > 0);
}

static void the_least_recently_used_line_of_a_set_is_evicted(void **state) {
    uint64_t same_set = PACE_CACHE_SETS * 64;

    (void)state;
    for (uint64_t way = 0; way < PACE_CACHE_WAYS; way++)
        assert_false(pace_cache_touch(&cache, way * same_set));
    assert_true(pace_cache_touch(&cache, 0)); /* now line 1 is the oldest */
    assert_false(pace_cache_touch(&cache, PACE_CACHE_WAYS * same_set));
    assert_true(pace_cache_touch(&cache, 0));
    assert_true(pace_cache_touch(&cache, 2 * same_set));
    assert_false(pace_cache_touch(&cache, 1 * same_set));
}

static void a_walk_of_one_cache_size_stays_cached(void **state) {
    uint64_t lines = PACE_CACHE_SETS * PACE_CACHE_WAYS;

    (void)state;
    for (uint64_t line = 0; line < lines; line++)
        assert_false(pace_cache_touch(&cache, line * 64));
    for (uint64_t line = 0; line < lines; line++)
        assert_true(pace_cache_touch(&cache, line * 64));
}

static void a_walk_of_one_line_more_in_each_set_never_hits(void **state) {
    uint64_t lines = PACE_CACHE_SETS * (PACE_CACHE_WAYS + 1);

    (void)state;
    for (int round = 0; round < 2; round++)
        for (uint64_t line = 0; line < lines; line++)
            assert_false(pace_cache_touch(&cache, line * 64));
}

static void the_upper_half_is_the_kernels(void **state) {
    (void)state;
    assert_false(pace_is_kernel_address(0x00007fffffffffff));
    assert_true(pace_is_kernel_address(0xffff800000000000));
    assert_true(pace_is_kernel_address(0xffffffff81000000));
}

static void addresses_belong_to_their_node(void **state) {
    uint64_t gib = 1ULL << 30;

    (void)state;
    assert_int_equal(pace_node_of(0, gib), 0);
    assert_int_equal(pace_node_of(gib - 1, gib), 0);
    assert_int_equal(pace_node_of(gib, gib), 1);     /* the guest's own address: QEMU 10.0 */
    assert_int_equal(pace_node_of(2 * gib, gib), 1); /* with the block's place added: QEMU 7.2 */
    assert_int_equal(pace_node_of(3 * gib - 1, gib), 1); /* its last byte */
    assert_int_equal(pace_node_of(3 * gib, gib), -1);
    assert_int_equal(pace_node_of(0x17ffc0000, gib), -1); /* the firmware under QEMU 7.2 */
    assert_int_equal(pace_node_of(gib / 2, gib / 2), 1);
}

static void cpus_belong_to_their_node(void **state) {
    (void)state;
    assert_int_equal(pace_node_of_cpu(0), 0);
    assert_int_equal(pace_node_of_cpu(1), 0);
    assert_int_equal(pace_node_of_cpu(2), 1);
    assert_int_equal(pace_node_of_cpu(3), 1);
}

static void an_early_access_waits_one_latency_after_the_previous(void **state) {
    uint64_t owed = 0;

    (void)state;
    assert_int_equal(pace_end(5000, 5400, 1000, &owed), 6000);
    assert_int_equal(pace_end(5000, 6000, 1000, &owed), 6000);
}

static void a_late_access_does_not_wait(void **state) {
    uint64_t owed = 0;

    (void)state;
    assert_int_equal(pace_end(5000, 6001, 1000, &owed), 6001);
    assert_int_equal(pace_end(0, 900000, 1000, &owed), 900000);
}

static void what_is_owed_is_paid_from_the_waiting(void **state) {
    uint64_t owed = 1000;

    (void)state;
    assert_int_equal(pace_end(5000, 5400, 1000, &owed), 5400);
    assert_int_equal(owed, 400);
    assert_int_equal(pace_end(5400, 5800, 1000, &owed), 6000);
    assert_int_equal(owed, 0);
    assert_int_equal(pace_end(6000, 6400, 1000, &owed), 7000);
}

static void a_late_access_pays_nothing(void **state) {
    uint64_t owed = 500;

    (void)state;
    assert_int_equal(pace_end(5000, 7000, 1000, &owed), 7000);
    assert_int_equal(owed, 500);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(second_touch_of_a_line_hits, empty_cache),
        cmocka_unit_test_setup(line_zero_misses_in_an_empty_cache, empty_cache),
        cmocka_unit_test_setup(as_many_streams_as_ways_do_not_evict_each_other, empty_cache),
        cmocka_unit_test_setup(the_least_recently_used_line_of_a_set_is_evicted, empty_cache),
        cmocka_unit_test_setup(a_walk_of_one_line_more_in_each_set_never_hits, empty_cache),
        cmocka_unit_test_setup(a_walk_of_one_cache_size_stays_cached, empty_cache),
        cmocka_unit_test(the_upper_half_is_the_kernels),
        cmocka_unit_test(addresses_belong_to_their_node),
        cmocka_unit_test(cpus_belong_to_their_node),
        cmocka_unit_test(an_early_access_waits_one_latency_after_the_previous),
        cmocka_unit_test(a_late_access_does_not_wait),
        cmocka_unit_test(what_is_owed_is_paid_from_the_waiting),
        cmocka_unit_test(a_late_access_pays_nothing),
    };

    return cmocka_run_group_tests_name("vm_pace", tests, NULL, NULL);
}
