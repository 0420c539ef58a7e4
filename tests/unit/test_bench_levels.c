/* Cache levels found in made-up and measured curves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "bench/lib/levels.h"

#define POINTS 65

static const struct levels_cache caches[] = {{"L1d", 48 << 10}, {"L2", 1 << 20}, {"L3", 32 << 20}};

/* Four sizes an octave from 4 KiB; each size has the latency of the first step that holds it. */
static size_t curve(struct levels_point points[POINTS], const double steps[][2], size_t count,
                    double ripple) {
    for (size_t i = 0; i < POINTS; i++) {
        double size_bytes = 4096 * exp2((double)i / 4), latency_ns = steps[count - 1][1];
        for (size_t k = count; k-- > 0;)
            if (size_bytes <= steps[k][0])
                latency_ns = steps[k][1];
        latency_ns *= 1 + ripple * ((double)(i % 3) - 1);
        points[i] = (struct levels_point){(uint64_t)size_bytes, latency_ns};
    }
    return POINTS;
}

static void levels_are_named_after_the_caches_that_end_there(void **state) {
    static const double steps[][2] = {{48 << 10, 1}, {1 << 20, 3.5}, {32 << 20, 13}, {1e18, 150}};
    struct levels_point points[POINTS];
    struct level levels[LEVELS_MAX];
    (void)state;
    for (int i = 0; i < 2; i++) {
        size_t count = levels_find(points, curve(points, steps, 4, i * 0.015), caches, 3, levels);
        assert_int_equal(count, 4);
        assert_string_equal(levels[0].name, "L1d");
        assert_string_equal(levels[1].name, "L2");
        assert_string_equal(levels[2].name, "L3");
        assert_string_equal(levels[3].name, "memory");
        assert_true(fabs(levels[2].latency_ns - 13) < 0.3 && levels[3].edge_bytes == 0);
        assert_in_range(levels[0].edge_bytes, 40 << 10, 64 << 10);
        assert_in_range(levels[2].edge_bytes, 30 << 20, 40 << 20);
    }
}

/* As measured in a virtual machine that has a third of its 32 MiB to itself. */
static void a_cache_that_is_mostly_others_is_named_by_elimination(void **state) {
    static const double steps[][2] = {{48 << 10, 1}, {1 << 20, 3.4}, {9 << 20, 13}, {1e18, 153}};
    struct levels_point points[POINTS];
    struct level levels[LEVELS_MAX];
    (void)state;
    assert_int_equal(levels_find(points, curve(points, steps, 4, 0), caches, 3, levels), 4);
    assert_string_equal(levels[2].name, "L3");
    assert_ptr_equal(levels[2].cache, &caches[2]);
    assert_in_range(levels[2].edge_bytes, 8 << 20, 11 << 20);
}

/* The step at 128 KiB is none of the caches': translation, perhaps. */
static void a_step_that_is_no_cache_is_a_level_without_a_name(void **state) {
    static const double steps[][2] = {
        {48 << 10, 1}, {128 << 10, 3.4}, {1 << 20, 5.5}, {32 << 20, 20}, {1e18, 160}};
    struct levels_point points[POINTS];
    struct level levels[LEVELS_MAX];
    (void)state;
    assert_int_equal(levels_find(points, curve(points, steps, 5, 0), caches, 3, levels), 5);
    assert_string_equal(levels[1].name, "level 2");
    assert_null(levels[1].cache);
    assert_string_equal(levels[2].name, "L2");
    assert_string_equal(levels[4].name, "memory");
}

static void of_two_edges_near_a_cache_the_nearer_is_its_end(void **state) {
    static const double steps[][2] = {
        {48 << 10, 1}, {512 << 10, 3.4}, {1 << 20, 4.3}, {32 << 20, 13}, {1e18, 150}};
    struct levels_point points[POINTS];
    struct level levels[LEVELS_MAX];
    (void)state;
    assert_int_equal(levels_find(points, curve(points, steps, 5, 0), caches, 3, levels), 5);
    assert_string_equal(levels[1].name, "level 2");
    assert_string_equal(levels[2].name, "L2");
}

/* Two levels without a size, one cache left: either may be meant, so neither is named. */
static void elimination_does_not_guess(void **state) {
    static const double steps[][2] = {
        {48 << 10, 1}, {1 << 20, 4}, {4 << 20, 13}, {9 << 20, 25}, {1e18, 160}};
    struct levels_point points[POINTS];
    struct level levels[LEVELS_MAX];
    (void)state;
    assert_int_equal(levels_find(points, curve(points, steps, 5, 0), caches, 3, levels), 5);
    assert_string_equal(levels[2].name, "level 3");
    assert_string_equal(levels[3].name, "level 4");
}

static void without_known_caches_levels_have_numbers(void **state) {
    static const double steps[][2] = {{48 << 10, 1}, {1 << 20, 3.5}, {1e18, 150}};
    struct levels_point points[POINTS];
    struct level levels[LEVELS_MAX];
    (void)state;
    assert_int_equal(levels_find(points, curve(points, steps, 3, 0), NULL, 0, levels), 3);
    assert_string_equal(levels[0].name, "level 1");
    assert_string_equal(levels[2].name, "memory");
}

/* A curve that ends within the last cache has not seen memory. */
static void a_curve_that_ends_within_a_cache_has_no_memory(void **state) {
    static const double steps[][2] = {{48 << 10, 1}, {1 << 20, 3.5}, {1e18, 13}};
    struct levels_point points[POINTS];
    struct level levels[LEVELS_MAX];
    (void)state;
    curve(points, steps, 3, 0);
    assert_int_equal(levels_find(points, 48, caches, 3, levels), 3); /* to 14 MiB */
    assert_string_equal(levels[2].name, "level 3");
}

static void a_rise_without_a_flat_part_is_no_level(void **state) {
    struct levels_point points[POINTS];
    struct level levels[LEVELS_MAX];
    (void)state;
    for (size_t i = 0; i < POINTS; i++)
        points[i] = (struct levels_point){(uint64_t)4096 << (i / 4), pow(1.08, (double)i)};
    assert_int_equal(levels_find(points, POINTS, caches, 3, levels), 0);
    assert_int_equal(levels_find(points, 0, caches, 3, levels), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_are_named_after_the_caches_that_end_there),
        cmocka_unit_test(a_cache_that_is_mostly_others_is_named_by_elimination),
        cmocka_unit_test(a_step_that_is_no_cache_is_a_level_without_a_name),
        cmocka_unit_test(of_two_edges_near_a_cache_the_nearer_is_its_end),
        cmocka_unit_test(elimination_does_not_guess),
        cmocka_unit_test(without_known_caches_levels_have_numbers),
        cmocka_unit_test(a_curve_that_ends_within_a_cache_has_no_memory),
        cmocka_unit_test(a_rise_without_a_flat_part_is_no_level),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
