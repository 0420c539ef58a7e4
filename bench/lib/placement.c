#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include "placement.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Pages a system call: large enough to hide its entry, small enough for the stack. */
#define BATCH_PAGES 1024

static void count_page(struct placement *placement, int node) {
    placement->pages++;
    if (node >= 0 && node < PLACEMENT_NODES)
        placement->on_node[node]++;
    else
        placement->nowhere++;
}

/* How often a page that the kernel says is not there is read and asked for again. */
#define ASK_AGAIN 3

/* Asks for one batch; returns 0, or the errno of the refusal.
 *
 * NUMA balancing unmaps pages for a moment to see who comes for them, and move_pages then says that
 * they are not there. Reading one brings it back, as the next load of the measurement would. */
static int ask_batch(void **pages, unsigned long count, int *status) {
    for (int attempt = 0;; attempt++) {
        if (syscall(SYS_move_pages, 0, count, pages, NULL, status, 0) != 0)
            return errno;
        bool all_there = true;
        for (unsigned long i = 0; i < count && attempt < ASK_AGAIN; i++) {
            if (status[i] < 0) {
                (void)*(volatile char *)pages[i];
                all_there = false;
            }
        }
        if (all_there)
            return 0;
    }
}

/* A page of a huge page answers for itself, so the grid is the base page size in every case.
 * Returns 0, or the errno of the refusal. */
static int ask_page_by_page(uintptr_t start, size_t size_bytes, struct placement *placement) {
    uintptr_t page_bytes = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t end = start + size_bytes;
    uintptr_t at = start & ~(page_bytes - 1);
    while (at < end) {
        void *pages[BATCH_PAGES];
        int status[BATCH_PAGES];
        unsigned long count = 0;
        for (; at < end && count < BATCH_PAGES; at += page_bytes)
            pages[count++] = (void *)at;
        int error = ask_batch(pages, count, status);
        if (error != 0)
            return error;
        for (unsigned long i = 0; i < count; i++)
            count_page(placement, status[i]);
    }
    return 0;
}

void placement_ask(const void *data, size_t size_bytes, struct placement *placement) {
    memset(placement, 0, sizeof *placement);
    placement->error = ask_page_by_page((uintptr_t)data, size_bytes, placement);
    if (placement->error == 0) {
        placement->source = PLACEMENT_PAGE_BY_PAGE;
        return;
    }
    int refusal = placement->error;
    memset(placement, 0, sizeof *placement);
    placement->error = refusal;
    FILE *numa_maps = fopen("/proc/self/numa_maps", "re");
    if (numa_maps == NULL)
        return;
    if (placement_read_numa_maps(numa_maps, (uintptr_t)data, size_bytes, placement))
        placement->error = 0;
    fclose(numa_maps);
}

/* The address a line of numa_maps starts with; false when it starts with anything else. */
static bool line_address(const char *line, uintptr_t *address) {
    char *end;
    if (!isxdigit((unsigned char)line[0]))
        return false;
    *address = (uintptr_t)strtoull(line, &end, 16);
    return *end == ' ';
}

/* Finds the first mapping that [start, ...) lies in: the last line at or below start. */
static bool first_mapping(FILE *numa_maps, uintptr_t start, uintptr_t *first) {
    char *line = NULL;
    size_t room = 0;
    uintptr_t address;
    bool found = false;
    rewind(numa_maps);
    while (getline(&line, &room, numa_maps) > 0) {
        if (line_address(line, &address) && address <= start) {
            *first = address;
            found = true;
        }
    }
    free(line);
    return found;
}

/* Adds the "N<node>=<pages>" words of a line. */
static void count_line(char *line, struct placement *placement) {
    char *rest = NULL;
    for (char *word = strtok_r(line, " \n", &rest); word != NULL;
         word = strtok_r(NULL, " \n", &rest)) {
        char *end;
        if (word[0] != 'N' || !isdigit((unsigned char)word[1]))
            continue;
        unsigned long node = strtoul(word + 1, &end, 10);
        if (*end != '=' || node >= PLACEMENT_NODES)
            continue;
        uint64_t pages = strtoull(end + 1, NULL, 10);
        placement->pages += pages;
        placement->on_node[node] += pages;
    }
}

/* Calls count_line for each mapping the range lies in, or stores where they start. */
static size_t walk_mappings(FILE *numa_maps, uintptr_t start, size_t size_bytes,
                            struct placement *placement, uintptr_t *starts, size_t capacity) {
    uintptr_t first, address;
    if (!first_mapping(numa_maps, start, &first))
        return 0;
    char *line = NULL;
    size_t room = 0, mappings = 0;
    rewind(numa_maps);
    while (getline(&line, &room, numa_maps) > 0) {
        if (!line_address(line, &address) || address < first || address >= start + size_bytes)
            continue;
        if (mappings < capacity)
            starts[mappings] = address;
        if (placement != NULL)
            count_line(line, placement);
        mappings++;
    }
    free(line);
    return mappings;
}

bool placement_read_numa_maps(FILE *numa_maps, uintptr_t start, size_t size_bytes,
                              struct placement *placement) {
    struct placement counted = {.source = PLACEMENT_NUMA_MAPS};
    if (walk_mappings(numa_maps, start, size_bytes, &counted, NULL, 0) == 0)
        return false;
    *placement = counted;
    return true;
}

