/* A million random operations by several threads, checked against a model of every block. */
#include "promises.h"

enum { SLOTS = 4096, THREADS = 4, OPERATIONS = 250000 };

/* The model: a slot holds a block that any thread may take, check, change, and put back or free. */
struct block {
    size_t size_bytes; /* of the contents */
    uint64_t seed;
    unsigned char contents[];
};
static _Atomic(struct block *) slots[SLOTS];
static atomic_size_t thread_number;

static struct block *make(uint64_t *random) {
    size_t size = random_size(random), whole = sizeof(struct block) + size;
    struct block *block = NULL;
    switch (random_next(random) >> 40 & 7) {
    case 0:
        block = calloc(1, whole);
        for (size_t i = 0; block != NULL && i < size; i = pattern_next(i))
            if (block->contents[i] != 0)
                return NULL;
        break;
    case 1: {
        size_t alignment = (size_t)16 << (random_next(random) >> 40) % 9;
        block = memalign(alignment, whole);
        if (!is_aligned(block, alignment))
            return NULL;
        break;
    }
    default:
        block = malloc(whole);
    }
    if (block == NULL || !is_aligned(block, 16) || malloc_usable_size(block) < whole)
        return NULL;
    block->size_bytes = size;
    block->seed = random_next(random);
    pattern_write(block->contents, size, block->seed);
    return block;
}

static bool holds(const struct block *block) {
    return pattern_holds(block->contents, block->size_bytes, block->seed);
}

static struct block *resize(struct block *block, uint64_t *random) {
    size_t before = block->size_bytes, size = random_size(random);
    block = realloc(block, sizeof *block + size);
    if (block == NULL ||
        !pattern_prefix_holds(block->contents, before < size ? before : size, block->seed))
        return NULL;
    block->size_bytes = size;
    pattern_write(block->contents, size, block->seed);
    return block;
}

static void *operate(void *unused) {
    (void)unused;
    uint64_t random = 1000003 * (1 + atomic_fetch_add(&thread_number, 1));
    size_t failures = 0;
    for (size_t i = 0; i < OPERATIONS; i++) {
        size_t slot = (random_next(&random) >> 40) % SLOTS;
        unsigned choice = random_next(&random) >> 40 & 3;
        struct block *block = choice == 0 ? NULL : make(&random);
        failures += choice != 0 && block == NULL;
        block = atomic_exchange(&slots[slot], block);
        if (block == NULL)
            continue;
        failures += !holds(block);
        if (choice == 3) {
            block = resize(block, &random);
            failures += block == NULL;
        }
        free(block);
    }
    return (void *)failures;
}

static void a_million_operations_of_four_threads_agree_with_the_model(void **state) {
    (void)state;
    assert_int_equal(run_threads(THREADS, operate, NULL), 0);
    for (size_t i = 0; i < SLOTS; i++) {
        struct block *block = atomic_exchange(&slots[i], NULL);
        assert_true(block == NULL || holds(block));
        free(block);
    }
}

/* The same with threads that end and begin, so that the blocks' owners are mostly dead. */
static void *operate_briefly(void *unused) {
    (void)unused;
    uint64_t random = 999983 * (1 + atomic_fetch_add(&thread_number, 1));
    size_t failures = 0;
    for (size_t i = 0; i < 500; i++) {
        struct block *block = make(&random);
        failures += block == NULL;
        block = atomic_exchange(&slots[(random_next(&random) >> 40) % SLOTS], block);
        if (block != NULL) {
            failures += !holds(block);
            free(block);
        }
    }
    return (void *)failures;
}

static void blocks_of_short_lived_threads_agree_with_the_model(void **state) {
    (void)state;
    for (size_t round = 0; round < 50; round++)
        assert_int_equal(run_threads(8, operate_briefly, NULL), 0);
    for (size_t i = 0; i < SLOTS; i++) {
        struct block *block = atomic_exchange(&slots[i], NULL);
        assert_true(block == NULL || holds(block));
        free(block);
    }
}

struct range {
    uintptr_t begin, end;
};

static int by_begin(const void *left, const void *right) {
    const struct range *a = left, *b = right;
    return (a->begin > b->begin) - (a->begin < b->begin);
}

static void usable_ranges_of_live_blocks_never_overlap(void **state) {
    (void)state;
    enum { LIVE = 30000 };
    static struct range ranges[LIVE];
    uint64_t random = 5;
    for (size_t round = 0; round < 4; round++) {
        for (size_t i = 0; i < LIVE; i++) {
            if (round > 0 && (random_next(&random) >> 40) % 3 != 0)
                continue; /* this one lives on */
            free((void *)ranges[i].begin);
            void *block = malloc(random_size(&random));
            assert_non_null(block);
            ranges[i].begin = (uintptr_t)block;
            ranges[i].end = ranges[i].begin + malloc_usable_size(block);
        }
        qsort(ranges, LIVE, sizeof *ranges, by_begin);
        for (size_t i = 1; i < LIVE; i++)
            assert_true(ranges[i - 1].end <= ranges[i].begin);
    }
    for (size_t i = 0; i < LIVE; i++)
        free((void *)ranges[i].begin);
}

/* A program's phases use different sizes: what one phase freed must serve the next. */
static void memory_of_one_size_class_serves_another(void **state) {
    (void)state;
    enum { LIVE_BYTES = 32 * MIB };
    static void *blocks[LIVE_BYTES / 64];
    /* Freed memory is given back after a while: when exactly is not promised, so peaks are
     * compared. */
    size_t first_peak = 0, second_peak = 0;
    const size_t classes[] = {64, 1024, 8192, 96, 40000, 300, 2 * MIB, 160, 20000, 72};
    for (size_t phase = 0; phase < 20; phase++) {
        size_t size = classes[phase % 10], count = LIVE_BYTES / (size < 96 ? 96 : size);
        for (size_t i = 0; i < count; i++) {
            blocks[i] = malloc(size);
            assert_non_null(blocks[i]);
            memset(blocks[i], 1, size);
        }
        size_t *peak = phase < 10 ? &first_peak : &second_peak;
        if (resident_bytes() > *peak)
            *peak = resident_bytes();
        for (size_t i = 0; i < count; i++)
            free(blocks[i]);
    }
    assert_true(second_peak < first_peak + 48 * MIB);
}

static void every_other_block_freed_leaves_the_rest_whole(void **state) {
    (void)state;
    enum { COUNT = 100000 };
    static void *blocks[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = malloc(1 + i % 250);
        assert_non_null(blocks[i]);
        pattern_write(blocks[i], 1 + i % 250, i);
    }
    for (size_t step = 2; step <= 16; step *= 2)
        for (size_t i = step / 2; i < COUNT; i += step) {
            assert_true(pattern_holds(blocks[i], 1 + i % 250, i));
            free(blocks[i]);
            blocks[i] = malloc(1 + i % 250);
            assert_non_null(blocks[i]);
            pattern_write(blocks[i], 1 + i % 250, i);
        }
    for (size_t i = 0; i < COUNT; i++) {
        assert_true(pattern_holds(blocks[i], 1 + i % 250, i));
        free(blocks[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_million_operations_of_four_threads_agree_with_the_model),
        cmocka_unit_test(blocks_of_short_lived_threads_agree_with_the_model),
        cmocka_unit_test(usable_ranges_of_live_blocks_never_overlap),
        cmocka_unit_test(memory_of_one_size_class_serves_another),
        cmocka_unit_test(every_other_block_freed_leaves_the_rest_whole),
    };
    return cmocka_run_group_tests(tests, require_numa_alloc, NULL);
}
