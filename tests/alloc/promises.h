/*
 * Shared by the black-box tests of the allocator's promises.
 *
 * Each program runs with the allocator preloaded:
 *     LD_PRELOAD=$PWD/alloc/numa_alloc.so build/tests/alloc/test_errno
 * and refuses to run with another one, unless TEST_ANY_ALLOCATOR=1 says that another allocator is
 * to be tried by the same measure.
 */
#ifndef TESTS_ALLOC_PROMISES_H
#define TESTS_ALLOC_PROMISES_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    KIB = 1024,
    MIB = 1024 * 1024,
    PAGE_BYTES = 4096,
    CHILD_LIMIT_SECONDS = 120, /* a child that hangs is ended by SIGALRM; an emulator is slow */
};

/* A number the compiler cannot see through: it would warn of absurd sizes, which are the point. */
static inline size_t opaque(size_t value) {
    volatile size_t hidden = value;
    return hidden;
}

/* A pointer likewise: after a refused realloc the old block is still good, which is the point. */
static inline void *opaque_pointer(void *pointer) {
    void *volatile hidden = pointer;
    return hidden;
}

/* Whether the allocator judges each block: NUMA_ALLOC_CHECKS=on. */
static inline bool checks_are_on(void) {
    const char *checks = getenv("NUMA_ALLOC_CHECKS");
    return checks != NULL && strcmp(checks, "on") == 0;
}

/* True when the address lies in a file whose base name is `base_name`. */
static inline bool lies_in(const void *address, const char *base_name) {
    Dl_info info;
    if (address == NULL || dladdr(address, &info) == 0 || info.dli_fname == NULL)
        return false;
    const char *slash = strrchr(info.dli_fname, '/');
    return strcmp(slash ? slash + 1 : info.dli_fname, base_name) == 0;
}

/* Whether another allocator than ours may be tested: see the top of this file. */
static inline bool any_allocator(void) {
    return getenv("TEST_ANY_ALLOCATOR") != NULL;
}

/* Group set-up: a test of some other library's malloc would prove nothing, so it is a failure. */
static inline int require_numa_alloc(void **state) {
    (void)state;
    if (any_allocator() || lies_in((const void *)malloc, "numa_alloc.so"))
        return 0;
    printf("not ok 0 - malloc_comes_from_numa_alloc\n# LD_PRELOAD=%s\n",
           getenv("LD_PRELOAD") ? getenv("LD_PRELOAD") : "(unset)");
    fflush(stdout);
    exit(1);
}

/* A function by name, as a program linked with it would find it; NULL when nobody defines it. */
static inline void *entry_point(const char *name) {
    return dlsym(RTLD_DEFAULT, name);
}

/* --- Contents --------------------------------------------------------------------------------- */

/* A pattern is dense at the start and sparse after, so that large blocks stay cheap to check. */
static inline size_t pattern_next(size_t offset) {
    return offset < PAGE_BYTES ? offset + 1 : offset + 509;
}

static inline unsigned char pattern_byte(uint64_t seed, size_t offset) {
    return (unsigned char)(seed * 31 + offset * 167 + (offset >> 8) + 1);
}

/* Writes the pattern of `seed`; the last byte is always written. */
static inline void pattern_write(void *block, size_t size_bytes, uint64_t seed) {
    unsigned char *bytes = block;
    for (size_t offset = 0; offset < size_bytes; offset = pattern_next(offset))
        bytes[offset] = pattern_byte(seed, offset);
    if (size_bytes > 0)
        bytes[size_bytes - 1] = pattern_byte(seed, size_bytes - 1);
}

/* True when the first `size_bytes` of a block written with at least that size are as written. */
static inline bool pattern_prefix_holds(const void *block, size_t size_bytes, uint64_t seed) {
    const unsigned char *bytes = block;
    for (size_t offset = 0; offset < size_bytes; offset = pattern_next(offset))
        if (bytes[offset] != pattern_byte(seed, offset))
            return false;
    return true;
}

/* True when a block written with exactly this size is as written, last byte included. */
static inline bool pattern_holds(const void *block, size_t size_bytes, uint64_t seed) {
    const unsigned char *bytes = block;
    return pattern_prefix_holds(block, size_bytes, seed) &&
           (size_bytes == 0 || bytes[size_bytes - 1] == pattern_byte(seed, size_bytes - 1));
}

static inline bool is_aligned(const void *block, size_t alignment_bytes) {
    return ((uintptr_t)block & (alignment_bytes - 1)) == 0;
}

