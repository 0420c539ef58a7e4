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

/* --- every policy --------------------------------------------------------------------------- */

enum { CHURN_BLOCKS = 100000, CHURN_MAPPINGS_MAX = 2000 };

/* 100,000 places for blocks of 1 MiB, filled and freed at random, three times as often as there are
 * places. Nothing is written: it is address space that is counted. Prints the most mappings seen.
 */
static int churn(void) {
    static void *blocks[CHURN_BLOCKS];
    uint64_t random = 1;
    size_t most = 0;
    for (size_t step = 0; step < 3 * CHURN_BLOCKS; step++) {
        void **block = &blocks[(random_next(&random) >> 20) % CHURN_BLOCKS];
        if (*block != NULL) {
            free(*block);
            *block = NULL;
        } else if ((*block = malloc(MIB)) == NULL) {
            puts("no memory");
            return 1;
        }
        if (step % CHURN_BLOCKS == CHURN_BLOCKS - 1) {
            size_t mappings = count_mappings();
            most = mappings > most ? mappings : most;
        }
    }
    printf("%zu\n", most);
    return 0;
}

struct setting {
    const char *policy; /* a printf format that may take the lowest node */
    const char *pages, *min_size;
};

static void set_environment(const void *settings) {
    const struct setting *setting = settings;
    char policy[64];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(policy, sizeof policy, setting->policy, lowest_node());
#pragma GCC diagnostic pop
    setenv("NUMA_ALLOC_POLICY", policy, 1);
    setenv("NUMA_ALLOC_PAGES", setting->pages, 1);
    setenv("NUMA_ALLOC_MIN_SIZE", setting->min_size, 1);
}

static void blocks_of_1_MiB_at_random_take_few_mappings_under_any_policy(void **state) {
    (void)state;
    static const struct setting settings[] = {
        {"bind:%d", "default", "0"},        {"preferred:%d", "default", "0"},
        {"interleave:all", "default", "0"}, {"weighted:%d=3", "default", "0"},
        {"local", "default", "0"},          {"none", "default", "0"},
        {"preferred:all", "default", "0"},  {"interleave:all", "thp", "0"},
        {"weighted:%d=3", "thp", "4M"},
    };
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        struct run run;
        if (checks_are_on() && strcmp(settings[i].pages, "thp") == 0) {
            printf("# %s, pages thp: not with checks, whose canaries touch 2 MiB of each block\n",
                   settings[i].policy);
            continue;
        }
        run_self(&run, "churn", NULL, set_environment, &settings[i]);
        unsigned long mappings = strtoul(run.out, NULL, 10);
        if (run.status != 0 || mappings == 0 || mappings >= CHURN_MAPPINGS_MAX)
            fail_msg("%s, pages %s: status %d, %lu mappings, stdout \"%s\", stderr \"%s\"",
                     settings[i].policy, settings[i].pages, run.status, mappings, run.out, run.err);
    }
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "churn") == 0)
        return churn();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holes_between_blocks_of_1_MiB_cost_no_mapping),
        cmocka_unit_test(holes_between_blocks_of_100_KiB_cost_no_mapping),
        cmocka_unit_test(holes_between_blocks_of_4_KiB_cost_no_mapping),
        cmocka_unit_test(a_large_block_freed_and_asked_for_again_comes_back_to_its_place),
        cmocka_unit_test(blocks_of_1_MiB_at_random_take_few_mappings_under_any_policy),
    };
    return cmocka_run_group_tests(tests, require_numa_alloc, NULL);
}
