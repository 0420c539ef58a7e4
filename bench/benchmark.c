/* The smallest demonstration of remote memory: allocate, write, walk, and show where the pages are;
 * with --watch also where they go while it walks on.
 *
 * Needs libc only and builds alone, in this folder: gcc -o benchmark benchmark.c
 * Run it as: LD_PRELOAD=../alloc/numa_alloc.so taskset -c CPU ./benchmark
 */
#define _GNU_SOURCE 1

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "lib/clock.c"
#include "lib/options.c"
#include "lib/placement.c"
#include "lib/ring.c"
#include "lib/units.c"
#include "lib/watch_pages.c"

/* 65,536 pages of 4 KiB, and beyond most caches. */
#define DEFAULT_SIZE_BYTES ((uint64_t)256 << 20)

/* A quarter of a second on most machines; of 256 MiB, one load to each 256 bytes. */
#define WALK_LOADS ((size_t)1 << 20)

#define RING_SEED 1

/* Loads between two looks at the keyboard: under 10 ms even in an emulator that takes 2 us a load.
 */
#define WATCH_LOADS ((size_t)4096)

struct request {
    struct option_value size, no_wait, watch, watch_ms, help;
};

/* Returns true to go on; otherwise *status is the exit status. */
static bool read_options(int argc, char **argv, struct request *request, int *status) {
    const struct option_row rows[] = {
        {"size", "SIZE", "bytes to allocate (default: 256M, 65,536 pages of 4 KiB)", OPTION_SIZE,
         4096, RING_MAX_BYTES, &request->size},
        {"no-wait", NULL, "do not wait for Enter; a --watch then goes on until Ctrl-C or SIGTERM",
         OPTION_FLAG, 0, 0, &request->no_wait},
        {"watch", NULL,
         "while waiting walk on, and show the pages on each node as they move: by\n"
         "migratepages from a second terminal, or by NUMA balancing where the walk is on\n"
         "a CPU of another node",
         OPTION_FLAG, 0, 0, &request->watch},
        {"watch-ms", "MS",
         "milliseconds from one look to the next (default: 1000); implies --watch", OPTION_COUNT,
         10, 3600000, &request->watch_ms},
        {"help", NULL, "this text", OPTION_FLAG, 0, 0, &request->help},
    };
    size_t count = sizeof rows / sizeof rows[0];
    char error[OPTIONS_ERROR];
    if (!options_parse(rows, count, argc, argv, error)) {
        fprintf(stderr, "benchmark: %s\n", error);
        *status = 2;
        return false;
    }
    if (!request->help.given)
        return true;
    puts("Usage: bench/benchmark [OPTION...]\n"
         "Allocates memory with malloc, writes every page, walks it in random order, shows where\n"
         "the kernel put it, and waits for Enter so that a second terminal can look too.\n"
         "  write: time to write every byte for the first time, page faults included; 1 GB = 1e9\n"
         "  walk:  ns a load; each load's address is what the load before it read, so this is the\n"
         "         number that grows on a CPU far from the memory (taskset -c CPU)\n"
         "\n"
         "Options (SIZE takes K, M, G, 1024-based):");
    options_help(stdout, rows, count);
    puts("\nExit status: 0 done, 1 could not measure, 2 bad usage.");
    *status = fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
    return false;
}

static void write_every_page(void *memory, size_t size_bytes) {
    uint64_t started_ns = clock_ns();
    memset(memory, 1, size_bytes);
    /* Or the compiler may drop a write that only the ring overwrites. */
    __asm__ volatile("" : : "r"(memory) : "memory");
    double seconds = (double)(clock_ns() - started_ns) / 1e9;
    printf("write: %.1f ms, %.2f GB/s\n", seconds * 1e3, (double)size_bytes / seconds / 1e9);
}

/* Walks one ring through the memory; *end is where it stopped, on the ring. Returns 0, or the errno
 * for which it cannot be laid. */
