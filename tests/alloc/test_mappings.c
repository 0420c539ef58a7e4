/* The kernel stops at 65,530 mappings a process (vm.max_map_count): blocks must not cost one each.
 */
#include "promises.h"

enum { BLOCKS = 20000, MAPPINGS_ALLOWED = 100 };

static size_t count_mappings(void) {
    FILE *maps = fopen("/proc/self/maps", "re");
    assert_non_null(maps);
    size_t lines = 0;
    for (int c; (c = getc(maps)) != EOF;)
        lines += c == '\n';
    fclose(maps);
    return lines;
}

/* Frees half of 20,000 blocks at random, so that no two freed ones need be neighbours. */
static void mappings_after_holes(size_t size) {
    static void *blocks[BLOCKS];
    uint64_t random = 1;
    size_t before = count_mappings();
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(size);
        assert_non_null(blocks[i]);
        *(char *)blocks[i] = 1;
    }
    for (size_t i = 0; i < BLOCKS; i++)
        if (random_next(&random) >> 63) {
            free(blocks[i]);
            blocks[i] = NULL;
        }
    malloc_trim(0);
    assert_in_range(count_mappings(), 0, before + MAPPINGS_ALLOWED);
    for (size_t i = 0; i < BLOCKS; i++)
        free(blocks[i]);
}

static void holes_between_blocks_of_1_MiB_cost_no_mapping(void **state) {
    (void)state;
    mappings_after_holes(MIB);
}

static void holes_between_blocks_of_100_KiB_cost_no_mapping(void **state) {
    (void)state;
    mappings_after_holes(100 * KIB);
}

static void holes_between_blocks_of_4_KiB_cost_no_mapping(void **state) {
    (void)state;
    mappings_after_holes(4 * KIB);
}

/* A loop of one large block stays at one address: neither page tables nor tables of ours grow. */
static void a_large_block_freed_and_asked_for_again_comes_back_to_its_place(void **state) {
    (void)state;
    void *first = malloc(40 * MIB);
    assert_non_null(first);
    free(first);
    for (size_t i = 0; i < 1000; i++) {
        void *block = malloc(40 * MIB);
        assert_ptr_equal(block, first);
        free(block);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holes_between_blocks_of_1_MiB_cost_no_mapping),
        cmocka_unit_test(holes_between_blocks_of_100_KiB_cost_no_mapping),
        cmocka_unit_test(holes_between_blocks_of_4_KiB_cost_no_mapping),
        cmocka_unit_test(a_large_block_freed_and_asked_for_again_comes_back_to_its_place),
    };
    return cmocka_run_group_tests(tests, require_numa_alloc, NULL);
}
