/* fork of a threaded process: the child, which has one thread, allocates at once. */
#include "promises.h"

enum { THREADS = 3, FORKS = 100, SHARED = 64 };

/* Blocks of the allocating threads, for the main thread and its children to look at. */
static _Atomic(void *) shared_blocks[SHARED];
static atomic_bool stop;

static void *allocate_until_stopped(void *seed) {
    uint64_t random = 1 + (uintptr_t)seed;
    size_t failures = 0;
    while (!stop) {
        size_t size = sizeof(size_t) + random_size(&random);
        size_t *block = malloc(size);
        if (block == NULL)
            return (void *)1;
        *block = size;
        pattern_write(block + 1, size - sizeof size, size);
        size_t *old =
            atomic_exchange(&shared_blocks[random_next(&random) >> 32 & (SHARED - 1)], block);
        if (old != NULL)
            failures += !pattern_holds(old + 1, *old - sizeof size, *old);
        free(old);
    }
    return (void *)failures;
}

static void start_threads(pthread_t threads[THREADS]) {
    stop = false;
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, allocate_until_stopped, (void *)(i * 1000)), 0);
}

static void stop_threads(pthread_t threads[THREADS]) {
    stop = true;
    for (size_t i = 0; i < THREADS; i++) {
        void *failed = NULL;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
}

/* Checks and frees every block that the parent's threads had handed over at the fork. */
static int free_shared_blocks(void *unused) {
    (void)unused;
    int failures = 0;
    for (size_t i = 0; i < SHARED; i++) {
        size_t *block = atomic_exchange(&shared_blocks[i], NULL);
        if (block != NULL)
            failures |= !pattern_holds(block + 1, *block - sizeof(size_t), *block);
        free(block);
    }
    return failures;
}

static int allocate_every_size(void *unused) {
    (void)unused;
    void *blocks[64];
    for (size_t round = 0; round < 2; round++) {
        for (size_t i = 0; i < 64; i++) {
            size_t size = (size_t)1 << i % 17;
            blocks[i] = malloc(size);
            if (blocks[i] == NULL)
                return 2;
            pattern_write(blocks[i], size, i);
        }
        for (size_t i = 0; i < 64; i++) {
            if (!pattern_holds(blocks[i], (size_t)1 << i % 17, i))
                return 3;
            free(blocks[i]);
        }
    }
    return 0;
}

static void the_child_of_a_threaded_process_allocates_at_once(void **state) {
    (void)state;
    pthread_t threads[THREADS];
    start_threads(threads);
    for (size_t i = 0; i < FORKS; i++)
        assert_int_equal(in_child(allocate_every_size, NULL), 0);
    stop_threads(threads);
}

static void the_child_frees_blocks_of_threads_it_does_not_have(void **state) {
    (void)state;
    pthread_t threads[THREADS];
    start_threads(threads);
    for (size_t i = 0; i < FORKS / 2; i++)
        assert_int_equal(in_child(free_shared_blocks, NULL), 0);
    stop_threads(threads);
    assert_int_equal(free_shared_blocks(NULL), 0);
}

static int realloc_shared_blocks(void *unused) {
    (void)unused;
    for (size_t i = 0; i < SHARED; i++) {
        size_t *block = atomic_exchange(&shared_blocks[i], NULL);
        if (block == NULL)
            continue;
        size_t size = *block;
        block = realloc(block, size + 100 * KIB);
        if (block == NULL || !pattern_prefix_holds(block + 1, size - sizeof size, size))
            return 1;
        free(block);
    }
    return 0;
}

static void the_child_reallocs_blocks_of_threads_it_does_not_have(void **state) {
    (void)state;
    pthread_t threads[THREADS];
    start_threads(threads);
    for (size_t i = 0; i < FORKS / 4; i++)
        assert_int_equal(in_child(realloc_shared_blocks, NULL), 0);
    stop_threads(threads);
    assert_int_equal(free_shared_blocks(NULL), 0);
}

static int run_own_threads(void *unused) {
    (void)unused;
    pthread_t threads[THREADS];
    stop = false;
    for (size_t i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, allocate_until_stopped, (void *)(i + 77)) != 0)
            return 1;
    int failures = allocate_every_size(NULL);
    stop = true;
    for (size_t i = 0; i < THREADS; i++) {
        void *failed = NULL;
        pthread_join(threads[i], &failed);
        failures |= failed != NULL;
    }
    return failures | free_shared_blocks(NULL);
}

