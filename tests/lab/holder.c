/*
 * A program that does what it is told while its machine changes under it, for guest_limits.sh: one
 * command a line on standard input, one line of answer each.
 *
 *     take N    N blocks of 1 MiB, written; `taken N`, or `refused N` when the N-th was refused
 *               with ENOMEM (those before are held)
 *     reserve N one block of N MiB, not written; `taken 1` or `refused 1`
 *     small N   N blocks of 16 to 2,000 bytes; `taken N` or `refused N`
 *     check     `intact` when every block held is as it was written, else `broken`
 *     where     pages of the blocks held on each node: `N0=... N1=...`
 *     give      frees all, and gives memory back; `given`
 *     full      demands that met a full node, and refusals to place: `full N refusals N`
 *     node N    runs on that node's CPUs from now on; `moved`, or `refused 0`
 */
#include "guest.h"
#include "alloc/numa_alloc.h"

#include <dlfcn.h>
#include <malloc.h>

enum { HELD_MAX = 200000, MIB = 1 << 20 };

static struct held {
    unsigned char *start;
    size_t size_bytes; /* that were written */
} held[HELD_MAX];
static size_t held_count;

static unsigned char mark_of(size_t index, size_t offset) {
    return (unsigned char)((index * 31 + (offset >> 12)) | 1);
}

static bool is_intact(size_t index) {
    for (size_t at = 0; at < held[index].size_bytes; at += PAGE_BYTES)
        if (held[index].start[at] != mark_of(index, at))
            return false;
    return true;
}

/* A block of `size_bytes`, of which `written` are. False: refused. */
static bool take(size_t size_bytes, size_t written) {
    errno = 0;
    unsigned char *block = malloc(size_bytes);
    if (block == NULL && errno != ENOMEM)
        printf("errno %d ", errno);
    if (block == NULL || held_count == HELD_MAX)
        return false;
    for (size_t at = 0; at < written; at += PAGE_BYTES)
        block[at] = mark_of(held_count, at);
    if (written != 0)
        block[written - 1] |= 1; /* its last page is somewhere too */
    held[held_count++] = (struct held){block, written};
    return true;
}

static void take_many(unsigned long count, size_t size_bytes, size_t step, bool written) {
    for (unsigned long i = 0; i < count; i++) {
        size_t bytes = size_bytes + i * step % 2000;
        if (!take(bytes, written ? bytes : 0)) {
            printf("refused %lu\n", i + 1);
            return;
        }
    }
    printf("taken %lu\n", count);
}

static void check(void) {
    bool intact = true;
    for (size_t i = 0; i < held_count; i++)
        intact &= is_intact(i);
    puts(intact ? "intact" : "broken");
}

static void where(void) {
    struct page_count count;
    memset(&count, 0, sizeof count);
    for (size_t i = 0; i < held_count; i++)
        if (held[i].size_bytes != 0 && !count_pages(&count, held[i].start, held[i].size_bytes))
            break;
    for (int node = 0; node < GUEST_NODES; node++)
        if (count.on_node[node] != 0)
            printf("N%d=%zu ", node, count.on_node[node]);
    printf("elsewhere=%zu\n", count.elsewhere);
}

static void give(void) {
    while (held_count > 0)
        free(held[--held_count].start);
    malloc_trim(0);
    puts("given");
}

static void full(void) {
    struct na_node_stats nodes[GUEST_NODES];
    struct na_stats stats = {
        .struct_bytes = sizeof stats, .nodes = nodes, .node_capacity = GUEST_NODES};
    int (*ask)(struct na_stats *) = (int (*)(struct na_stats *))dlsym(RTLD_DEFAULT, "na_stats");
    uint64_t demands = 0, refusals = 0;
    if (ask == NULL || ask(&stats) != 0) {
        puts("no statistics");
        return;
    }
    for (size_t i = 0; i < stats.node_count && i < GUEST_NODES; i++) {
        demands += nodes[i].full_demands;
        refusals += nodes[i].refusals;
    }
    printf("full %lu refusals %lu\n", (unsigned long)demands, (unsigned long)refusals);
}

static void move(int node) {
    cpu_set_t set = cpus_of_node(node);
    puts(sched_setaffinity(0, sizeof set, &set) == 0 ? "moved" : "refused 0");
}

int main(void) {
    char line[128], word[16];
    unsigned long number;
    static char input[1024], output[1024];
    setvbuf(stdin, input, _IOLBF, sizeof input); /* nothing of stdio's is taken later */
    setvbuf(stdout, output, _IOLBF, sizeof output);
    while (fgets(line, sizeof line, stdin) != NULL) {
        number = 0;
        if (sscanf(line, "%15s %lu", word, &number) < 1)
            continue;
        if (strcmp(word, "take") == 0)
            take_many(number, MIB, 0, true);
        else if (strcmp(word, "reserve") == 0)
            take_many(1, number * MIB, 0, false);
        else if (strcmp(word, "small") == 0)
            take_many(number, 16, 37, true);
        else if (strcmp(word, "check") == 0)
            check();
        else if (strcmp(word, "where") == 0)
            where();
        else if (strcmp(word, "give") == 0)
            give();
        else if (strcmp(word, "full") == 0)
            full();
        else if (strcmp(word, "node") == 0)
            move((int)number);
    }
    return 0;
}
