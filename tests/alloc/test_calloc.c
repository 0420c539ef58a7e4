/* calloc's memory is zero, also where another block has been before. */
#include "promises.h"

static bool is_zero(const void *block, size_t size_bytes) {
    const unsigned char *bytes = block;
    return size_bytes == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size_bytes - 1) == 0);
}

/* Every size of the small classes, then a few a class up to 300 KB. */
static size_t next_size(size_t size_bytes) {
    return size_bytes < 300 ? size_bytes + 1 : size_bytes + size_bytes / 11;
}

static void fresh_memory_is_zero_for_every_size(void **state) {
    (void)state;
    for (size_t size = 0; size < 300000; size = next_size(size)) {
        void *block = calloc(1, size);
        assert_non_null(block);
        assert_true(is_zero(block, size));
        free(block);
    }
}

/* All blocks of a class are dirtied and freed before any is asked for again. */
static void reused_memory_is_zero_for_every_size(void **state) {
    (void)state;
    enum { COUNT = 40 };
    void *blocks[COUNT];
    for (size_t size = 1; size < 300000; size = next_size(size)) {
        for (size_t i = 0; i < COUNT; i++) {
            blocks[i] = malloc(size);
            assert_non_null(blocks[i]);
            memset(blocks[i], 0xa5, size);
        }
        for (size_t i = 0; i < COUNT; i++)
            free(blocks[i]);
        for (size_t i = 0; i < COUNT; i++) {
            blocks[i] = calloc(1, size);
            assert_non_null(blocks[i]);
            assert_true(is_zero(blocks[i], size));
        }
        for (size_t i = 0; i < COUNT; i++)
            free(blocks[i]);
    }
}

static void reused_large_memory_is_zero(void **state) {
    (void)state;
    for (size_t size = 300000; size < 80 * MIB; size *= 3)
        for (size_t round = 0; round < 3; round++) {
            void *block = malloc(size);
            assert_non_null(block);
            memset(block, 0xff, size);
            free(block);
            block = calloc(1, size);
            assert_non_null(block);
            assert_true(is_zero(block, size));
            memset(block, 0xff, size);
            free(block);
        }
}

/* A page of one class, dirtied, may come back as a page of another. */
static void memory_reused_by_another_size_class_is_zero(void **state) {
    (void)state;
    enum { COUNT = 2000 };
    static void *blocks[COUNT];
    const size_t classes[] = {4000, 16, 900, 30000, 48, 7000, 200, 64, 15000, 350};
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        for (size_t j = 0; j < COUNT; j++) {
            blocks[j] = calloc(1, classes[i]);
            assert_non_null(blocks[j]);
            assert_true(is_zero(blocks[j], classes[i]));
            memset(blocks[j], 0x7e, classes[i]);
        }
        for (size_t j = 0; j < COUNT; j++)
            free(blocks[j]);
    }
}

static void *dirty_and_free(void *argument) {
    void **blocks = argument;
    for (size_t i = 0; blocks[i] != NULL; i++) {
        memset(blocks[i], 0x3c, malloc_usable_size(blocks[i]));
        free(blocks[i]);
    }
    return NULL;
}

static void memory_freed_by_another_thread_is_zero(void **state) {
    (void)state;
    void *blocks[301];
    for (size_t size = 1; size < 40000; size = size * 3 / 2 + 1) {
        for (size_t i = 0; i < 300; i++) {
            blocks[i] = malloc(size);
            assert_non_null(blocks[i]);
        }
        blocks[300] = NULL;
        assert_int_equal(in_thread(dirty_and_free, blocks), 0);
        for (size_t i = 0; i < 300; i++) {
            blocks[i] = calloc(size, 1);
            assert_non_null(blocks[i]);
            assert_true(is_zero(blocks[i], size));
        }
        for (size_t i = 0; i < 300; i++)
            free(blocks[i]);
    }
}

static void memory_of_freed_aligned_blocks_is_zero(void **state) {
    (void)state;
    for (size_t alignment = 32; alignment <= 8 * MIB; alignment *= 2)
        for (size_t round = 0; round < 4; round++) {
            size_t size = 3 * alignment / 2;
            void *block = memalign(alignment, size);
            assert_non_null(block);
            memset(block, 0xee, malloc_usable_size(block));
            free(block);
            block = calloc(1, size);
            assert_non_null(block);
            assert_true(is_zero(block, size));
            free(block);
        }
}

static void memory_shrunk_away_by_realloc_is_zero(void **state) {
    (void)state;
    for (size_t size = 100; size < 20 * MIB; size *= 5) {
        char *block = malloc(size);
        assert_non_null(block);
        memset(block, 0x99, size);
        block = realloc(block, size / 3);
        assert_non_null(block);
        void *others[4];
        for (size_t i = 0; i < 4; i++) {
            others[i] = calloc(1, size / 2);
            assert_non_null(others[i]);
            assert_true(is_zero(others[i], size / 2));
        }
        for (size_t i = 0; i < 4; i++)
            free(others[i]);
        free(block);
    }
}

static void memory_is_zero_after_malloc_trim(void **state) {
    (void)state;
    enum { COUNT = 500 };
    static void *blocks[COUNT];
    for (size_t round = 0; round < 4; round++) {
        for (size_t i = 0; i < COUNT; i++) {
            blocks[i] = malloc(10000);
            assert_non_null(blocks[i]);
            memset(blocks[i], 0xd1, 10000);
        }
        for (size_t i = 0; i < COUNT; i++)
            free(blocks[i]);
        malloc_trim(0);
        for (size_t i = 0; i < COUNT; i++) {
            blocks[i] = calloc(100, 100);
            assert_non_null(blocks[i]);
            assert_true(is_zero(blocks[i], 10000));
        }
        for (size_t i = 0; i < COUNT; i++)
            free(blocks[i]);
    }
}

static void the_product_of_count_and_size_is_usable(void **state) {
    (void)state;
    for (size_t count = 1; count < 2000; count = count * 2 + 1)
        for (size_t size = 1; size < 2000; size = size * 3 + 2) {
            unsigned char *block = calloc(count, size);
            assert_non_null(block);
            assert_true(malloc_usable_size(block) >= count * size);
            assert_true(is_zero(block, count * size));
            memset(block, 0xff, count * size);
            free(block);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fresh_memory_is_zero_for_every_size),
        cmocka_unit_test(reused_memory_is_zero_for_every_size),
        cmocka_unit_test(reused_large_memory_is_zero),
        cmocka_unit_test(memory_reused_by_another_size_class_is_zero),
        cmocka_unit_test(memory_freed_by_another_thread_is_zero),
        cmocka_unit_test(memory_of_freed_aligned_blocks_is_zero),
        cmocka_unit_test(memory_shrunk_away_by_realloc_is_zero),
        cmocka_unit_test(memory_is_zero_after_malloc_trim),
        cmocka_unit_test(the_product_of_count_and_size_is_usable),
    };
    return cmocka_run_group_tests(tests, require_numa_alloc, NULL);
}
