/* A block of no bytes is a block: its address is its own, and it is freed like any other. */
#include "promises.h"

enum { COUNT = 500 };

static void *by_malloc(void) {
    return malloc(0);
}
static void *by_calloc(void) {
    return calloc(0, 0);
}
static void *by_calloc_of_no_bytes(void) {
    return calloc(17, 0);
}
static void *by_realloc(void) {
    return realloc(NULL, 0);
}
static void *by_reallocarray(void) {
    return reallocarray(NULL, 0, 8);
}
static void *by_aligned_alloc(void) {
    return aligned_alloc(64, 0);
}
static void *by_memalign(void) {
    return memalign(4096, 0);
}
static void *by_posix_memalign(void) {
    void *block = NULL;
    return posix_memalign(&block, 128, 0) == 0 ? block : NULL;
}
static void *by_valloc(void) {
    return valloc(0);
}

static int by_address(const void *left, const void *right) {
    uintptr_t a = *(const uintptr_t *)left, b = *(const uintptr_t *)right;
    return (a > b) - (a < b);
}

static void assert_unique_and_freeable(void *(*make)(void)) {
    static void *blocks[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = make();
        assert_non_null(blocks[i]);
        assert_true(is_aligned(blocks[i], 16));
    }
    qsort(blocks, COUNT, sizeof *blocks, by_address);
    for (size_t i = 1; i < COUNT; i++)
        assert_ptr_not_equal(blocks[i - 1], blocks[i]);
    for (size_t i = 0; i < COUNT; i++)
        free(blocks[i]);
}

static void malloc_of_no_bytes_is_unique_and_freeable(void **state) {
    (void)state;
    assert_unique_and_freeable(by_malloc);
}

static void calloc_of_no_bytes_is_unique_and_freeable(void **state) {
    (void)state;
    assert_unique_and_freeable(by_calloc);
    assert_unique_and_freeable(by_calloc_of_no_bytes);
}

static void realloc_of_null_to_no_bytes_is_unique_and_freeable(void **state) {
    (void)state;
    assert_unique_and_freeable(by_realloc);
    assert_unique_and_freeable(by_reallocarray);
}

static void aligned_blocks_of_no_bytes_are_unique_and_freeable(void **state) {
    (void)state;
    assert_unique_and_freeable(by_aligned_alloc);
    assert_unique_and_freeable(by_memalign);
    assert_unique_and_freeable(by_posix_memalign);
    assert_unique_and_freeable(by_valloc);
}

static void a_block_of_no_bytes_can_grow(void **state) {
    (void)state;
    char *block = malloc(0);
    assert_non_null(block);
    block = realloc(block, 100);
    assert_non_null(block);
    pattern_write(block, 100, 3);
    assert_true(pattern_holds(block, 100, 3));
    free(block);
}

/* glibc's rule: realloc(p, 0) frees p and returns NULL, and that is no error. */
static void realloc_to_no_bytes_frees_and_returns_null(void **state) {
    (void)state;
    const size_t sizes[] = {0, 1, 16, 1000, 50000, 2 * MIB};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        void *block = malloc(sizes[i]);
        assert_non_null(block);
        errno = 33;
        assert_null(realloc(block, 0));
        assert_int_equal(errno, 33);
    }
}

static void realloc_to_no_bytes_gives_the_memory_back(void **state) {
    (void)state;
    size_t before = 0;
    for (size_t i = 0; i < 20000; i++) {
        if (i == 1000)
            before = resident_bytes();
        void *block = malloc(100000);
        assert_non_null(block);
        pattern_write(block, 100000, i);
        assert_null(i % 2 == 0 ? realloc(block, 0) : reallocarray(block, 0, 8));
    }
    assert_true(resident_bytes() < before + 16 * MIB);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(malloc_of_no_bytes_is_unique_and_freeable),
        cmocka_unit_test(calloc_of_no_bytes_is_unique_and_freeable),
        cmocka_unit_test(realloc_of_null_to_no_bytes_is_unique_and_freeable),
        cmocka_unit_test(aligned_blocks_of_no_bytes_are_unique_and_freeable),
        cmocka_unit_test(a_block_of_no_bytes_can_grow),
        cmocka_unit_test(realloc_to_no_bytes_frees_and_returns_null),
        cmocka_unit_test(realloc_to_no_bytes_gives_the_memory_back),
    };
    return cmocka_run_group_tests(tests, require_numa_alloc, NULL);
}