static int walk(void *memory, size_t size_bytes, void ***end) {
    void *aligned =
        (void *)(((uintptr_t)memory + RING_SLOT_BYTES - 1) & ~(uintptr_t)(RING_SLOT_BYTES - 1));
    size_t ring_bytes = size_bytes - (size_t)((char *)aligned - (char *)memory);
    struct ring ring;
    int error = ring_build(&ring, aligned, ring_bytes, RING_SEED);
    if (error != 0)
        return error;
    uint64_t started_ns = clock_ns();
    *end = ring_chase(ring.starts[0], WALK_LOADS);
    uint64_t elapsed_ns = clock_ns() - started_ns;
    __asm__ volatile("" : : "r"(*end)); /* the use without which the loads may be dropped */
    printf("walk:  %.1f ns a load (%zu dependent loads in random order)\n",
           (double)elapsed_ns / (double)WALK_LOADS, WALK_LOADS);
    return 0;
}

/* What to type in a second terminal: the mappings the block lies in, when /proc lists them. */
static void print_commands(const void *memory, size_t size_bytes, bool watched) {
    uintptr_t starts[8];
    size_t count = 0;
    FILE *numa_maps = fopen("/proc/self/numa_maps", "re");
    if (numa_maps != NULL) {
        count = placement_mappings(numa_maps, (uintptr_t)memory, size_bytes, starts, 8);
        fclose(numa_maps);
    }
    printf("In a second terminal:\n  grep -E '");
    if (count == 0 || count > 8)
        printf("N[0-9]+=[0-9]{4,}"); /* every mapping with at least 1000 pages on a node */
    else
        for (size_t i = 0; i < count; i++)
            printf("%s%lx", i == 0 ? "^(" : "|", (unsigned long)starts[i]);
    printf("%s' /proc/%d/numa_maps\n  numastat -p %d\n", count == 0 || count > 8 ? "" : ") ",
           getpid(), getpid());
    if (watched)
        printf("  migratepages %d FROM TO   (NUMA balancing is %s)\n", getpid(),
               placement_balancing_is_on(PLACEMENT_BALANCING_FILE) ? "on" : "off, or not there");
}

static void print_placement(const void *memory, size_t size_bytes) {
    static struct placement where;
    placement_ask(memory, size_bytes, &where);
    printf("pages: ");
    if (where.source == PLACEMENT_NOT_TOLD) {
        printf("unverified (move_pages: %s; /proc/self/numa_maps: not readable)\n",
               strerror(where.error));
        return;
    }
    for (size_t node = 0; node < PLACEMENT_NODES; node++)
        if (where.on_node[node] > 0)
            printf("N%zu=%llu ", node, (unsigned long long)where.on_node[node]);
    if (where.nowhere > 0)
        printf("nowhere=%llu ", (unsigned long long)where.nowhere);
    puts(where.source == PLACEMENT_PAGE_BY_PAGE
             ? "(the kernel's answer, page by page)"
             : "(/proc/self/numa_maps, whole mappings: move_pages is refused here)");
}

/* Until Enter or the end of input. */
static void wait_for_enter(void) {
    int key;
    printf("Press Enter to free the memory and end.\n");
    fflush(stdout);
    do
        key = getchar();
    while (key != '\n' && key != EOF);
}

/* Whether Enter, the end of input, Ctrl-C or SIGTERM has come. */
static bool is_to_end(struct pollfd waiting[2]) {
    char keys[256];
    if (poll(waiting, 2, 0) <= 0)
        return false;
    if (waiting[1].revents != 0)
        return true;
    ssize_t count = read(waiting[0].fd, keys, sizeof keys);
    if (count < 0)
        return errno != EINTR && errno != EAGAIN;
    return count == 0 || memchr(keys, '\n', (size_t)count) != NULL;
}

/* Walks on from *at for a while, or until it is to end, and returns ns a load. */
static double walk_on(void ***at, uint64_t while_ns, struct pollfd waiting[2], bool *ends) {
    uint64_t loads = 0, walked_ns = 0, began_ns = clock_ns(), now_ns = began_ns;
    while (!(*ends = is_to_end(waiting)) && now_ns - began_ns < while_ns) {
        uint64_t started_ns = clock_ns();
        *at = ring_chase(*at, WATCH_LOADS);
        __asm__ volatile("" : : "r"(*at));
        now_ns = clock_ns();
        walked_ns += now_ns - started_ns;
        loads += WATCH_LOADS;
    }
    return loads > 0 ? (double)walked_ns / (double)loads : 0;
}

