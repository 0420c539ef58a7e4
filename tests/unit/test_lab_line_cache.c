/* The lab plugins' caches, and the lines that CPUs share. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "harness/lab/plugin/line_cache.h"

enum { CACHE_BYTES = 128 << 10, SETS = CACHE_BYTES / (CACHE_WAYS << LINE_SHIFT) };

static struct line_cache cache;
static struct line_versions versions;

static int empty_caches(void **state) {
    (void)state;
    free(cache.set);
    free(versions.entry);
    return line_cache_make(&cache, CACHE_BYTES) && line_versions_make(&versions, 1 << 10) ? 0 : -1;
}

/* Of a line that nobody else writes. */
static enum touch touch(uint64_t address) {
    return line_cache_touch(&cache, address, (struct line_version){0, 0});
}

static void second_touch_of_a_line_hits(void **state) {
    (void)state;
    assert_int_equal(touch(0x1000), TOUCH_MISS);
    assert_int_equal(touch(0x1000), TOUCH_HIT);
    assert_int_equal(touch(0x103f), TOUCH_HIT);
    assert_int_equal(touch(0x1040), TOUCH_MISS);
}

static void line_zero_misses_in_an_empty_cache(void **state) {
    (void)state;
    assert_int_equal(touch(0), TOUCH_MISS);
    assert_int_equal(touch(63), TOUCH_HIT);
    line_cache_empty(&cache);
    assert_int_equal(touch(0), TOUCH_MISS);
}

static void a_cache_has_the_size_asked_for(void **state) {
    struct line_cache small;

    (void)state;
    assert_int_equal(cache.sets, SETS);
    assert_true(line_cache_make(&small, 256));
    assert_int_equal(small.sets, 1);
    free(small.set);
    assert_true(
        line_cache_make(&small, 100000)); /* the next smaller one with sets of a power of 2 */
    assert_int_equal(small.sets, 256);
    free(small.set);
}

static void as_many_streams_as_ways_do_not_evict_each_other(void **state) {
    (void)state;
    for (uint64_t line = 0; line < 100; line++)
        for (uint64_t offset = 0; offset < 64; offset += 8)
            for (uint64_t stream = 0; stream < CACHE_WAYS; stream++)
                assert_int_equal(touch((stream << 22) + line * 64 + offset),
                                 offset > 0 ? TOUCH_HIT : TOUCH_MISS);
}

static void the_least_recently_used_line_of_a_set_is_evicted(void **state) {
    uint64_t same_set = SETS * 64;

    (void)state;
    for (uint64_t way = 0; way < CACHE_WAYS; way++)
        assert_int_equal(touch(way * same_set), TOUCH_MISS);
    assert_int_equal(touch(0), TOUCH_HIT); /* now line 1 is the oldest */
    assert_int_equal(touch(CACHE_WAYS * same_set), TOUCH_MISS);
    assert_int_equal(touch(0), TOUCH_HIT);
    assert_int_equal(touch(2 * same_set), TOUCH_HIT);
    assert_int_equal(touch(1 * same_set), TOUCH_MISS);
}

static void a_walk_of_one_cache_size_stays_cached(void **state) {
    uint64_t lines = SETS * CACHE_WAYS;

    (void)state;
    for (uint64_t line = 0; line < lines; line++)
        assert_int_equal(touch(line * 64), TOUCH_MISS);
    for (uint64_t line = 0; line < lines; line++)
        assert_int_equal(touch(line * 64), TOUCH_HIT);
}

static void a_walk_of_one_line_more_in_each_set_never_hits(void **state) {
    uint64_t lines = SETS * (CACHE_WAYS + 1);

    (void)state;
    for (int round = 0; round < 2; round++)
        for (uint64_t line = 0; line < lines; line++)
            assert_int_equal(touch(line * 64), TOUCH_MISS);
}

/* CPU 0 with its cache, `cache`, and CPU 1 with `other`. */
static struct line_cache other;

static int empty_two_caches(void **state) {
    free(other.set);
    return empty_caches(state) == 0 && line_cache_make(&other, CACHE_BYTES) ? 0 : -1;
}

static enum touch access_by(unsigned cpu, uint64_t address, bool store) {
    return line_cache_touch(cpu == 0 ? &cache : &other, address,
                            line_version_access(&versions, address, cpu, store));
}