size_t placement_mappings(FILE *numa_maps, uintptr_t start, size_t size_bytes, uintptr_t *starts,
                          size_t capacity) {
    return walk_mappings(numa_maps, start, size_bytes, NULL, starts, capacity);
}

void placement_expect_node(struct placement_expected *expected, int node) {
    *expected = (struct placement_expected){.shares = false};
    if (node >= 0 && node < PLACEMENT_NODES)
        expected->weights[node] = 1;
}

size_t placement_expected_nodes(const struct placement_expected *expected) {
    size_t nodes = 0;
    for (size_t node = 0; node < PLACEMENT_NODES; node++)
        nodes += expected->weights[node] != 0;
    return nodes;
}

void placement_add(struct placement_tally *tally, const void *data, size_t size_bytes,
                   const struct placement_expected *expected) {
    struct placement where;
    if (placement_expected_nodes(expected) == 0) {
        tally->untold = true;
        return;
    }
    placement_ask(data, size_bytes, &where);
    if (where.source == PLACEMENT_NOT_TOLD) {
        tally->untold = true;
        tally->error = where.error;
    }
    tally->blocks++;
    tally->bytes += size_bytes;
    tally->pages += where.pages;
    for (size_t node = 0; node < PLACEMENT_NODES; node++) {
        tally->on_node[node] += where.on_node[node];
        if (expected->weights[node] != 0)
            tally->placed += where.on_node[node];
    }
}

void placement_merge(struct placement_tally *tally, const struct placement_tally *other) {
    tally->pages += other->pages;
    tally->placed += other->placed;
    if (tally->blocks < other->blocks)
        tally->blocks = other->blocks;
    tally->bytes += other->bytes;
    for (size_t node = 0; node < PLACEMENT_NODES; node++)
        tally->on_node[node] += other->on_node[node];
    tally->untold = tally->untold || other->untold;
    if (tally->error == 0)
        tally->error = other->error;
}

/* Whether each node has its share of the pages; *in_share: the part of them that is within it. */
static bool has_shares(const struct placement_tally *tally,
                       const struct placement_expected *expected, double *in_share) {
    double slack = PLACEMENT_SHARE_SLACK, weights = 0;
    bool kept = true;
    *in_share = 0;
    if (tally->bytes > 0)
        slack += (double)(tally->blocks * PLACEMENT_GRAIN_BYTES) / (double)tally->bytes;
    for (size_t node = 0; node < PLACEMENT_NODES; node++)
        weights += expected->weights[node];
    for (size_t node = 0; node < PLACEMENT_NODES; node++) {
        double wanted = expected->weights[node] / weights;
        double found = (double)tally->on_node[node] / (double)tally->pages;
        *in_share += found < wanted ? found : wanted;
        kept = kept && found <= wanted + slack && found >= wanted - slack;
    }
    return kept;
}

struct placement_verdict placement_judge(const struct placement_tally *tally,
                                         const struct placement_expected *expected) {
    if (tally->untold)
        return (struct placement_verdict){.status = PLACEMENT_UNVERIFIED, .error = tally->error};
    double fraction = tally->pages > 0 ? (double)tally->placed / (double)tally->pages : 0;
    double in_share;
    if (fraction < PLACEMENT_ENOUGH)
        return (struct placement_verdict){.status = PLACEMENT_FAILED, .fraction = fraction};
    if (expected->shares && !has_shares(tally, expected, &in_share))
        return (struct placement_verdict){.status = PLACEMENT_FAILED, .fraction = in_share};
    return (struct placement_verdict){.status = PLACEMENT_VERIFIED, .fraction = fraction};
}

struct placement_verdict placement_worse(struct placement_verdict one,
                                         struct placement_verdict other) {
    if (one.status != other.status)
        return one.status > other.status ? one : other;
    return one.fraction <= other.fraction ? one : other;
}

void placement_list_nodes(const struct placement_tally *tally, char *text, size_t text_bytes) {
    size_t length = 0;
    text[0] = '\0';
    for (size_t node = 0; node < PLACEMENT_NODES && length < text_bytes; node++)
        if (tally->on_node[node] > 0)
            length += (size_t)snprintf(text + length, text_bytes - length, "%sN%zu=%" PRIu64,
                                       length > 0 ? "," : "", node, tally->on_node[node]);
}

uint64_t placement_moved(const struct placement_tally *before,
                         const struct placement_tally *after) {
    uint64_t left = 0, came = 0;
    for (size_t node = 0; node < PLACEMENT_NODES; node++) {
        uint64_t was = before->on_node[node], is = after->on_node[node];
        left += was > is ? was - is : 0;
        came += is > was ? is - was : 0;
    }
    /* A page that is nowhere for a moment has not moved. */
    return left < came ? left : came;
}

bool placement_balancing_is_on(const char *path) {
    FILE *file = fopen(path, "re");
    int first = file != NULL ? getc(file) : EOF;
    if (file != NULL)
        fclose(file);
    return isdigit(first) && first != '0';
}

const char *placement_status_name(enum placement_status status) {
    static const char *const names[] = {
        [PLACEMENT_VERIFIED] = "verified",
        [PLACEMENT_FAILED] = "failed",
        [PLACEMENT_UNVERIFIED] = "unverified",
    };
    return names[status];
}
