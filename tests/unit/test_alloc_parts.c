/* Size classes and slice maps: arithmetic that everything else stands on. */
#pragma GCC diagnostic ignored "-Wunused-function"
#include "alloc/slices.c"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

static void a_class_holds_its_sizes_and_wastes_an_eighth_at_most(void **state) {
    (void)state;
    for (size_t size = 0; size <= CLASS_SIZE_MAX; size++) {
        unsigned size_class = size_class_of(size);
        size_t bytes = size_class_bytes(size_class);
        assert_true(size_class < SIZE_CLASSES);
        assert_true(bytes >= size);
        assert_true(size_class == 0 || size_class_bytes(size_class - 1) < size);
        assert_true(size <= 256 || bytes - size <= size / 8);
        assert_int_equal(bytes % BLOCK_ALIGNMENT, 0);
    }
}

static void the_last_class_is_the_largest_size(void **state) {
    (void)state;
    assert_int_equal(size_class_of(CLASS_SIZE_MAX), SIZE_CLASSES - 1);
    assert_int_equal(size_class_bytes(SIZE_CLASSES - 1), CLASS_SIZE_MAX);
}

static void an_aligned_class_is_a_multiple_of_the_alignment(void **state) {
    (void)state;
    for (size_t alignment = 16; alignment <= CLASS_SIZE_MAX; alignment *= 2)
        for (size_t size = 0; size <= CLASS_SIZE_MAX; size += 97) {
            unsigned size_class = size_class_aligned(size, alignment);
            assert_true(size_class < SIZE_CLASSES);
            assert_true(size_class_bytes(size_class) >= size);
            assert_int_equal(size_class_bytes(size_class) % alignment, 0);
        }
    assert_int_equal(size_class_aligned(1, 2 * CLASS_SIZE_MAX), SIZE_CLASSES);
    assert_int_equal(size_class_aligned(CLASS_SIZE_MAX + 1, 16), SIZE_CLASSES);
}

static void marking_a_run_changes_that_run_alone(void **state) {
    (void)state;
    for (unsigned start = 0; start < SEGMENT_SLICES; start += 7)
        for (unsigned count = 1; start + count <= SEGMENT_SLICES; count += 13) {
            uint64_t map[SLICE_WORDS] = {0};
            slices_set(map, start, count);
            assert_int_equal(slices_next(map, 0, true), start);
            assert_int_equal(slices_next(map, start, false), start + count);
            assert_int_equal(slices_next(map, start + count, true), SEGMENT_SLICES);
            assert_int_equal(slices_largest_run(map), count);
            assert_true(slices_any(map, start, 1));
            assert_false(start > 0 && slices_any(map, 0, start));
            slices_clear(map, start, count);
            assert_int_equal(slices_next(map, 0, true), SEGMENT_SLICES);
        }
}

static void a_run_is_found_only_where_it_fits_and_is_aligned(void **state) {
    (void)state;
    uint64_t map[SLICE_WORDS] = {0};
    slices_set(map, 3, 4);
    slices_set(map, 62, 10);
    assert_int_equal(slices_find_run(map, 4, 1), 3);
    assert_int_equal(slices_find_run(map, 5, 1), 62);
    assert_int_equal(slices_find_run(map, 4, 4), 64);
    assert_int_equal(slices_find_run(map, 8, 8), 64);
    assert_int_equal(slices_find_run(map, 9, 8), -1);
    assert_int_equal(slices_find_run(map, 11, 1), -1);
    assert_int_equal(slices_largest_run(map), 10);
}

static void a_full_segment_has_no_run_and_an_empty_one_has_all(void **state) {
    (void)state;
    uint64_t map[SLICE_WORDS] = {0};
    assert_int_equal(slices_find_run(map, 1, 1), -1);
    slices_set(map, 0, SEGMENT_SLICES);
    assert_int_equal(slices_find_run(map, SEGMENT_SLICES, SEGMENT_SLICES), 0);
    assert_int_equal(slices_largest_run(map), SEGMENT_SLICES);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_class_holds_its_sizes_and_wastes_an_eighth_at_most),
        cmocka_unit_test(the_last_class_is_the_largest_size),
        cmocka_unit_test(an_aligned_class_is_a_multiple_of_the_alignment),
        cmocka_unit_test(marking_a_run_changes_that_run_alone),
        cmocka_unit_test(a_run_is_found_only_where_it_fits_and_is_aligned),
        cmocka_unit_test(a_full_segment_has_no_run_and_an_empty_one_has_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