static void the_child_runs_threads_of_its_own(void **state) {
    (void)state;
    pthread_t threads[THREADS];
    start_threads(threads);
    for (size_t i = 0; i < FORKS / 4; i++)
        assert_int_equal(in_child(run_own_threads, NULL), 0);
    stop_threads(threads);
    assert_int_equal(free_shared_blocks(NULL), 0);
}

static int fork_again(void *depth) {
    int failures = allocate_every_size(NULL);
    if ((uintptr_t)depth > 0)
        failures |= in_child(fork_again, (void *)((uintptr_t)depth - 1)) != 0;
    return failures | allocate_every_size(NULL);
}

static void children_of_children_allocate(void **state) {
    (void)state;
    assert_int_equal(in_child(fork_again, (void *)8), 0);
}

static int overwrite(void *block) {
    memset(block, 0xff, 5000);
    free(block);
    return allocate_every_size(NULL);
}

static void what_the_child_writes_and_frees_stays_in_the_child(void **state) {
    (void)state;
    for (size_t size = 5000; size < 20 * MIB; size *= 8) {
        void *block = malloc(size);
        assert_non_null(block);
        pattern_write(block, size, 44);
        assert_int_equal(in_child(overwrite, block), 0);
        assert_true(pattern_holds(block, size, 44));
        free(block);
    }
}

/* --- Handlers of pthread_atfork --------------------------------------------------------------- */

static void *in_handlers[3];

static void allocate_before_fork(void) {
    in_handlers[0] = malloc(333);
}
static void allocate_in_parent(void) {
    in_handlers[1] = malloc(333);
    free(in_handlers[0]);
}
static void allocate_in_child(void) {
    in_handlers[2] = malloc(333);
    free(in_handlers[0]);
}

static int child_handler_ran(void *unused) {
    (void)unused;
    int failures = in_handlers[2] == NULL;
    free(in_handlers[2]);
    return failures;
}

/* Handlers cannot be taken back: they stay for the rest of the file. */
static void atfork_handlers_may_allocate(void **state) {
    (void)state;
    assert_int_equal(pthread_atfork(allocate_before_fork, allocate_in_parent, allocate_in_child),
                     0);
    pthread_t threads[THREADS];
    start_threads(threads);
    for (size_t i = 0; i < FORKS / 4; i++) {
        assert_int_equal(in_child(child_handler_ran, NULL), 0);
        assert_non_null(in_handlers[1]);
        free(in_handlers[1]);
    }
    stop_threads(threads);
    assert_int_equal(free_shared_blocks(NULL), 0);
}

static void programs_started_while_threads_allocate_run(void **state) {
    (void)state;
    pthread_t threads[THREADS];
    start_threads(threads);
    for (size_t i = 0; i < 15; i++) {
        char text[32] = "";
        FILE *shell = popen("echo from the shell", "r");
        assert_non_null(shell);
        assert_non_null(fgets(text, sizeof text, shell));
        assert_int_equal(pclose(shell), 0);
        assert_string_equal(text, "from the shell\n");
    }
    stop_threads(threads);
    assert_int_equal(free_shared_blocks(NULL), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_child_of_a_threaded_process_allocates_at_once),
        cmocka_unit_test(the_child_frees_blocks_of_threads_it_does_not_have),
        cmocka_unit_test(the_child_reallocs_blocks_of_threads_it_does_not_have),
        cmocka_unit_test(the_child_runs_threads_of_its_own),
        cmocka_unit_test(children_of_children_allocate),
        cmocka_unit_test(what_the_child_writes_and_frees_stays_in_the_child),
        cmocka_unit_test(atfork_handlers_may_allocate),
        cmocka_unit_test(programs_started_while_threads_allocate_run),
    };
    return cmocka_run_group_tests(tests, require_numa_alloc, NULL);
}
