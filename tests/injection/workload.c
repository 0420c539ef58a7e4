/*
 * Everything the allocator does, in one lap: blocks of every kind taken, resized, freed, by threads
 * and children too, and every question asked. Calls may be refused in the first lap, by the
 * injector that watches this program; the promises are checked throughout:
 *
 *   - a refused call returns NULL with errno ENOMEM, and free keeps errno;
 *   - every block held stays as it was written;
 *   - once nothing is refused any more, the next lap gets all it asks for;
 *   - at the end no more is mapped and resident than the allocator accounts for.
 *
 *     workload lap|idle|bare [LAPS]
 *
 * `idle` waits for purging passes instead of running threads. `bare` is one lap in which nothing
 * may be refused, and no report, for a process that lacks descriptors or /proc. The others write
 * one line to descriptor 3: `refused N extra_kib N resident_kib N mappings N`, or what promise is
 * broken, and then ends with status 1. Allocates nothing but what is tested.
 */
#include "alloc/numa_alloc.h"
#include "protocol.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    KIB = 1 << 10,
    MIB = 1 << 20,
    SMALL_BLOCKS = 1200,
    SPAN_BLOCKS = 8,
    HUGE_BLOCKS = 3,
    THREADS = 3,
    THREAD_BLOCKS = 400,
    MARK_EVERY = 512 * KIB,
    ERRNO_KEPT = 77,
    CHILD_FAILED = 9,
};

static bool may_refuse = true; /* this lap's calls may fail */
static bool asks = true;       /* where statistics go is open */
static _Atomic(unsigned) refused;

/* Ends the process with the promise that does not hold. */
__attribute__((noreturn, format(printf, 1, 2))) static void broken(const char *format, ...) {
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    (void)!write(VERDICT_FD, line, (size_t)length);
    _exit(1);
}

/* --- blocks ---------------------------------------------------------------------------------- */

struct held {
    unsigned char *start; /* NULL: none */
    size_t size_bytes;
    uint64_t seed;
};

static uint64_t mark_of(const struct held *held, size_t offset) {
    return held->seed * UINT64_C(0x9e3779b97f4a7c15) + offset;
}

/* The places that are written and checked: some of the first page, one word each 512 KiB. */
static size_t mark_next(size_t offset) {
    return offset < 4 * KIB ? offset + 264 : (offset / MARK_EVERY + 1) * MARK_EVERY;
}

static void marks_write(struct held *held) {
    uint64_t mark;
    for (size_t at = 0; at + sizeof mark <= held->size_bytes; at = mark_next(at)) {
        mark = mark_of(held, at);
        memcpy(held->start + at, &mark, sizeof mark);
    }
    held->start[held->size_bytes - 1] = (unsigned char)held->seed;
}

/* `size_bytes`: how much of the block is as it was written. */
static void marks_check(const struct held *held, size_t size_bytes) {
    uint64_t mark;
    for (size_t at = 0; at + sizeof mark <= size_bytes; at = mark_next(at)) {
        memcpy(&mark, held->start + at, sizeof mark);
        /* The last byte may be within the last mark. */
        if (at + sizeof mark >= held->size_bytes)
            break;
        if (mark != mark_of(held, at))
            broken("a block of %zu bytes is not as it was written, at %zu", held->size_bytes, at);
    }
    if (size_bytes == held->size_bytes && held->start[size_bytes - 1] != (unsigned char)held->seed)
        broken("a block of %zu bytes is not as it was written, at its end", size_bytes);
}

/* Whether a call was refused, as it should be: with ENOMEM, and only where it may be. */
static bool is_refused(const void *block, const char *call, size_t size_bytes) {
    if (block != NULL)
        return false;
    if (errno != ENOMEM)
        broken("%s(%zu) returned NULL with errno %d", call, size_bytes, errno);
    if (!may_refuse)
        broken("%s(%zu) is refused though nothing is wrong any more", call, size_bytes);
    refused++;
    return true;
}

static void hold(struct held *held, void *block, size_t size_bytes, const char *call) {
    static _Atomic(uint64_t) seeds;
    *held = (struct held){NULL, size_bytes, ++seeds};
    if (is_refused(block, call, size_bytes))
        return;
    if (malloc_usable_size(block) < size_bytes)
        broken("%s(%zu) gave fewer bytes", call, size_bytes);
    held->start = block;
    marks_write(held);
    errno = 0;
}

static void take(struct held *held, size_t size_bytes) {
    errno = 0;
    hold(held, malloc(size_bytes), size_bytes, "malloc");
}