static void show(struct watch_pages *watch, const struct watch_pages_walk *walk) {
    struct winsize window;
    const char *terminal = getenv("TERM");
    bool rewrites = isatty(STDOUT_FILENO) && terminal != NULL && strcmp(terminal, "dumb") != 0;
    if (rewrites && ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0)
        watch_pages_rewrite(watch, walk, stdout, window.ws_col, window.ws_row);
    else
        watch_pages_line(watch, walk, stdout);
    fflush(stdout);
}

/* Shows where the pages are, again and again, until it is to end. Returns the exit status. */
static int watch_on(const struct request *request, const void *memory, void **at) {
    static struct watch_pages watch;
    struct watch_pages_walk walk = {.load_ns = 0};
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    struct pollfd waiting[2] = {
        {.fd = request->no_wait.given ? -1 : STDIN_FILENO, .events = POLLIN},
        {.fd = signalfd(-1, &signals, SFD_CLOEXEC), .events = POLLIN},
    };
    if (waiting[1].fd >= 0) /* or a signal would neither end the program nor be seen */
        sigprocmask(SIG_BLOCK, &signals, NULL);
    FILE *nodes = fopen(WATCH_PAGES_NODES_FILE, "re");
    if (nodes != NULL) {
        watch_pages_show_nodes(&watch, nodes);
        fclose(nodes);
    }
    printf("Press %s to free the memory and end.\n", request->no_wait.given ? "Ctrl-C" : "Enter");
    uint64_t started_ns = clock_ns();
    for (bool ends = false; !ends && !ferror(stdout);) {
        int error = watch_pages_look(&watch, memory, request->size.value);
        if (error != 0) {
            fprintf(stderr, "benchmark: --watch: the kernel does not say where the pages are: %s\n",
                    strerror(error));
            return 1;
        }
        walk.elapsed_s = (double)(clock_ns() - started_ns) / 1e9;
        if (getcpu(&walk.cpu, &walk.node) != 0)
            walk.load_ns = 0;
        show(&watch, &walk);
        walk.load_ns = walk_on(&at, request->watch_ms.value * 1000000, waiting, &ends);
    }
    return 0;
}

/* Writes, walks and shows the memory. Returns the exit status. */
static int demonstrate(const struct request *request, void *memory) {
    size_t size_bytes = (size_t)request->size.value;
    bool watched = request->watch.given || request->watch_ms.given;
    void **at;
    write_every_page(memory, size_bytes);
    int error = walk(memory, size_bytes, &at);
    if (error != 0) {
        fprintf(stderr, "benchmark: cannot lay the ring: %s\n", strerror(error));
        return 1;
    }
    print_placement(memory, size_bytes);
    print_commands(memory, size_bytes, watched);
    if (watched)
        return watch_on(request, memory, at);
    if (!request->no_wait.given)
        wait_for_enter();
    return 0;
}

int main(int argc, char **argv) {
    struct request request = {.size.value = DEFAULT_SIZE_BYTES, .watch_ms.value = 1000};
    int status;
    if (!read_options(argc, argv, &request, &status))
        return status;
    size_t size_bytes = (size_t)request.size.value;
    char size[UNITS_SIZE_TEXT];
    void *memory = malloc(size_bytes);
    if (memory == NULL) {
        fprintf(stderr, "benchmark: cannot allocate %s bytes: %s\n",
                units_format_size(size_bytes, size), strerror(errno));
        return 1;
    }
    printf("pid:   %d\nblock: %p, %s bytes from malloc\n", getpid(), memory,
           units_format_size(size_bytes, size));
    status = demonstrate(&request, memory);
    free(memory);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "benchmark: cannot write to standard output: %s\n", strerror(errno));
        return 1;
    }
    return status;
}
