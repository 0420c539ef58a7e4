#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include "migration.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/mempolicy.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "placement.h"
#include "units.h"

const char *const migration_call_names[] = {
    [MIGRATION_MOVE_PAGES] = "move_pages",
    [MIGRATION_MBIND] = "mbind",
};

const char *const migration_counter_names[] = {
    [MIGRATION_MOVED] = "pgmigrate_success",
    [MIGRATION_STAYED] = "pgmigrate_fail",
    [MIGRATION_HUGE_MOVED] = "thp_migration_success",
    [MIGRATION_HUGE_SPLIT] = "thp_migration_split",
    [MIGRATION_SPLIT] = "thp_split_page",
};

/* Copies the word before the next comma; false when it is empty or too long. *at moves behind it,
 * and is NULL at the end. */
static bool next_word(const char **at, char *word, size_t room) {
    size_t length = strcspn(*at, ",");
    if (length == 0 || length >= room)
        return false;
    memcpy(word, *at, length);
    word[length] = '\0';
    *at = (*at)[length] == ',' ? *at + length + 1 : NULL;
    return true;
}

bool migration_parse_batches(const char *text, struct migration_batches *batches) {
    struct migration_batches read = {.count = 0};
    char word[24];
    for (const char *at = text; at != NULL; read.count++) {
        uint64_t pages = MIGRATION_ALL;
        if (read.count == MIGRATION_BATCHES || !next_word(&at, word, sizeof word) ||
            (strcmp(word, "all") != 0 && !units_parse_count(word, 1, SIZE_MAX - 1, &pages)))
            return false;
        read.pages[read.count] = (size_t)pages;
    }
    *batches = read;
    return true;
}

void migration_fit_batches(const struct migration_batches *asked, size_t pages,
                           struct migration_batches *batches) {
    batches->count = 0;
    for (size_t i = 0; i < asked->count; i++) {
        size_t batch = asked->pages[i] >= pages ? MIGRATION_ALL : asked->pages[i];
        bool known = false;
        for (size_t k = 0; k < batches->count; k++)
            known = known || batches->pages[k] == batch;
        if (!known)
            batches->pages[batches->count++] = batch;
    }
}

const char *migration_variant(enum migration_call call, size_t batch,
                              char text[MIGRATION_VARIANT_TEXT]) {
    if (batch == MIGRATION_ALL)
        snprintf(text, MIGRATION_VARIANT_TEXT, "%s/all", migration_call_names[call]);
    else
        snprintf(text, MIGRATION_VARIANT_TEXT, "%s/%zu", migration_call_names[call], batch);
    return text;
}

bool migration_parse_names(const char *text, const char *const *names, size_t count,
                           unsigned *chosen) {
    char word[24];
    unsigned found = 0;
    for (const char *at = text; at != NULL;) {
        size_t which = 0;
        if (!next_word(&at, word, sizeof word))
            return false;
        while (which < count && strcmp(names[which], word) != 0)
            which++;
        if (which == count)
            return false;
        found |= 1u << which;
    }
    *chosen = found;
    return true;
}

/* The number in a file of the pool of such pages; 0 without. */
static size_t pool_number(enum page_kind kind, const char *file_name) {
    char path[128];
    size_t number = 0;
    snprintf(path, sizeof path, "/sys/kernel/mm/hugepages/hugepages-%zukB/%s",
             page_kind_bytes(kind) >> 10, file_name);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%zu", &number) != 1)
        number = 0;
    fclose(file);
    return number;
}

size_t migration_reserved_bytes(enum page_kind kind) {
    if (kind == PAGE_BASE || kind == PAGE_THP)
        return 0;
    size_t unused = pool_number(kind, "free_hugepages");
    size_t promised = pool_number(kind, "resv_hugepages");
    return unused > promised ? (unused - promised) * page_kind_bytes(kind) : 0;
}

/* Returns 0 or an errno. */
static int call_mbind(void *start, size_t size_bytes, int mode, int node, unsigned flags) {
    enum { WORD_BITS = 8 * sizeof(unsigned long) };
    unsigned long mask[PLACEMENT_NODES / WORD_BITS] = {0};
    mask[(size_t)node / WORD_BITS] |= 1ul << ((size_t)node % WORD_BITS);
    return syscall(SYS_mbind, start, size_bytes, mode, mask, (unsigned long)PLACEMENT_NODES + 1,
                   flags) == 0
               ? 0
               : errno;
}

/* Fills what move_pages is handed. */
static bool list_pages(struct migration_memory *memory) {
    memory->addresses = malloc(memory->pages * sizeof *memory->addresses);
    memory->status = malloc(memory->pages * sizeof *memory->status);
    memory->found = malloc(memory->pages * sizeof *memory->found);
    for (size_t i = 0; i < 2; i++)
        memory->targets[i] = malloc(memory->pages * sizeof *memory->targets[i]);
    if (memory->addresses == NULL || memory->status == NULL || memory->found == NULL ||
        memory->targets[0] == NULL || memory->targets[1] == NULL)
        return false;
    for (size_t page = 0; page < memory->pages; page++) {
        memory->addresses[page] = memory->start + page * memory->page_bytes;
        memory->targets[0][page] = memory->nodes[0];
        memory->targets[1][page] = memory->nodes[1];
        memory->status[page] = 0;
        memory->found[page] = -1;
    }
    return true;
}

