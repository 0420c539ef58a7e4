/* Threads come and go; their blocks stay, their memory is found again. */
#include "promises.h"
#include "../../alloc/numa_alloc.h"

enum { BLOCKS = 100 };

static void *allocate_blocks(void *argument) {
    void **blocks = argument;
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(i * 20);
        if (blocks[i] == NULL)
            return (void *)1;
        pattern_write(blocks[i], i * 20, i);
    }
    return NULL;
}

static size_t check_and_free_blocks(void **blocks) {
    size_t failures = 0;
    for (size_t i = 0; i < BLOCKS; i++) {
        failures += !pattern_holds(blocks[i], i * 20, i);
        free(blocks[i]);
    }
    return failures;
}

static void blocks_outlive_their_thread(void **state) {
    (void)state;
    static void *blocks[20][BLOCKS];
    for (size_t i = 0; i < 20; i++)
        assert_int_equal(in_thread(allocate_blocks, blocks[i]), 0);
    for (size_t i = 0; i < 20; i++)
        assert_int_equal(check_and_free_blocks(blocks[i]), 0);
}

static void realloc_of_a_dead_threads_block_keeps_its_contents(void **state) {
    (void)state;
    void *blocks[BLOCKS];
    assert_int_equal(in_thread(allocate_blocks, blocks), 0);
    for (size_t i = 1; i < BLOCKS; i++) {
        blocks[i] = realloc(blocks[i], i * 60);
        assert_non_null(blocks[i]);
        assert_true(pattern_prefix_holds(blocks[i], i * 20, i));
        free(blocks[i]);
    }
    free(blocks[0]);
}

static void *allocate_and_free(void *unused) {
    (void)unused;
    void *blocks[BLOCKS];
    if (allocate_blocks(blocks) != NULL)
        return (void *)1;
    return (void *)check_and_free_blocks(blocks);
}

static void thousands_of_threads_leave_memory_flat(void **state) {
    (void)state;
    size_t before = 0;
    for (size_t i = 0; i < 2000; i++) {
        if (i == 300)
            before = resident_bytes();
        assert_int_equal(in_thread(allocate_and_free, NULL), 0);
    }
    assert_true(resident_bytes() < before + 24 * MIB);
}

/* What a dead thread left is freed by the main thread: its pages must serve the next one. */
static void memory_is_flat_when_others_free_what_dead_threads_left(void **state) {
    (void)state;
    void *blocks[BLOCKS];
    size_t before = 0;
    for (size_t i = 0; i < 1200; i++) {
        if (i == 300)
            before = resident_bytes();
        assert_int_equal(in_thread(allocate_blocks, blocks), 0);
        assert_int_equal(check_and_free_blocks(blocks), 0);
    }
    assert_true(resident_bytes() < before + 24 * MIB);
}

/* Each thread leaves one small block for good, which keeps a page, not the whole heap. */
static void *leave_one_block(void *argument) {
    void **left = argument;
    *left = malloc(40);
    return allocate_and_free(NULL);
}

static void one_block_left_behind_does_not_keep_a_dead_threads_memory(void **state) {
    (void)state;
    enum { DEAD = 1000 };
    static void *left[DEAD];
    size_t before = 0;
    for (size_t i = 0; i < DEAD; i++) {
        if (i == 100)
            before = resident_bytes();
        assert_int_equal(in_thread(leave_one_block, &left[i]), 0);
        assert_non_null(left[i]);
    }
    assert_true(resident_bytes() < before + 64 * MIB);
    for (size_t i = 0; i < DEAD; i++)
        free(left[i]);
}

/* A list which dying threads add to and others take from while the owners are going away. */
struct node {
    struct node *next;
    size_t size_bytes;
};
static struct {
    pthread_mutex_t lock;
    struct node *head;
    atomic_size_t failures;
} handed_over = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void *take_some_leave_some(void *seed) {
    uint64_t random = 1 + (uintptr_t)seed;
    for (size_t i = 0; i < 60; i++) {
        size_t size = sizeof(struct node) + random_size(&random) / 8;
        struct node *made = malloc(size);
        if (made == NULL)
            return (void *)1;
        made->size_bytes = size;
        pattern_write(made + 1, size - sizeof *made, size);
        pthread_mutex_lock(&handed_over.lock);
        struct node *taken = i % 4 == 0 ? NULL : handed_over.head;
        if (taken != NULL)
            handed_over.head = taken->next;
        made->next = handed_over.head;
        handed_over.head = made;
        pthread_mutex_unlock(&handed_over.lock);
        if (taken != NULL) {
            size = taken->size_bytes;
            handed_over.failures += !pattern_holds(taken + 1, size - sizeof *taken, size);
            free(taken);
        }
    }
    return NULL;
}

static void blocks_are_freed_by_others_while_their_threads_die(void **state) {
    (void)state;
    for (size_t round = 0; round < 60; round++)
        assert_int_equal(run_threads(16, take_some_leave_some, (void *)round), 0);
    assert_int_equal(handed_over.failures, 0);
    size_t size;
    for (struct node *node = handed_over.head, *next; node != NULL; node = next) {
        next = node->next;
        size = node->size_bytes;
        assert_true(pattern_holds(node + 1, size - sizeof *node, size));
        free(node);
    }
    handed_over.head = NULL;
}

/* --- Destructors of thread-specific data ------------------------------------------------------ */

static pthread_key_t keys[8];
static atomic_size_t destructor_runs, destructor_failures;