static void take_zeroed(struct held *held, size_t size_bytes) {
    errno = 0;
    unsigned char *block = calloc(1, size_bytes);
    for (size_t at = 0; block != NULL && at < size_bytes; at += at < 4 * KIB ? 1 : 65521)
        if (block[at] != 0)
            broken("calloc(%zu) is not zero at %zu", size_bytes, at);
    hold(held, block, size_bytes, "calloc");
}

static void take_aligned(struct held *held, size_t alignment, size_t size_bytes) {
    errno = 0;
    void *block = aligned_alloc(alignment, size_bytes);
    if (((uintptr_t)block & (alignment - 1)) != 0)
        broken("aligned_alloc(%zu) is not aligned", alignment);
    hold(held, block, size_bytes, "aligned_alloc");
}

static void resize(struct held *held, size_t size_bytes) {
    if (held->start == NULL) {
        take(held, size_bytes);
        return;
    }
    errno = 0;
    unsigned char *block = realloc(held->start, size_bytes);
    if (is_refused(block, "realloc", size_bytes)) {
        marks_check(held, held->size_bytes);
        return;
    }
    held->start = block;
    marks_check(held, held->size_bytes < size_bytes ? held->size_bytes : size_bytes);
    held->size_bytes = size_bytes;
    marks_write(held);
}

static void give_back(struct held *held) {
    if (held->start == NULL)
        return;
    marks_check(held, held->size_bytes);
    errno = ERRNO_KEPT;
    free(held->start);
    if (errno != ERRNO_KEPT)
        broken("free changed errno to %d", errno);
    held->start = NULL;
}

static void check_all(const struct held *blocks, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (blocks[i].start != NULL)
            marks_check(&blocks[i], blocks[i].size_bytes);
}

static void give_back_all(struct held *blocks, size_t count) {
    for (size_t i = 0; i < count; i++)
        give_back(&blocks[i]);
}

/* --- our own functions ----------------------------------------------------------------------- */

static struct {
    void *(*malloc_on)(int, size_t);
    int (*node_of)(const void *);
    enum na_resident_status (*resident)(const void *, size_t, size_t *, size_t);
    int (*stats)(struct na_stats *);
    int (*stats_json)(int);
} na;

static void find_functions(void) {
    na.malloc_on = (void *(*)(int, size_t))dlsym(RTLD_DEFAULT, "na_malloc_on");
    na.node_of = (int (*)(const void *))dlsym(RTLD_DEFAULT, "na_node_of");
    na.resident = (enum na_resident_status(*)(const void *, size_t, size_t *, size_t))dlsym(
        RTLD_DEFAULT, "na_resident");
    na.stats = (int (*)(struct na_stats *))dlsym(RTLD_DEFAULT, "na_stats");
    na.stats_json = (int (*)(int))dlsym(RTLD_DEFAULT, "na_stats_json");
    if (na.malloc_on == NULL || na.node_of == NULL || na.resident == NULL || na.stats == NULL ||
        na.stats_json == NULL)
        broken("the library is not preloaded");
}

static int scratch_fd; /* a file in memory */

/* Everything that asks rather than allocates. */
static void ask(const struct held *held) {
    size_t pages[4];
    struct na_stats stats = {.struct_bytes = sizeof stats};
    if (held->start != NULL && na.node_of(held->start) < -1)
        broken("na_node_of has no answer");
    if (held->start != NULL) {
        enum na_resident_status status = na.resident(held->start, held->size_bytes, pages, 4);
        if (status == NA_RESIDENT_INVALID || (status == NA_RESIDENT_REFUSED && !may_refuse))
            broken("na_resident answers %d", (int)status);
    }
    if (na.stats(&stats) != 0)
        broken("na_stats is refused");
    (void)mallinfo2();
    (void)!ftruncate(scratch_fd, 0);
    lseek(scratch_fd, 0, SEEK_SET);
    if (na.stats_json(scratch_fd) != 0 && !may_refuse)
        broken("na_stats_json is refused");
}

static int node; /* the lowest that has memory */

static void take_on_node(struct held *held, size_t size_bytes) {
    errno = 0;
    hold(held, na.malloc_on(node, size_bytes), size_bytes, "na_malloc_on");
}

/* --- one lap --------------------------------------------------------------------------------- */

static struct held small[SMALL_BLOCKS], spans[SPAN_BLOCKS], huge[HUGE_BLOCKS], others[4];
static struct held of_threads[THREADS][THREAD_BLOCKS];

static size_t small_size(size_t nth) {
    return nth % 20 == 0 ? 8 * KIB + nth * 47 % (56 * KIB) : 1 + nth * nth % 2500;
}