bool migration_map(struct migration_memory *memory, enum page_kind kind, size_t size_bytes,
                   const int nodes[2], const char **why) {
    size_t page_bytes = page_kind_bytes(kind), reserved_bytes = migration_reserved_bytes(kind);
    if (reserved_bytes > 0 && size_bytes > reserved_bytes)
        size_bytes = reserved_bytes;
    *memory = (struct migration_memory){
        .kind = kind,
        .page_bytes = page_bytes,
        .pages = (size_bytes + page_bytes - 1) / page_bytes,
        .nodes = {nodes[0], nodes[1]},
        .at = -1,
    };
    size_bytes = memory->pages * page_bytes;
    memory->start = page_kind_map(kind, size_bytes, -1, why);
    if (memory->start == NULL)
        return false;
    /* Memory with a policy of its own is none that NUMA balancing looks at. Preferred, not bound:
     * for want of room on a node the kernel would kill us. */
    call_mbind(memory->start, size_bytes, MPOL_PREFERRED, nodes[0], 0);
    memset(memory->start, 1, size_bytes);
    if (list_pages(memory))
        return true;
    *why = strerror(ENOMEM);
    migration_unmap(memory);
    return false;
}

void migration_unmap(struct migration_memory *memory) {
    page_kind_unmap(memory->kind, memory->start, memory->pages * memory->page_bytes);
    free(memory->addresses);
    free(memory->status);
    free(memory->found);
    free(memory->targets[0]);
    free(memory->targets[1]);
}

/* Returns 0 or an errno. */
static int move(struct migration_memory *memory, enum migration_call call, size_t first,
                size_t count, unsigned to) {
    if (call == MIGRATION_MBIND)
        return call_mbind(memory->start + first * memory->page_bytes, count * memory->page_bytes,
                          MPOL_BIND, memory->nodes[to], MPOL_MF_MOVE);
    /* A positive answer counts pages that stayed; their status says why. */
    return syscall(SYS_move_pages, 0, count, memory->addresses + first, memory->targets[to] + first,
                   memory->status + first, MPOL_MF_MOVE) >= 0
               ? 0
               : errno;
}

int migration_bring(struct migration_memory *memory, unsigned which) {
    int error = 0;
    if (memory->at == memory->nodes[which])
        return 0;
    /* A page may be busy for a moment, and a call refused that the other does not share. */
    for (int attempt = 0; attempt < 3; attempt++)
        for (int call = 0; call < MIGRATION_CALLS; call++) {
            int refused = move(memory, (enum migration_call)call, 0, memory->pages, which);
            if (refused != 0) {
                error = refused;
                continue;
            }
            struct migration_arrival arrival =
                migration_ask(memory, memory->pages, which, call == MIGRATION_MOVE_PAGES);
            if (!arrival.told || arrival.fraction >= PLACEMENT_ENOUGH) {
                memory->at = memory->nodes[which];
                return 0;
            }
            if (arrival.error != 0)
                error = arrival.error;
        }
    return error != 0 ? error : EBUSY;
}

size_t migration_step(struct migration_shuttle *shuttle, int *error) {
    struct migration_memory *memory = shuttle->memory;
    size_t left = memory->pages - shuttle->next;
    size_t count = shuttle->batch < left ? shuttle->batch : left;
    *error = move(memory, shuttle->call, shuttle->next, count, shuttle->to);
    if (*error != 0)
        return 0;
    shuttle->next += count;
    memory->at = -1;
    if (shuttle->next == memory->pages) {
        shuttle->next = 0;
        shuttle->to = 1 - shuttle->to;
    }
    return count;
}

void migration_look(struct migration_memory *memory, size_t first, size_t count,
                    struct migration_changes *changes) {
    bool told = syscall(SYS_move_pages, 0, count, memory->addresses + first, NULL,
                        memory->status + first, 0) == 0;
    for (size_t page = first; page < first + count; page++) {
        int now = told && memory->status[page] >= 0 ? memory->status[page] : -1;
        if (now < 0 || memory->found[page] < 0)
            changes->not_known++;
        else if (now != memory->found[page])
            changes->moved++;
        memory->found[page] = now;
    }
}

struct migration_arrival migration_ask(const struct migration_memory *memory, size_t count,
                                       unsigned which, bool reason) {
    struct migration_arrival arrival = {.fraction = 0};
    struct placement *where = malloc(sizeof *where);
    if (where == NULL) {
        arrival.error = ENOMEM;
        return arrival;
    }
    placement_ask(memory->start, count * memory->page_bytes, where);
    arrival.told = where->source != PLACEMENT_NOT_TOLD;
    for (size_t i = 0; i < 2; i++)
        arrival.on_nodes[i] = where->on_node[memory->nodes[i]];
    double asked = (double)where->pages;
    if (where->source == PLACEMENT_NUMA_MAPS) /* tells of all pages */
        asked *= (double)count / (double)memory->pages;
    if (asked > 0)
        arrival.fraction = (double)arrival.on_nodes[which] / asked;
    if (arrival.fraction > 1)
        arrival.fraction = 1;
    arrival.error = where->error;
    for (size_t i = 0; reason && i < count && arrival.error == 0; i++)
        if (memory->status[i] < 0)
            arrival.error = -memory->status[i];
    free(where);
    return arrival;
}

int migration_try_call(enum migration_call call, int node) {
    const int nodes[2] = {node, node};
    struct migration_memory memory;
    const char *why;
    if (!migration_map(&memory, PAGE_BASE, 1, nodes, &why))
        return ENOMEM;
    int error = move(&memory, call, 0, 1, 0);
    migration_unmap(&memory);
    return error;
}

void migration_read_counters(FILE *vmstat, uint64_t counters[MIGRATION_COUNTERS]) {
    char name[64];
    uint64_t value;
    memset(counters, 0, MIGRATION_COUNTERS * sizeof *counters);
    while (fscanf(vmstat, "%63s %" SCNu64, name, &value) == 2)
        for (size_t i = 0; i < MIGRATION_COUNTERS; i++)
            if (strcmp(name, migration_counter_names[i]) == 0)
                counters[i] = value;
}
