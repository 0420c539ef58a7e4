/* Promises at the edges: limits, full address space, strangers' memory, ends of threads. */
#include "promises.h"

#include <sys/mman.h>

/* --- Threads that end --------------------------------------------------------------------------
 */

static pthread_key_t key;

static void allocate_at_the_end(void *block) {
    free(block);
    free(malloc(100));
}

/* The thread's first calls of the allocator come from a destructor. */
static void *begin_at_the_end(void *block) {
    assert_int_equal(pthread_setspecific(key, block), 0);
    return NULL;
}

static void threads_that_allocate_only_while_ending_leave_nothing(void **state) {
    (void)state;
    size_t before = 0;
    assert_int_equal(pthread_key_create(&key, allocate_at_the_end), 0);
    for (size_t i = 0; i < 4000; i++) {
        pthread_t thread;
        if (i == 100)
            before = resident_bytes();
        assert_int_equal(pthread_create(&thread, NULL, begin_at_the_end, malloc(64)), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
    assert_in_range(resident_bytes(), 0, before + 4 * MIB);
    assert_int_equal(pthread_key_delete(key), 0);
}

enum { ORPHAN_BLOCKS = 100000, ORPHAN_BYTES = 1000, LARGE_BLOCKS = 750 };
static void *orphans[ORPHAN_BLOCKS];

static void *allocate_orphans(void *unused) {
    for (size_t i = 0; i < ORPHAN_BLOCKS; i++)
        orphans[i] = memset(malloc(ORPHAN_BYTES), 1, ORPHAN_BYTES);
    return unused;
}

static void what_an_ended_thread_left_serves_large_blocks(void **state) {
    (void)state;
    static void *large[LARGE_BLOCKS];
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, allocate_orphans, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    size_t before = resident_bytes();
    for (size_t i = 0; i < ORPHAN_BLOCKS; i++)
        free(orphans[i]);
    for (size_t i = 0; i < LARGE_BLOCKS; i++)
        large[i] = memset(malloc(128 * KIB), 1, 128 * KIB);
    assert_in_range(resident_bytes(), 0, before + 40 * MIB);
    for (size_t i = 0; i < LARGE_BLOCKS; i++)
        free(large[i]);
}

/* --- Limits ------------------------------------------------------------------------------------
 */

/* Fills a small address space, then shrinks what there is. */
static int shrink_when_full(void *unused) {
    (void)unused;
    enum { MOST = 1000 };
    static char *blocks[MOST];
    size_t count = 0, shrunk = 0;
    setrlimit(RLIMIT_AS, &(struct rlimit){768 * (rlim_t)MIB, 768 * (rlim_t)MIB});
    for (; count < MOST && (blocks[count] = malloc(MIB)) != NULL; count++)
        blocks[count][0] = (char)(count + 1);
    for (void *rest; (rest = malloc(100 * KIB)) != NULL;)
        *(char *)rest = 1;
    for (size_t i = 0; i < count; i++) {
        errno = 0;
        char *block = realloc(blocks[i], 9000 + 1000 * (i % 50));
        if (block == NULL || errno != 0 || block[0] != (char)(i + 1))
            return 1;
        shrunk++;
    }
    return shrunk > 100 ? 0 : 2;
}

static void shrinking_succeeds_without_memory(void **state) {
    (void)state;
    assert_int_equal(in_child(shrink_when_full, NULL), 0);
}

/* What counts against RLIMIT_DATA already. */
static size_t data_bytes(void) {
    char line[256];
    size_t kib = 0;
    FILE *status = fopen("/proc/self/status", "re");
    while (status != NULL && fgets(line, sizeof line, status) != NULL)
        if (sscanf(line, "VmData: %zu kB", &kib) == 1)
            break;
    if (status != NULL)
        fclose(status);
    return kib * KIB;
}

static int allocate_under_data_limit(void *unused) {
    (void)unused;
    rlim_t limit_bytes = data_bytes() + 400 * (rlim_t)MIB;
    setrlimit(RLIMIT_DATA, &(struct rlimit){limit_bytes, limit_bytes});
    char *block = malloc(200 * MIB);
    if (block == NULL)
        return 1;
    memset(block, 1, 200 * MIB);
    for (size_t i = 0; i < 1000; i++)
        if (malloc(50 * KIB) == NULL)
            return 2;
    return 0;
}

static void address_space_in_reserve_is_not_counted_as_data(void **state) {
    (void)state;
    assert_int_equal(in_child(allocate_under_data_limit, NULL), 0);
}

/* --- Memory of others --------------------------------------------------------------------------
 */

static int free_strangers(void *unused) {
    (void)unused;
    char *huge = aligned_alloc(64 * MIB, 17 * MIB);
    /* Behind the block, in the 32 MiB that it begins. */
    char *stranger =
        mmap(huge + 20 * MIB, 64 * KIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stranger != huge + 20 * MIB)
        return 77;
    stranger[100] = 7;
    if (malloc_usable_size(stranger + 96) != 0)
        return 1;
    free(stranger + 96);
    free(stranger);
    free(huge);
    return stranger[100] == 7 ? 0 : 2;
}

static void memory_mapped_beside_a_block_is_left_alone(void **state) {
    (void)state;
    if (checks_are_on()) {
        print_message("# SKIP with NUMA_ALLOC_CHECKS=on such a free ends the program\n");
        skip();
    }
    int status = in_child(free_strangers, NULL);
    if (status == 77) {
        print_message("# SKIP the place beside the block is taken\n");
        skip();
    }
    assert_int_equal(status, 0);
}

/* A block that the program has split into several mappings cannot be moved by mremap. */
static void a_block_split_by_madvise_can_be_resized(void **state) {
    (void)state;
    size_t size = 64 * MIB;
    char *block = malloc(size);
    assert_non_null(block);
    pattern_write(block, size, 5);
    assert_int_equal(madvise(block + 4 * MIB, 8 * MIB, MADV_DONTFORK), 0);
    block = realloc(block, 3 * size);
    assert_non_null(block);
    assert_true(pattern_prefix_holds(block, size, 5));
    free(block);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_that_allocate_only_while_ending_leave_nothing),
        cmocka_unit_test(what_an_ended_thread_left_serves_large_blocks),
        cmocka_unit_test(shrinking_succeeds_without_memory),
        cmocka_unit_test(address_space_in_reserve_is_not_counted_as_data),
        cmocka_unit_test(memory_mapped_beside_a_block_is_left_alone),
        cmocka_unit_test(a_block_split_by_madvise_can_be_resized),
    };
    return cmocka_run_group_tests(tests, require_numa_alloc, NULL);
}
