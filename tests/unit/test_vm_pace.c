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

static void a_line_evicts_the_one_a_cache_size_away(void **state) {
    uint64_t cache_bytes = PACE_CACHE_LINES * 64;

    (void)state;
    assert_false(pace_cache_touch(&cache, 0x5000));
    assert_false(pace_cache_touch(&cache, 0x5000 + cache_bytes));
    assert_false(pace_cache_touch(&cache, 0x5000));
}

static void a_walk_of_one_cache_size_stays_cached(void **state) {
    (void)state;
    for (uint64_t line = 0; line < PACE_CACHE_LINES; line++)
        assert_false(pace_cache_touch(&cache, line * 64));
    for (uint64_t line = 0; line < PACE_CACHE_LINES; line++)
        assert_true(pace_cache_touch(&cache, line * 64));
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
    (void)state;
    assert_int_equal(pace_end(5000, 5400, 1000), 6000);
    assert_int_equal(pace_end(5000, 6000, 1000), 6000);
}

static void a_late_access_does_not_wait(void **state) {
    (void)state;
    assert_int_equal(pace_end(5000, 6001, 1000), 6001);
    assert_int_equal(pace_end(0, 900000, 1000), 900000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(second_touch_of_a_line_hits, empty_cache),
        cmocka_unit_test_setup(line_zero_misses_in_an_empty_cache, empty_cache),
        cmocka_unit_test_setup(a_line_evicts_the_one_a_cache_size_away, empty_cache),
        cmocka_unit_test_setup(a_walk_of_one_cache_size_stays_cached, empty_cache),
        cmocka_unit_test(the_upper_half_is_the_kernels),
        cmocka_unit_test(addresses_belong_to_their_node),
        cmocka_unit_test(cpus_belong_to_their_node),
        cmocka_unit_test(an_early_access_waits_one_latency_after_the_previous),
        cmocka_unit_test(a_late_access_does_not_wait),
    };

    return cmocka_run_group_tests_name("vm_pace", tests, NULL, NULL);
}
