/* realloc keeps what was written, through every size class and both ways. */
#include "promises.h"

static void realloc_of_null_is_malloc(void **state) {
    (void)state;
    for (size_t size = 1; size < 4 * MIB; size *= 3) {
        void *block = realloc(NULL, size);
        assert_non_null(block);
        assert_true(malloc_usable_size(block) >= size);
        pattern_write(block, size, size);
        assert_true(pattern_holds(block, size, size));
        free(block);
    }
}

/* From every size up to 70,000 (in steps that visit each class boundary) to every next one. */
static void contents_are_kept_when_growing_through_every_size_class(void **state) {
    (void)state;
    size_t size = 1;
    void *block = malloc(size);
    assert_non_null(block);
    pattern_write(block, size, 5);
    while (size < 70000) {
        size_t larger = size + (size < 2048 ? 1 : 61);
        block = realloc(block, larger);
        assert_non_null(block);
        assert_true(pattern_prefix_holds(block, size, 5));
        assert_true(malloc_usable_size(block) >= larger);
        pattern_write(block, larger, 5);
        size = larger;
    }
    free(block);
}

static void contents_are_kept_when_shrinking_through_every_size_class(void **state) {
    (void)state;
    size_t size = 70000;
    void *block = malloc(size);
    assert_non_null(block);
    pattern_write(block, size, 6);
    while (size > 1) {
        size -= size <= 2048 ? 1 : 61;
        block = realloc(block, size);
        assert_non_null(block);
        assert_true(pattern_prefix_holds(block, size, 6));
    }
    free(block);
}

static void contents_are_kept_from_every_power_of_two_to_every_other(void **state) {
    (void)state;
    for (size_t from = 1; from <= 8 * MIB; from *= 2)
        for (size_t to = 1; to <= 8 * MIB; to *= 2) {
            size_t shift = (from ^ to) & 1 ? 0 : 1; /* also one beside the power */
            void *block = malloc(from + shift);
            assert_non_null(block);
            pattern_write(block, from + shift, from + to);
            block = realloc(block, to + shift);
            assert_non_null(block);
            size_t common = (from < to ? from : to) + shift;
            assert_true(pattern_prefix_holds(block, common, from + to));
            pattern_write(block, to + shift, from);
            free(block);
        }
}

/* One word a 64 KiB: the test is of addresses and mappings, and the pages would cost seconds. */
static void stamp(char *block, size_t from, size_t to) {
    for (size_t offset = from; offset < to; offset += 64 * KIB)
        memcpy(block + offset, &offset, sizeof offset);
}

static bool stamped(const char *block, size_t to) {
    for (size_t offset = 0; offset < to; offset += 64 * KIB)
        if (memcmp(block + offset, &offset, sizeof offset) != 0)
            return false;
    return true;
}

static void contents_are_kept_up_to_256_MiB_and_back(void **state) {
    (void)state;
    size_t size = 64 * KIB;
    char *block = malloc(size);
    assert_non_null(block);
    stamp(block, 0, size);
    for (; size < (size_t)256 * MIB; size *= 2) {
        block = realloc(block, 2 * size);
        assert_non_null(block);
        assert_true(stamped(block, size));
        stamp(block, size, 2 * size);
    }
    assert_true(stamped(block, size));
    for (; size > 64 * KIB; size /= 2) {
        block = realloc(block, size / 2);
        assert_non_null(block);
        assert_true(stamped(block, size / 2));
    }
    free(block);
}

static void large_blocks_grow_beside_each_other(void **state) {
    (void)state;
    enum { BLOCKS = 12 };
    char *blocks[BLOCKS];
    size_t sizes[BLOCKS];
    uint64_t random = 99;
    for (size_t i = 0; i < BLOCKS; i++) {
        sizes[i] = 128 * KIB;
        blocks[i] = malloc(sizes[i]);
        assert_non_null(blocks[i]);
        pattern_write(blocks[i], sizes[i], i);
    }
    for (size_t step = 0; step < 200; step++) {
        size_t i = (random_next(&random) >> 20) % BLOCKS;
        size_t size = 70 * KIB + (random_next(&random) >> 20) % (6 * MIB);
        blocks[i] = realloc(blocks[i], size);
        assert_non_null(blocks[i]);
        assert_true(pattern_prefix_holds(blocks[i], sizes[i] < size ? sizes[i] : size, i));
        sizes[i] = size;
        pattern_write(blocks[i], size, i);
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        assert_true(pattern_holds(blocks[i], sizes[i], i));
        free(blocks[i]);
    }
}