static void a_line_that_is_only_read_stays_in_every_cache(void **state) {
    (void)state;
    for (int round = 0; round < 3; round++)
        for (unsigned cpu = 0; cpu < 2; cpu++)
            assert_int_equal(access_by(cpu, 0x40, false), round == 0 ? TOUCH_MISS : TOUCH_HIT);
}

static void a_line_that_one_cpu_writes_stays_in_its_cache(void **state) {
    (void)state;
    assert_int_equal(access_by(0, 0x40, true), TOUCH_MISS);
    for (int round = 0; round < 3; round++) {
        assert_int_equal(access_by(0, 0x40, true), TOUCH_HIT);
        assert_int_equal(access_by(0, 0x40, false), TOUCH_HIT);
    }
}

static void a_write_makes_the_other_cpus_line_stale(void **state) {
    (void)state;
    assert_int_equal(access_by(0, 0x40, false), TOUCH_MISS);
    assert_int_equal(access_by(1, 0x40, true), TOUCH_MISS);
    assert_int_equal(access_by(0, 0x40, false), TOUCH_STALE);
    assert_int_equal(access_by(0, 0x40, false), TOUCH_HIT);
    /* The writer's own copy is not stale, though another CPU has read it. */
    assert_int_equal(access_by(1, 0x40, true), TOUCH_HIT);
    assert_int_equal(access_by(0, 0x40, true), TOUCH_STALE);
    assert_int_equal(access_by(1, 0x40, true), TOUCH_STALE);
    assert_int_equal(access_by(1, 0x40, true), TOUCH_HIT);
}

static void a_reader_that_writes_has_not_lost_its_line(void **state) {
    (void)state;
    assert_int_equal(access_by(0, 0x40, true), TOUCH_MISS);
    assert_int_equal(access_by(1, 0x40, false), TOUCH_MISS);
    assert_int_equal(access_by(1, 0x40, true), TOUCH_HIT);
    assert_int_equal(access_by(0, 0x40, false), TOUCH_STALE);
}

static void the_highest_cpu_is_known_from_the_lowest(void **state) {
    enum { HIGHEST = 255 };

    (void)state;
    assert_int_equal(line_version_access(&versions, 0x40, HIGHEST, true).after, 1);
    assert_int_equal(line_version_access(&versions, 0x40, HIGHEST, true).after, 1);
    assert_int_equal(line_version_access(&versions, 0x40, 0, true).after, 2);
    assert_int_equal(line_version_access(&versions, 0x40, HIGHEST, true).after, 3);
}

static void writes_to_other_lines_make_nothing_stale(void **state) {
    (void)state;
    assert_int_equal(access_by(0, 0x40, false), TOUCH_MISS);
    assert_int_equal(access_by(1, 0x80, true), TOUCH_MISS);
    assert_int_equal(access_by(0, 0x40, false), TOUCH_HIT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(second_touch_of_a_line_hits, empty_caches),
        cmocka_unit_test_setup(line_zero_misses_in_an_empty_cache, empty_caches),
        cmocka_unit_test_setup(a_cache_has_the_size_asked_for, empty_caches),
        cmocka_unit_test_setup(as_many_streams_as_ways_do_not_evict_each_other, empty_caches),
        cmocka_unit_test_setup(the_least_recently_used_line_of_a_set_is_evicted, empty_caches),
        cmocka_unit_test_setup(a_walk_of_one_cache_size_stays_cached, empty_caches),
        cmocka_unit_test_setup(a_walk_of_one_line_more_in_each_set_never_hits, empty_caches),
        cmocka_unit_test_setup(a_line_that_is_only_read_stays_in_every_cache, empty_two_caches),
        cmocka_unit_test_setup(a_line_that_one_cpu_writes_stays_in_its_cache, empty_two_caches),
        cmocka_unit_test_setup(a_write_makes_the_other_cpus_line_stale, empty_two_caches),
        cmocka_unit_test_setup(a_reader_that_writes_has_not_lost_its_line, empty_two_caches),
        cmocka_unit_test_setup(the_highest_cpu_is_known_from_the_lowest, empty_caches),
        cmocka_unit_test_setup(writes_to_other_lines_make_nothing_stale, empty_two_caches),
    };

    return cmocka_run_group_tests_name("lab_line_cache", tests, NULL, NULL);
}
