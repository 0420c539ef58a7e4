/* Fork handlers of other libraries allocate while the allocator holds its locks across the fork.
 * They are registered from .preinit_array, before any constructor, so that they run on the inside.
 */
#include "promises.h"

enum { BLOCKS = 500, FORKS = 30 };

static _Atomic(unsigned) handler_runs;

/* Pages, spans and one mapping of its own. */
static void allocate_and_free(void) {
    static void *blocks[BLOCKS];
    for (size_t i = 0; i < BLOCKS; i++) {
        size_t size = i == 0 ? 40 * MIB : 50 + i * 977 % (3 * MIB);
        blocks[i] = malloc(size);
        if (blocks[i] == NULL)
            abort();
        memset(blocks[i], 1, 50);
    }
    for (size_t i = 0; i < BLOCKS; i++)
        free(blocks[i]);
    handler_runs++;
}

static void register_early(void) {
    pthread_atfork(allocate_and_free, allocate_and_free, allocate_and_free);
}

__attribute__((section(".preinit_array"),
               used)) static void (*const preinit)(void) = register_early;

static _Atomic(bool) stop;

static void *allocate_until_stopped(void *unused) {
    while (!stop) {
        free(malloc(70000));
        free(malloc(100));
    }
    return unused;
}

static void handlers_allocate_before_and_after_fork(void **state) {
    (void)state;
    pthread_t other;
    stop = false;
    handler_runs = 0;
    assert_int_equal(pthread_create(&other, NULL, allocate_until_stopped, NULL), 0);
    for (unsigned i = 0; i < FORKS; i++) {
        pid_t child = fork();
        if (child == 0) {
            alarm(CHILD_LIMIT_SECONDS);
            allocate_and_free();
            _exit(0);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
    stop = true;
    assert_int_equal(pthread_join(other, NULL), 0);
    assert_int_equal(handler_runs, 2 * FORKS);
}

/* --- Another library's lock ---------------------------------------------------------------------
 */

static pthread_mutex_t lock_of_a_library = PTHREAD_MUTEX_INITIALIZER;

static void take_the_library_s_lock(void) {
    pthread_mutex_lock(&lock_of_a_library);
}

static void release_the_library_s_lock(void) {
    pthread_mutex_unlock(&lock_of_a_library);
}

/* As a library loaded before would: from a constructor. */
__attribute__((constructor)) static void register_in_a_constructor(void) {
    pthread_atfork(take_the_library_s_lock, release_the_library_s_lock, release_the_library_s_lock);
}

static void *allocate_under_the_lock(void *unused) {
    while (!stop) {
        pthread_mutex_lock(&lock_of_a_library);
        free(malloc(200000));
        pthread_mutex_unlock(&lock_of_a_library);
    }
    return unused;
}

/* The handler waits for a lock whose holder allocates: ours must not be held yet. */
static void a_handler_may_wait_for_a_thread_that_allocates(void **state) {
    (void)state;
    pthread_t other;
    stop = false;
    alarm(CHILD_LIMIT_SECONDS);
    assert_int_equal(pthread_create(&other, NULL, allocate_under_the_lock, NULL), 0);
    for (unsigned i = 0; i < 200; i++) {
        pid_t child = fork();
        if (child == 0)
            _exit(0);
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
    }
    stop = true;
    assert_int_equal(pthread_join(other, NULL), 0);
    alarm(0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handlers_allocate_before_and_after_fork),
        cmocka_unit_test(a_handler_may_wait_for_a_thread_that_allocates),
    };
    return cmocka_run_group_tests(tests, require_numa_alloc, NULL);
}
