/* Every block is aligned to 16 bytes, and to what its caller asked for up to 1 GiB. */
#include "promises.h"

static const size_t largest_alignment = (size_t)1 << 30;

/* Every size up to 4 KiB, then a few around each larger step. */
static size_t next_size(size_t size_bytes) {
    return size_bytes < 4096 ? size_bytes + 1 : size_bytes + size_bytes / 7;
}

static void malloc_aligns_every_size_to_16(void **state) {
    (void)state;
    for (size_t size = 0; size < 4 * MIB; size = next_size(size)) {
        void *block = malloc(size), *neighbour = malloc(size);
        assert_non_null(block);
        assert_non_null(neighbour);
        assert_true(is_aligned(block, 16));
        assert_true(is_aligned(neighbour, 16));
        free(block);
        free(neighbour);
    }
}

static void calloc_aligns_every_size_to_16(void **state) {
    (void)state;
    for (size_t size = 0; size < 4 * MIB; size = next_size(size)) {
        void *block = calloc(1, size);
        assert_non_null(block);
        assert_true(is_aligned(block, 16));
        free(block);
    }
}

static void realloc_aligns_every_size_to_16(void **state) {
    (void)state;
    void *block = NULL;
    for (size_t size = 1; size < 4 * MIB; size = next_size(size)) {
        block = realloc(block, size);
        assert_non_null(block);
        assert_true(is_aligned(block, 16));
    }
    free(block);
}

static void aligned_alloc_accepts_every_power_of_two_up_to_1_GiB(void **state) {
    (void)state;
    for (size_t alignment = 1; alignment <= largest_alignment; alignment *= 2) {
        void *block = aligned_alloc(alignment, 100);
        assert_non_null(block);
        assert_true(is_aligned(block, alignment));
        pattern_write(block, 100, alignment);
        assert_true(pattern_holds(block, 100, alignment));
        free(block);
    }
}

static void memalign_accepts_every_power_of_two_up_to_1_GiB(void **state) {
    (void)state;
    for (size_t alignment = 1; alignment <= largest_alignment; alignment *= 2) {
        void *block = memalign(alignment, 5000);
        assert_non_null(block);
        assert_true(is_aligned(block, alignment));
        pattern_write(block, 5000, alignment);
        assert_true(pattern_holds(block, 5000, alignment));
        free(block);
    }
}

static void posix_memalign_accepts_every_power_of_two_up_to_1_GiB(void **state) {
    (void)state;
    for (size_t alignment = sizeof(void *); alignment <= largest_alignment; alignment *= 2) {
        void *block = NULL;
        assert_int_equal(posix_memalign(&block, alignment, 3 * MIB), 0);
        assert_non_null(block);
        assert_true(is_aligned(block, alignment));
        pattern_write(block, 3 * MIB, alignment);
        assert_true(pattern_holds(block, 3 * MIB, alignment));
        free(block);
    }
}

static void aligned_alloc_accepts_sizes_that_are_no_multiple_of_the_alignment(void **state) {
    (void)state;
    for (size_t alignment = 16; alignment <= 64 * KIB; alignment *= 2)
        for (size_t size = 1; size < 3 * alignment; size += 1 + alignment / 3) {
            void *block = aligned_alloc(alignment, size);
            assert_non_null(block);
            assert_true(is_aligned(block, alignment));
            assert_true(malloc_usable_size(block) >= size);
            free(block);
        }
}

static void small_alignments_still_give_16(void **state) {
    (void)state;
    for (size_t alignment = 1; alignment <= 16; alignment *= 2)
        for (size_t size = 1; size <= 64; size++) {
            void *block = memalign(alignment, size);
            assert_non_null(block);
            assert_true(is_aligned(block, 16));
            free(block);
        }
}

/* Many at once of every alignment and size class: each keeps its contents beside the others. */
static void aligned_blocks_never_overlap(void **state) {
    (void)state;
    enum { COUNT = 4000 };
    static void *blocks[COUNT];
    static size_t sizes[COUNT];
    uint64_t random = 12345;
    for (size_t i = 0; i < COUNT; i++) {
        size_t alignment = (size_t)16 << (random_next(&random) >> 20) % 10;
        sizes[i] = 1 + (random_next(&random) >> 20) % (i % 64 == 0 ? 200 * KIB : 3000);
        blocks[i] = memalign(alignment, sizes[i]);
        assert_non_null(blocks[i]);
        assert_true(is_aligned(blocks[i], alignment));
        pattern_write(blocks[i], sizes[i], i);
    }
    for (size_t i = 0; i < COUNT; i++)
        assert_true(pattern_holds(blocks[i], sizes[i], i));
    for (size_t i = 0; i < COUNT; i += 2)
        free(blocks[i]);
    for (size_t i = 1; i < COUNT; i += 2) {
        assert_true(pattern_holds(blocks[i], sizes[i], i));
        free(blocks[i]);
    }
}