/* Runs in a child, because the peak of resident memory never falls again. */
static int grow_to_200_MiB(void *unused) {
    (void)unused;
    size_t before = resident_bytes(), size = 100 * MIB;
    char *block = malloc(size);
    if (block == NULL)
        return 1;
    memset(block, 1, size);
    for (; size < 200 * MIB; size += 20 * MIB) {
        block = realloc(block, size + 20 * MIB);
        if (block == NULL)
            return 1;
        memset(block + size, 1, 20 * MIB);
    }
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (size_t)usage.ru_maxrss * KIB < before + 250 * MIB ? 0 : 2; /* counted in KiB */
}

static void a_large_block_grows_without_a_second_copy_of_itself(void **state) {
    (void)state;
    assert_int_equal(in_child(grow_to_200_MiB, NULL), 0);
}

static void neighbours_are_untouched_by_a_realloc(void **state) {
    (void)state;
    enum { COUNT = 600 };
    static void *blocks[COUNT];
    static size_t sizes[COUNT];
    uint64_t random = 4242;
    for (size_t i = 0; i < COUNT; i++) {
        sizes[i] = random_size(&random);
        blocks[i] = malloc(sizes[i]);
        assert_non_null(blocks[i]);
        pattern_write(blocks[i], sizes[i], i);
    }
    for (size_t step = 0; step < 30000; step++) {
        size_t i = (random_next(&random) >> 20) % COUNT;
        size_t size = random_size(&random) + 1;
        blocks[i] = realloc(blocks[i], size);
        assert_non_null(blocks[i]);
        assert_true(pattern_prefix_holds(blocks[i], sizes[i] < size ? sizes[i] : size, i));
        sizes[i] = size;
        pattern_write(blocks[i], size, i);
    }
    for (size_t i = 0; i < COUNT; i++) {
        assert_true(pattern_holds(blocks[i], sizes[i], i));
        free(blocks[i]);
    }
}

static void realloc_within_the_usable_size_loses_nothing(void **state) {
    (void)state;
    for (size_t size = 1; size < 200000; size += 1 + size / 9) {
        void *block = malloc(size);
        assert_non_null(block);
        size_t usable = malloc_usable_size(block);
        pattern_write(block, usable, size);
        block = realloc(block, usable);
        assert_non_null(block);
        assert_true(pattern_holds(block, usable, size));
        free(block);
    }
}

static void *grow_and_free(void *block) {
    void *grown = realloc(block, 300000);
    size_t failures = grown == NULL || !pattern_prefix_holds(grown, 3000, 8);
    free(grown);
    return (void *)failures;
}

static void realloc_of_another_threads_block_keeps_its_contents(void **state) {
    (void)state;
    for (size_t round = 0; round < 100; round++) {
        void *block = malloc(3000);
        assert_non_null(block);
        pattern_write(block, 3000, 8);
        assert_int_equal(in_thread(grow_and_free, block), 0);
    }
}

static void memory_is_flat_when_a_block_grows_and_shrinks_for_ever(void **state) {
    (void)state;
    size_t before = 0;
    uint64_t random = 31;
    char *block = NULL;
    for (size_t i = 0; i < 20000; i++) {
        if (i == 5000)
            before = resident_bytes();
        size_t size = 1 + (random_next(&random) >> 20) % (MIB / (1 + i % 100));
        block = realloc(block, size);
        assert_non_null(block);
        block[0] = block[size - 1] = 1;
    }
    assert_true(resident_bytes() < before + 32 * MIB);
    free(block);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(realloc_of_null_is_malloc),
        cmocka_unit_test(contents_are_kept_when_growing_through_every_size_class),
        cmocka_unit_test(contents_are_kept_when_shrinking_through_every_size_class),
        cmocka_unit_test(contents_are_kept_from_every_power_of_two_to_every_other),
        cmocka_unit_test(contents_are_kept_up_to_256_MiB_and_back),
        cmocka_unit_test(large_blocks_grow_beside_each_other),
        cmocka_unit_test(a_large_block_grows_without_a_second_copy_of_itself),
        cmocka_unit_test(neighbours_are_untouched_by_a_realloc),
        cmocka_unit_test(realloc_within_the_usable_size_loses_nothing),
        cmocka_unit_test(realloc_of_another_threads_block_keeps_its_contents),
        cmocka_unit_test(memory_is_flat_when_a_block_grows_and_shrinks_for_ever),
    };
    return cmocka_run_group_tests(tests, require_numa_alloc, NULL);
}
