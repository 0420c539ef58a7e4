/* The smallest demonstration of remote memory: allocate, write, walk, and show where the pages are.
 *
 * Needs libc only and builds alone, in this folder: gcc -o benchmark benchmark.c
 * Run it as: LD_PRELOAD=../alloc/numa_alloc.so taskset -c CPU ./benchmark
 */
#define _GNU_SOURCE 1

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.c"
#include "lib/options.c"
#include "lib/placement.c"
#include "lib/ring.c"
#include "lib/units.c"

/* 65,536 pages of 4 KiB, and beyond most caches. */
#define DEFAULT_SIZE_BYTES ((uint64_t)256 << 20)

/* A quarter of a second on most machines; of 256 MiB, one load to each 256 bytes. */
#define WALK_LOADS ((size_t)1 << 20)

#define RING_SEED 1

struct request {
    struct option_value size, no_wait, help;
};

/* Returns true to go on; otherwise *status is the exit status. */
static bool read_options(int argc, char **argv, struct request *request, int *status) {
    const struct option_row rows[] = {
        {"size", "SIZE", "bytes to allocate (default: 256M, 65,536 pages of 4 KiB)", OPTION_SIZE,
         4096, RING_MAX_BYTES, &request->size},
        {"no-wait", NULL, "do not wait for Enter", OPTION_FLAG, 0, 0, &request->no_wait},
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
    *status = fflush(stdout) == 0 ? 0 : 1;
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

/* Walks one ring through the memory. Returns 0, or the errno for which it cannot be laid. */
static int walk(void *memory, size_t size_bytes) {
    void *aligned =
        (void *)(((uintptr_t)memory + RING_SLOT_BYTES - 1) & ~(uintptr_t)(RING_SLOT_BYTES - 1));
    size_t ring_bytes = size_bytes - (size_t)((char *)aligned - (char *)memory);
    struct ring ring;
    int error = ring_build(&ring, aligned, ring_bytes, RING_SEED);
    if (error != 0)
        return error;
    uint64_t started_ns = clock_ns();
    void **at = ring_chase(ring.starts[0], WALK_LOADS);
    uint64_t elapsed_ns = clock_ns() - started_ns;
    __asm__ volatile("" : : "r"(at)); /* the use without which the loads may be dropped */
    printf("walk:  %.1f ns a load (%zu dependent loads in random order)\n",
           (double)elapsed_ns / (double)WALK_LOADS, WALK_LOADS);
    return 0;
}

/* What to type in a second terminal: the mappings the block lies in, when /proc lists them. */
static void print_commands(const void *memory, size_t size_bytes) {
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

int main(int argc, char **argv) {
    struct request request = {.size.value = DEFAULT_SIZE_BYTES};
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
    write_every_page(memory, size_bytes);
    int error = walk(memory, size_bytes);
    if (error != 0) {
        fprintf(stderr, "benchmark: cannot lay the ring: %s\n", strerror(error));
        free(memory);
        return 1;
    }
    print_placement(memory, size_bytes);
    print_commands(memory, size_bytes);
    if (!request.no_wait.given)
        wait_for_enter();
    free(memory);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "benchmark: cannot write to standard output: %s\n", strerror(errno));
        return 1;
    }
    return 0;
}