/* Runs again and again, as long as the system allows: also after the allocator's own clean-up. */
static void allocate_in_destructor(void *value) {
    size_t round = *(size_t *)value;
    destructor_runs++;
    destructor_failures += !pattern_holds((char *)value + sizeof round, 200, round);
    free(value);
    void *large = malloc(100000), *small = calloc(1, 24), *aligned = aligned_alloc(65536, 65536);
    destructor_failures += large == NULL || small == NULL || aligned == NULL;
    free(aligned);
    free(small);
    free(large);
    size_t *again = round < 3 ? malloc(sizeof round + 200) : NULL;
    if (again == NULL)
        return;
    *again = round + 1;
    pattern_write(again + 1, 200, *again);
    for (size_t i = 0; i < 8; i++)
        if (pthread_getspecific(keys[i]) == NULL) {
            pthread_setspecific(keys[i], again);
            return;
        }
    free(again);
}

static void *set_every_key(void *unused) {
    (void)unused;
    for (size_t i = 0; i < 8; i++) {
        size_t *value = malloc(sizeof *value + 200);
        if (value == NULL)
            return (void *)1;
        *value = 1;
        pattern_write(value + 1, 200, 1);
        pthread_setspecific(keys[i], value);
    }
    return NULL;
}

/* How many threads' memory the allocator keeps apart. */
static size_t threads_known(void) {
    __typeof__(na_stats) *read_stats = (__typeof__(read_stats))dlsym(RTLD_DEFAULT, "na_stats");
    struct na_stats stats = {.struct_bytes = sizeof stats};
    assert_int_equal(read_stats(&stats), 0);
    return stats.threads;
}

static void destructors_of_thread_specific_data_allocate_and_free(void **state) {
    (void)state;
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(pthread_key_create(&keys[i], allocate_in_destructor), 0);
    size_t before = 0;
    for (size_t i = 0; i < 1500; i++) {
        if (i == 200)
            before = resident_bytes();
        assert_int_equal(in_thread(set_every_key, NULL), 0);
    }
    assert_true(destructor_runs >= 1500 * 8 * 2);
    assert_int_equal(destructor_failures, 0);
    assert_true(resident_bytes() < before + 24 * MIB); /* nor does a late block cost a heap ... */
    assert_true(threads_known() < 20);                 /* ... or keep what the thread has left */
    for (size_t i = 0; i < 8; i++)
        pthread_key_delete(keys[i]);
}

/* --- Other ways to go ------------------------------------------------------------------------- */

static atomic_size_t detached_running;

static void *exit_detached(void *unused) {
    (void)unused;
    free(malloc(5000));
    char *block = malloc(100);
    detached_running--;
    free(block);
    pthread_exit(NULL);
}

static void detached_threads_that_call_pthread_exit_leave_the_heap_whole(void **state) {
    (void)state;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    for (size_t i = 0; i < 500; i++) {
        pthread_t thread;
        detached_running++;
        assert_int_equal(pthread_create(&thread, &attributes, exit_detached, NULL), 0);
        while (detached_running > 16)
            sched_yield();
    }
    while (detached_running > 0)
        sched_yield();
    pthread_attr_destroy(&attributes);
    assert_int_equal((size_t)allocate_and_free(NULL), 0);
}

static void *allocate_until_cancelled(void *unused) {
    (void)unused;
    for (;;) {
        void *block = malloc(3000);
        free(block);
        pthread_testcancel();
    }
    return NULL;
}

static void cancelled_threads_leave_the_heap_whole(void **state) {
    (void)state;
    for (size_t i = 0; i < 100; i++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, allocate_until_cancelled, NULL), 0);
        pthread_cancel(thread);
        pthread_join(thread, NULL);
    }
    assert_int_equal((size_t)allocate_and_free(NULL), 0);
}

/* glibc puts thread-locals and its own frames on the stack too: what is left must do. */
static void allocation_fits_the_smallest_stack(void **state) {
    (void)state;
    long smallest = sysconf(_SC_THREAD_STACK_MIN); /* 16 KiB on x86-64, 128 KiB on arm64 */
    size_t stack = smallest > (long)(32 * KIB) ? (size_t)smallest : 32 * KIB;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    assert_int_equal(pthread_attr_setstacksize(&attributes, stack), 0);
    for (size_t i = 0; i < 50; i++) {
        pthread_t thread;
        void *failed = NULL;
        assert_int_equal(pthread_create(&thread, &attributes, allocate_and_free, NULL), 0);
        pthread_join(thread, &failed);
        assert_null(failed);
    }
    pthread_attr_destroy(&attributes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_outlive_their_thread),
        cmocka_unit_test(realloc_of_a_dead_threads_block_keeps_its_contents),
        cmocka_unit_test(thousands_of_threads_leave_memory_flat),
        cmocka_unit_test(memory_is_flat_when_others_free_what_dead_threads_left),
        cmocka_unit_test(one_block_left_behind_does_not_keep_a_dead_threads_memory),
        cmocka_unit_test(blocks_are_freed_by_others_while_their_threads_die),
        cmocka_unit_test(destructors_of_thread_specific_data_allocate_and_free),
        cmocka_unit_test(detached_threads_that_call_pthread_exit_leave_the_heap_whole),
        cmocka_unit_test(cancelled_threads_leave_the_heap_whole),
        cmocka_unit_test(allocation_fits_the_smallest_stack),
    };
    return cmocka_run_group_tests(tests, require_numa_alloc, NULL);
}
