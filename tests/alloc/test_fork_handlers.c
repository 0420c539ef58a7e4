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

/* --- The C library's streams ------------------------------------------------------------------ */

/* A stream is held while a line of it is put into memory. */
static void *read_lines_until_stopped(void *unused) {
    FILE *zeros = fopen("/dev/zero", "r");
    while (!stop && zeros != NULL) {
        char *line = NULL;
        flockfile(zeros);
        for (size_t size = 16; size < 2 * MIB; size *= 2) {
            line = realloc(line, size);
            line[fread(line, 1, size - 1, zeros)] = 0;
        }
        funlockfile(zeros);
        free(line);
    }
    if (zeros != NULL)
        fclose(zeros);
    return unused;
}

static void *flush_until_stopped(void *unused) {
    while (!stop)
        fflush(NULL);
    return unused;
}

static void forks_while_streams_are_flushed(void) {
    enum { READERS = 3, STREAM_FORKS = 15 };
    pthread_t threads[READERS + 1];
    alarm(CHILD_LIMIT_SECONDS);
    stop = false;
    for (size_t i = 0; i <= READERS; i++)
        if (pthread_create(&threads[i], NULL,
                           i == 0 ? flush_until_stopped : read_lines_until_stopped, NULL) != 0)
            _exit(2);
    for (unsigned i = 0; i < STREAM_FORKS; i++) {
        pid_t child = fork();
        if (child == 0) {
            alarm(CHILD_LIMIT_SECONDS);
            _exit(fflush(NULL) == 0 && fclose(fopen("/dev/null", "w")) == 0 ? 0 : 1);
        }
        int status;
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
            _exit(3);
    }
    _exit(0);
}

static void fork_does_not_wait_for_a_flush_that_waits_for_memory(void **state) {
    (void)state;
    int status;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        forks_while_streams_are_flushed();
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handlers_allocate_before_and_after_fork),
        cmocka_unit_test(a_handler_may_wait_for_a_thread_that_allocates),
        cmocka_unit_test(fork_does_not_wait_for_a_flush_that_waits_for_memory),
    };
    return cmocka_run_group_tests(tests, require_numa_alloc, NULL);
}