static void usable_bytes_of_an_aligned_block_are_its_own(void **state) {
    (void)state;
    for (size_t alignment = 32; alignment <= MIB; alignment *= 4) {
        void *blocks[16];
        for (size_t i = 0; i < 16; i++) {
            blocks[i] = memalign(alignment, 48);
            assert_non_null(blocks[i]);
            assert_true(malloc_usable_size(blocks[i]) >= 48);
            pattern_write(blocks[i], malloc_usable_size(blocks[i]), i);
        }
        for (size_t i = 0; i < 16; i++) {
            assert_true(pattern_holds(blocks[i], malloc_usable_size(blocks[i]), i));
            free(blocks[i]);
        }
    }
}

static void realloc_of_an_aligned_block_keeps_its_contents(void **state) {
    (void)state;
    for (size_t alignment = 32; alignment <= 64 * MIB; alignment *= 2)
        for (size_t size = 24; size < MIB; size *= 9) {
            void *block = aligned_alloc(alignment, size);
            assert_non_null(block);
            pattern_write(block, size, alignment);
            block = realloc(block, 3 * size);
            assert_non_null(block);
            assert_true(is_aligned(block, 16));
            assert_true(pattern_prefix_holds(block, size, alignment));
            block = realloc(block, size / 2);
            assert_non_null(block);
            assert_true(pattern_prefix_holds(block, size / 2, alignment));
            free(block);
        }
}

/* Sizes of one, two and three alignments look as if a size class fitted by itself. Not all do. */
static void blocks_of_whole_alignments_are_aligned(void **state) {
    (void)state;
    enum { COUNT = 60 };
    void *blocks[COUNT];
    for (size_t alignment = 16; alignment <= MIB; alignment *= 2)
        for (size_t multiple = 1; multiple <= 3; multiple++) {
            for (size_t i = 0; i < COUNT; i++) {
                blocks[i] = i % 2 == 0 ? aligned_alloc(alignment, multiple * alignment)
                                       : memalign(alignment, multiple * alignment - 1);
                assert_non_null(blocks[i]);
                assert_true(is_aligned(blocks[i], alignment));
            }
            for (size_t i = 0; i < COUNT; i++)
                free(blocks[i]);
        }
}

static void *free_all(void *argument) {
    void **blocks = argument;
    for (size_t i = 0; blocks[i] != NULL; i++)
        free(blocks[i]);
    return NULL;
}

static void aligned_blocks_can_be_freed_by_another_thread(void **state) {
    (void)state;
    for (size_t round = 0; round < 50; round++) {
        void *blocks[23] = {NULL};
        for (size_t i = 0; i < 22; i++) {
            blocks[i] = memalign((size_t)16 << i, 100 + 40 * i);
            assert_non_null(blocks[i]);
            assert_true(is_aligned(blocks[i], (size_t)16 << i));
            pattern_write(blocks[i], 100 + 40 * i, i);
        }
        for (size_t i = 0; i < 22; i++)
            assert_true(pattern_holds(blocks[i], 100 + 40 * i, i));
        assert_int_equal(in_thread(free_all, blocks), 0);
    }
}

/* A block aligned beyond its size must not keep the gap before it resident, nor leak it. */
static void memory_of_widely_aligned_blocks_is_flat(void **state) {
    (void)state;
    size_t before = 0;
    for (size_t i = 0; i < 3000; i++) {
        if (i == 500)
            before = resident_bytes();
        void *block = memalign((size_t)1 << (12 + i % 19), 200);
        assert_non_null(block);
        memset(block, 1, 200);
        free(block);
    }
    assert_true(resident_bytes() < before + 32 * MIB);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(malloc_aligns_every_size_to_16),
        cmocka_unit_test(calloc_aligns_every_size_to_16),
        cmocka_unit_test(realloc_aligns_every_size_to_16),
        cmocka_unit_test(aligned_alloc_accepts_every_power_of_two_up_to_1_GiB),
        cmocka_unit_test(memalign_accepts_every_power_of_two_up_to_1_GiB),
        cmocka_unit_test(posix_memalign_accepts_every_power_of_two_up_to_1_GiB),
        cmocka_unit_test(aligned_alloc_accepts_sizes_that_are_no_multiple_of_the_alignment),
        cmocka_unit_test(small_alignments_still_give_16),
        cmocka_unit_test(aligned_blocks_never_overlap),
        cmocka_unit_test(blocks_of_whole_alignments_are_aligned),
        cmocka_unit_test(usable_bytes_of_an_aligned_block_are_its_own),
        cmocka_unit_test(realloc_of_an_aligned_block_keeps_its_contents),
        cmocka_unit_test(aligned_blocks_can_be_freed_by_another_thread),
        cmocka_unit_test(memory_of_widely_aligned_blocks_is_flat),
    };
    return cmocka_run_group_tests(tests, require_numa_alloc, NULL);
}