/* --- Chance ----------------------------------------------------------------------------------- */

/* xorshift64*: Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled",
 * ACM TOMS 42 (2016). The state must not be 0. */
static inline uint64_t random_next(uint64_t *random) {
    *random ^= *random >> 12;
    *random ^= *random << 25;
    *random ^= *random >> 27;
    return *random * UINT64_C(2685821657736338717);
}

/* Mostly small, now and then large, as in programs: up to 64 B, 1 KiB, 32 KiB, rarely 1 MiB. */
static inline size_t random_size(uint64_t *random) {
    uint64_t draw = random_next(random) >> 16;
    uint64_t kind = draw % 1000;
    draw /= 1000;
    if (kind < 600)
        return draw % 65;
    if (kind < 930)
        return draw % 1025;
    if (kind < 995)
        return draw % (32 * KIB + 1);
    return draw % (MIB + 1);
}

/* --- The process ------------------------------------------------------------------------------ */

/* Reads the beginning of a file without allocating. False when there is nothing to read. */
static inline bool read_beginning(const char *path, char *text, size_t capacity) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, text, capacity - 1);
    if (fd >= 0)
        close(fd);
    text[length > 0 ? length : 0] = '\0';
    return length > 0;
}

/* Resident memory, read without allocating. */
static inline size_t resident_bytes(void) {
    char text[128];
    if (!read_beginning("/proc/self/statm", text, sizeof text))
        return 0;
    const char *resident = strchr(text, ' ');
    return resident ? strtoul(resident, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE) : 0;
}

/* Lowest node with memory, which is where the default policy binds; without sysfs, node 0. */
static inline int lowest_node(void) {
    int node = 0;
    FILE *file = fopen("/sys/devices/system/node/has_memory", "r");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%d", &node) != 1)
        node = 0;
    fclose(file);
    return node;
}

/* Makes a forked child die of what kills it: cmocka's handlers would jump back into the tests. */
static inline void become_child(void) {
    const int signals[] = {SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGSYS, SIGALRM};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        signal(signals[i], SIG_DFL);
    alarm(CHILD_LIMIT_SECONDS);
}

/* Runs `body` in a forked child; returns its exit status, or minus the signal that ended it. */
static inline int in_child(int (*body)(void *), void *argument) {
    fflush(NULL);
    pid_t child = fork();
    if (child < 0)
        return -1000;
    if (child == 0) {
        become_child();
        _exit(body(argument));
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* What one run of this program in another role ended with. */
struct run {
    int status; /* exit status, or minus the signal that ended it */
    char out[1024], err[4096];
};

/* Runs this program again as `ROLE [ARGUMENT]`, so that the library starts afresh. `prepare`, if
 * any, is called with `settings` in the new process before it becomes the program. */
static inline void run_self(struct run *run, const char *role, const char *argument,
                            void (*prepare)(const void *), const void *settings) {
    FILE *files[2] = {tmpfile(), tmpfile()};
    char *texts[2] = {run->out, run->err};
    const size_t capacities[2] = {sizeof run->out, sizeof run->err};
    assert_true(files[0] != NULL && files[1] != NULL);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        become_child();
        dup2(fileno(files[0]), 1);
        dup2(fileno(files[1]), 2);
        if (prepare != NULL)
            prepare(settings);
        execl("/proc/self/exe", "test", role, argument, (char *)NULL);
        _exit(99);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    run->status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    for (int i = 0; i < 2; i++) {
        rewind(files[i]);
        texts[i][fread(texts[i], 1, capacities[i] - 1, files[i])] = '\0';
        fclose(files[i]);
    }
}

/* --- Threads ---------------------------------------------------------------------------------- */

/* cmocka's asserts jump to the main thread's stack: threads return how many checks failed. */
static inline size_t run_threads(size_t count, void *(*body)(void *), void *argument) {
    pthread_t threads[256];
    size_t failures = 0, started = 0;
    for (; started < count && started < 256; started++)
        if (pthread_create(&threads[started], NULL, body, argument) != 0)
            break;
    failures += count - started;
    for (size_t i = 0; i < started; i++) {
        void *failed = NULL;
        pthread_join(threads[i], &failed);
        failures += (size_t)failed;
    }
    return failures;
}

/* Runs `body` in one other thread and waits for it; returns how many checks failed there. */
static inline size_t in_thread(void *(*body)(void *), void *argument) {
    return run_threads(1, body, argument);
}

#endif