static void small_blocks(void) {
    for (size_t i = 0; i < SMALL_BLOCKS; i++)
        if (i % 7 == 0)
            take_zeroed(&small[i], small_size(i));
        else if (i % 11 == 0)
            take_aligned(&small[i], 64, small_size(i));
        else
            take(&small[i], small_size(i));
    for (size_t i = 0; i < SMALL_BLOCKS; i += 3)
        resize(&small[i], small_size(i) * 2);
    for (size_t i = 0; i < SMALL_BLOCKS; i += 2)
        give_back(&small[i]);
}

static void span_blocks(void) {
    for (size_t i = 0; i < SPAN_BLOCKS; i++)
        take(&spans[i], (size_t)(i + 1) * 700 * KIB);
    take_aligned(&others[0], 2 * MIB, 300 * KIB);
    take_zeroed(&others[1], 5 * MIB);
    take_on_node(&others[2], 3 * MIB);
    take_on_node(&others[3], 100);
    for (size_t i = 0; i < SPAN_BLOCKS; i += 2) {
        resize(&spans[i], 3 * MIB);  /* in place or not */
        resize(&spans[i], 80 * KIB); /* gives slices back */
        resize(&spans[i], 9 * MIB);
    }
    give_back(&spans[1]);
    take_zeroed(&spans[1], 1400 * KIB);
    give_back_all(others, 4);
}

