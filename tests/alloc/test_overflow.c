/* Products and roundings that do not fit in a size_t are refused, never wrapped. */
#include "promises.h"

static void calloc_refuses_a_product_that_wraps(void **state) {
    (void)state;
    const size_t half = (size_t)1 << 32;
    const size_t pairs[][2] = {{half, half},
                               {half + 1, half},
                               {SIZE_MAX, 2},
                               {2, SIZE_MAX},
                               {SIZE_MAX, SIZE_MAX},
                               {SIZE_MAX / 2 + 2, 2},
                               {3, SIZE_MAX / 2},
                               {SIZE_MAX / 16 + 2, 16},
                               {24, SIZE_MAX / 24 + 1},
                               {SIZE_MAX / 4096 + 2, 4096}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        errno = 0;
        assert_null(calloc(opaque(pairs[i][0]), opaque(pairs[i][1])));
        assert_int_equal(errno, ENOMEM);
    }
}

static void reallocarray_refuses_a_product_that_wraps_and_keeps_the_block(void **state) {
    (void)state;
    const size_t half = (size_t)1 << 32;
    const size_t pairs[][2] = {
        {half, half}, {SIZE_MAX, 2}, {2, SIZE_MAX}, {SIZE_MAX / 16 + 2, 16}, {SIZE_MAX, SIZE_MAX}};
    void *block = malloc(1000);
    assert_non_null(block);
    pattern_write(block, 1000, 7);
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        errno = 0;
        assert_null(reallocarray(opaque_pointer(block), opaque(pairs[i][0]), opaque(pairs[i][1])));
        assert_int_equal(errno, ENOMEM);
        errno = 0;
        assert_null(reallocarray(NULL, opaque(pairs[i][0]), opaque(pairs[i][1])));
        assert_int_equal(errno, ENOMEM);
    }
    assert_true(pattern_holds(block, 1000, 7));
    free(block);
}

static void reallocarray_multiplies_when_it_fits(void **state) {
    (void)state;
    int *numbers = reallocarray(NULL, 1000, sizeof *numbers);
    assert_non_null(numbers);
    for (int i = 0; i < 1000; i++)
        numbers[i] = i;
    numbers = reallocarray(numbers, 100000, sizeof *numbers);
    assert_non_null(numbers);
    assert_true(malloc_usable_size(numbers) >= 100000 * sizeof *numbers);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(numbers[i], i);
    free(numbers);
}

static void calloc_of_nothing_times_anything_is_a_block(void **state) {
    (void)state;
    void *none = calloc(0, opaque(SIZE_MAX)), *of_nothing = calloc(opaque(SIZE_MAX), 0);
    assert_non_null(none);
    assert_non_null(of_nothing);
    assert_ptr_not_equal(none, of_nothing);
    free(none);
    free(of_nothing);
}

/* Headers, size classes and page rounding all add to the size: none may wrap to something small. */
static void sizes_near_the_top_of_size_t_are_refused(void **state) {
    (void)state;
    for (size_t below = 0; below < 3 * 4096; below += below < 300 ? 1 : 127) {
        size_t size = opaque(SIZE_MAX - below);
        assert_null(malloc(size));
        assert_null(calloc(1, size));
        assert_null(realloc(NULL, size));
        assert_null(memalign(64, size));
        assert_null(valloc(size));
        assert_null(pvalloc(size));
    }
}

static void size_plus_alignment_that_wraps_is_refused(void **state) {
    (void)state;
    for (size_t alignment = 16; alignment <= (size_t)1 << 30; alignment *= 2) {
        errno = 0;
        assert_null(memalign(alignment, opaque(SIZE_MAX - alignment + 1)));
        assert_int_equal(errno, ENOMEM);
        errno = 0;
        assert_null(aligned_alloc(alignment, opaque(SIZE_MAX - alignment / 2)));
        assert_int_equal(errno, ENOMEM);
        void *block = NULL;
        assert_int_equal(posix_memalign(&block, alignment, opaque(SIZE_MAX - alignment - 16)),
                         ENOMEM);
        assert_null(block);
    }
}

static void refused_requests_leave_the_heap_whole(void **state) {
    (void)state;
    void *blocks[64];
    for (size_t i = 0; i < 64; i++) {
        blocks[i] = malloc(40 * i);
        assert_non_null(blocks[i]);
        pattern_write(blocks[i], 40 * i, i);
        assert_null(calloc(opaque((size_t)1 << 33), opaque((size_t)1 << 33)));
        assert_null(malloc(opaque(SIZE_MAX - i)));
        assert_null(realloc(opaque_pointer(blocks[i]), opaque(SIZE_MAX - i)));
    }
    for (size_t i = 0; i < 64; i++) {
        assert_true(pattern_holds(blocks[i], 40 * i, i));
        free(blocks[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calloc_refuses_a_product_that_wraps),
        cmocka_unit_test(reallocarray_refuses_a_product_that_wraps_and_keeps_the_block),
        cmocka_unit_test(reallocarray_multiplies_when_it_fits),
        cmocka_unit_test(calloc_of_nothing_times_anything_is_a_block),
        cmocka_unit_test(sizes_near_the_top_of_size_t_are_refused),
        cmocka_unit_test(size_plus_alignment_that_wraps_is_refused),
        cmocka_unit_test(refused_requests_leave_the_heap_whole),
    };
    return cmocka_run_group_tests(tests, require_numa_alloc, NULL);
}