/* Grown in place, moved out of the way of a mapping that follows, shrunk, kept and used again. */
static void huge_blocks(void) {
    take(&huge[0], 33 * MIB);
    resize(&huge[0], 36 * MIB);
    void *obstacle = MAP_FAILED;
    if (huge[0].start != NULL)
        obstacle = mmap(huge[0].start + malloc_usable_size(huge[0].start), 4 * KIB, PROT_NONE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    resize(&huge[0], 48 * MIB);
    if (obstacle != MAP_FAILED)
        munmap(obstacle, 4 * KIB);
    resize(&huge[0], 34 * MIB);
    take_aligned(&huge[1], 64 * MIB, 1 * MIB);
    take_zeroed(&huge[2], 40 * MIB);
    give_back(&huge[2]);
    take(&huge[2], 35 * MIB); /* the one that was kept */
    give_back(&huge[2]);
    take(&huge[2], 70 * MIB); /* kept and grown, or in place of it */
    resize(&huge[1], 40 * MIB);
    resize(&huge[1], 300 * KIB); /* to a span, by copy */
}

static void *thread_body(void *blocks_pointer) {
    struct held *blocks = blocks_pointer;
    size_t mine = (size_t)(blocks - of_threads[0]) / THREAD_BLOCKS;
    for (size_t i = mine; i < SMALL_BLOCKS; i += THREADS)
        give_back(&small[i]); /* another thread's */
    for (size_t i = 0; i < THREAD_BLOCKS; i++)
        take(&blocks[i], small_size(i * 3));
    for (size_t i = 0; i < THREAD_BLOCKS; i += 2)
        give_back(&blocks[i]);
    return NULL;
}

static void threads_and_their_blocks(void) {
    pthread_t threads[THREADS];
    bool started[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        int error = pthread_create(&threads[i], NULL, thread_body, of_threads[i]);
        started[i] = error == 0;
        /* glibc asks us for the thread's own variables. */
        if (!started[i] && (error != EAGAIN || !may_refuse))
            broken("pthread_create: errno %d", error);
        refused += !started[i];
    }
    for (size_t i = 0; i < THREADS; i++)
        if (started[i])
            pthread_join(threads[i], NULL);
        else
            thread_body(of_threads[i]);
    for (size_t i = 0; i < THREADS; i++)
        check_all(of_threads[i], THREAD_BLOCKS);
}

/* A child has the parent's blocks, and takes and frees its own. */
static void child_and_its_blocks(void) {
    pid_t child = fork();
    if (child < 0)
        broken("fork: errno %d", errno);
    if (child == 0) {
        struct held mine[4];
        for (size_t i = 0; i < 4; i++)
            take(&mine[i], (size_t)20 << (i * 6));
        check_all(huge, HUGE_BLOCKS);
        check_all(of_threads[0], THREAD_BLOCKS);
        give_back_all(of_threads[0], THREAD_BLOCKS);
        give_back_all(mine, 4);
        _exit(0);
    }
    int status;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    if (status == 1 << 8)
        _exit(1); /* it has said why */
    if (status != 0)
        broken("a forked child ends with status %d", status);
}

/* Two passes of purging find what is free, and somebody to do it. */
static void idle(void) {
    for (int pass = 0; pass < 3; pass++) {
        usleep(110 * 1000);
        take(&others[0], 100 * KIB);
        give_back(&others[0]);
    }
}

static void lap(bool idles) {
    small_blocks();
    if (asks)
        ask(&small[1]);
    span_blocks();
    huge_blocks();
    check_all(small, SMALL_BLOCKS);
    if (idles) {
        give_back_all(small, SMALL_BLOCKS);
        give_back_all(spans, SPAN_BLOCKS);
        give_back_all(huge, HUGE_BLOCKS);
        idle();
    } else {
        threads_and_their_blocks();
        child_and_its_blocks();
    }
    check_all(spans, SPAN_BLOCKS);
    check_all(huge, HUGE_BLOCKS);
    malloc_trim(0);
    for (size_t i = 0; i < THREADS; i++)
        give_back_all(of_threads[i], THREAD_BLOCKS);
    give_back_all(small, SMALL_BLOCKS);
    give_back_all(spans, SPAN_BLOCKS);
    give_back_all(huge, HUGE_BLOCKS);
    malloc_trim(0);
}

/* --- what is left ---------------------------------------------------------------------------- */

static char text[1 << 16];

static size_t read_text(int fd) {
    size_t length = 0;
    ssize_t got;
    while ((got = read(fd, text + length, sizeof text - 1 - length)) > 0)
        length += (size_t)got;
    text[length] = '\0';
    return length;
}

static size_t read_file(const char *path) {
    int fd = open(path, O_RDONLY);
    size_t length = fd < 0 ? 0 : read_text(fd);
    close(fd);
    return length;
}

/* The sum of the numbers that follow a name in the statistics. */
static size_t sum_of(const char *name) {
    size_t sum = 0;
    for (const char *at = text; (at = strstr(at, name)) != NULL;) {
        at += strlen(name);
        sum += strtoul(at, NULL, 10);
    }
    return sum;
}

static size_t mappings_now(void) {
    char chunk[4096];
    size_t lines = 0;
    ssize_t got;
    int fd = open("/proc/self/maps", O_RDONLY);
    while ((got = read(fd, chunk, sizeof chunk)) > 0)
        for (ssize_t i = 0; i < got; i++)
            lines += chunk[i] == '\n';
    close(fd);
    return lines;
}

/* Mapped beyond what the statistics account for, and resident. */
static void report(void) {
    char line[128];
    (void)!ftruncate(scratch_fd, 0);
    lseek(scratch_fd, 0, SEEK_SET);
    if (na.stats_json(scratch_fd) != 0)
        broken("na_stats_json is refused though nothing is wrong any more");
    lseek(scratch_fd, 0, SEEK_SET);
    read_text(scratch_fd);
    size_t known =
        sum_of("\"arena_bytes\": ") + sum_of("\"kept_bytes\": ") + sum_of("\"metadata_bytes\": ");
    if (sum_of("\"live_bytes\": ") > 2 * MIB)
        broken("%zu bytes are live at the end", sum_of("\"live_bytes\": "));
    if (read_file("/proc/self/statm") == 0)
        broken("/proc/self/statm cannot be read");
    char *end;
    size_t mapped = strtoul(text, &end, 10) * 4096, resident = strtoul(end, NULL, 10) * 4096;
    int length =
        snprintf(line, sizeof line, "refused %u extra_kib %zd resident_kib %zu mappings %zu",
                 refused, ((ssize_t)mapped - (ssize_t)known) / KIB, resident / KIB, mappings_now());
    (void)!write(VERDICT_FD, line, (size_t)length);
}

int main(int argc, char **argv) {
    bool idles = argc > 1 && strcmp(argv[1], "idle") == 0;
    int laps = argc > 2 ? atoi(argv[2]) : 2;
    find_functions();
    scratch_fd = -1;
    if (argc > 1 && strcmp(argv[1], "bare") == 0) {
        asks = may_refuse = false;
        lap(false);
        return 0;
    }
    scratch_fd = memfd_create("statistics", 0);
    if (read_file("/sys/devices/system/node/has_memory") != 0)
        node = atoi(text);
    for (int i = 0; i < laps; i++) {
        lap(idles);
        if (i == 0)
            (void)prctl(MARK_CLOSE, 0, 0, 0, 0);
        may_refuse = false;
    }
    report();
    (void)prctl(MARK_OPEN, 0, 0, 0, 0); /* the statistics at exit */
    return 0;
}
