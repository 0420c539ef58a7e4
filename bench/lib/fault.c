#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include "fault.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "clock.h"
#include "pages.h"
#include "topology.h"

/* Since Linux 5.14; not in older headers. */
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

static int touch_by_writing(char *slice, size_t size_bytes, size_t page_bytes) {
    for (size_t at = 0; at < size_bytes; at += page_bytes)
        ((volatile char *)slice)[at] = 1;
    return 0;
}

static int touch_by_reading(char *slice, size_t size_bytes, size_t page_bytes) {
    for (size_t at = 0; at < size_bytes; at += page_bytes)
        (void)((volatile char *)slice)[at];
    return 0;
}

static int populate(char *slice, size_t size_bytes, size_t page_bytes) {
    (void)page_bytes;
    return madvise(slice, size_bytes, MADV_POPULATE_WRITE) == 0 ? 0 : errno;
}

const struct fault_variant fault_variants[FAULT_VARIANTS] = {
    [FAULT_WRITE] = {"write", false, true, touch_by_writing},
    [FAULT_POPULATE] = {"populate", false, true, populate},
    [FAULT_READ] = {"read", false, false, touch_by_reading},
    [FAULT_MALLOC] = {"malloc", true, true, touch_by_writing},
};

const struct fault_variant *fault_find(const char *name, size_t length) {
    for (size_t i = 0; i < FAULT_VARIANTS; i++)
        if (strlen(fault_variants[i].name) == length &&
            strncmp(fault_variants[i].name, name, length) == 0)
            return &fault_variants[i];
    return NULL;
}

void fault_cost_add(struct fault_cost *cost, const struct fault_cost *other) {
    cost->pages += other->pages;
    cost->bytes += other->bytes;
    cost->touch_ns += other->touch_ns;
    cost->wall_ns += other->wall_ns;
    cost->zero_ns += other->zero_ns;
    cost->free_ns += other->free_ns;
    cost->faults += other->faults;
    cost->absent += other->absent;
    if (other->disturbed > cost->disturbed)
        cost->disturbed = other->disturbed;
}

/* One a thread: its part, and what it took last. */
struct fault_member {
    unsigned cpu;
    int node; /* of that CPU */
    char *slice;
    int error;
    struct watch_reading before, after; /* of the touching */
    uint64_t started_ns, ended_ns, zero_ns, free_ns;
    struct placement_tally placement;
    const struct placement_expected *expected;
};

static void find_node(void *context, size_t number) {
    struct fault_member *member = &((struct fault_team *)context)->members[number];
    unsigned cpu, node;
    member->node = getcpu(&cpu, &node) == 0 ? (int)node : -1;
}

int fault_team_start(struct fault_team *team, hwloc_topology_t topology, const unsigned *cpus,
                     size_t size, const struct watch *watch) {
    *team = (struct fault_team){.watch = watch, .members = calloc(size, sizeof *team->members)};
    if (team->members == NULL)
        return ENOMEM;
    for (size_t i = 0; i < size; i++)
        team->members[i].cpu = cpus[i];
    int error = crew_start(&team->crew, topology, cpus, size);
    if (error == 0)
        crew_do(&team->crew, find_node, team);
    return error;
}

void fault_team_end(struct fault_team *team) {
    crew_end(&team->crew);
    free(team->members);
}

/* A block of malloc is had within the time: the allocator may get it in ways of its own. */
static void touch(void *context, size_t number) {
    struct fault_team *team = context;
    struct fault_member *member = &team->members[number];
    const struct fault_plan *plan = &team->plan;
    member->zero_ns = 0;
    watch_read(&member->before);
    member->started_ns = clock_ns();
    if (plan->variant->from_malloc)
        member->slice = malloc(plan->slice_bytes);
    member->error = member->slice == NULL
                        ? ENOMEM
                        : plan->variant->touch(member->slice, plan->slice_bytes, team->page_bytes);
    member->ended_ns = clock_ns();
    watch_read(&member->after);
}

static void zero(void *context, size_t number) {
    struct fault_team *team = context;
    struct fault_member *member = &team->members[number];
    uint64_t started_ns = clock_ns();
    memset(member->slice, 0, team->plan.slice_bytes);
    member->zero_ns = clock_ns() - started_ns;
}

static void free_block(void *context, size_t number) {
    struct fault_member *member = &((struct fault_team *)context)->members[number];
    uint64_t started_ns = clock_ns();
    free(member->slice);
    member->free_ns = clock_ns() - started_ns;
}

static enum disturbance disturbance_of(const struct fault_team *team,
                                       const struct fault_member *member) {
    struct watch_reading after = member->after;
    after.faults = member->before.faults; /* they are what is measured */
    return watch_compare(team->watch, &member->before, &after, member->cpu);
}

static void add_members(const struct fault_team *team, struct fault_cost *cost) {
    uint64_t first_ns = UINT64_MAX, last_ns = 0;
    for (size_t i = 0; i < team->crew.size; i++) {
        const struct fault_member *member = &team->members[i];
        fault_cost_add(cost, &(struct fault_cost){
                                 .pages = team->plan.slice_bytes / team->page_bytes,
                                 .bytes = team->plan.slice_bytes,
                                 .touch_ns = member->ended_ns - member->started_ns,
                                 .zero_ns = member->zero_ns,
                                 .faults = member->after.faults - member->before.faults,
                                 .disturbed = disturbance_of(team, member),
                             });
        if (member->started_ns < first_ns)
            first_ns = member->started_ns;
        if (member->ended_ns > last_ns)
            last_ns = member->ended_ns;
    }
    cost->wall_ns += last_ns - first_ns;
}

/* How many base pages of the mapping are not there. A touch of each huge page gets all of them,
 * unless the kernel fell back to the one that was touched. */
static uint64_t absent_pages(const struct fault_team *team) {
    size_t base_bytes = page_kind_bytes(PAGE_BASE);
    size_t pages = team->plan.slice_bytes * team->crew.size / base_bytes;
    unsigned char *resident = malloc(pages);
    uint64_t absent = 0;
    if (resident != NULL && mincore(team->mapping, pages * base_bytes, resident) == 0)
        for (size_t i = 0; i < pages; i++)
            absent += (resident[i] & 1) == 0;
    free(resident);
    return absent;
}

/* Gives back what is held, untimed. */
static void drop(struct fault_team *team) {
    if (team->mapping != NULL)
        page_kind_unmap(team->plan.kind, team->mapping, team->plan.slice_bytes * team->crew.size);
    team->mapping = NULL;
    for (size_t i = 0; i < team->crew.size && team->plan.variant->from_malloc; i++)
        free(team->members[i].slice);
}

static const char *reason(const struct fault_variant *variant, int error) {
    if (variant->touch == populate && error == EINVAL)
        return "no MADV_POPULATE_WRITE here: it came with Linux 5.14";
    return strerror(error);
}

bool fault_get(struct fault_team *team, const struct fault_plan *plan, struct fault_cost *cost,
               const char **why) {
    team->plan = *plan;
    team->page_bytes = page_kind_bytes(plan->kind);
    team->mapping = NULL;
    if (!plan->variant->from_malloc) {
        team->mapping =
            page_kind_map(plan->kind, plan->slice_bytes * team->crew.size, plan->node, why);
        if (team->mapping == NULL)
            return false;
    }
    for (size_t i = 0; i < team->crew.size; i++)
        team->members[i].slice =
            team->mapping != NULL ? team->mapping + i * plan->slice_bytes : NULL;
    crew_do(&team->crew, touch, team);
    for (size_t i = 0; i < team->crew.size; i++)
        if (team->members[i].error != 0) {
            *why = reason(plan->variant, team->members[i].error);
            drop(team);
            return false;
        }
    if (plan->variant->written && plan->kind == PAGE_THP) /* before zeroing fills the holes */
        cost->absent += absent_pages(team);
    if (plan->variant->written)
        crew_do(&team->crew, zero, team);
    add_members(team, cost);
    return true;
}

static void ask(void *context, size_t number) {
    struct fault_team *team = context;
    struct fault_member *member = &team->members[number];
    struct placement_expected own;
    placement_expect_node(&own, topology_touched_node(team->crew.topology, member->node));
    member->placement = (struct placement_tally){0};
    placement_add(&member->placement, member->slice, team->plan.slice_bytes,
                  member->expected != NULL ? member->expected : &own);
}

struct placement_tally fault_ask(struct fault_team *team,
                                 const struct placement_expected *expected) {
    struct placement_expected bound;
    struct placement_tally all = {0};
    placement_expect_node(&bound, team->plan.node);
    for (size_t i = 0; i < team->crew.size; i++)
        team->members[i].expected = team->plan.node >= 0 ? &bound : expected;
    crew_do(&team->crew, ask, team);
    for (size_t i = 0; i < team->crew.size; i++)
        placement_merge(&all, &team->members[i].placement);
    return all;
}

void *fault_slice(const struct fault_team *team, size_t thread) {
    return team->members[thread].slice;
}

const char *fault_pages_in_force(const struct fault_team *team) {
    enum page_kind kind = team->plan.kind;
    const char *asked = page_kind_name(kind == PAGE_BASE ? PAGE_THP : kind);
    struct pages_tally tally = {0};
    FILE *smaps = fopen("/proc/self/smaps", "re");
    if (smaps == NULL)
        return NULL;
    bool told = pages_add(smaps, (uintptr_t)team->mapping, team->plan.slice_bytes * team->crew.size,
                          asked, &tally);
    fclose(smaps);
    if (!told)
        return NULL;
    const char *found = pages_in_force(&tally, asked);
    return strcmp(found, "default") == 0 ? page_kind_name(PAGE_BASE) : found;
}

void fault_give_back(struct fault_team *team, struct fault_cost *cost) {
    if (team->mapping != NULL) {
        uint64_t started_ns = clock_ns();
        page_kind_unmap(team->plan.kind, team->mapping, team->plan.slice_bytes * team->crew.size);
        cost->free_ns += clock_ns() - started_ns;
        team->mapping = NULL;
        return;
    }
    crew_do(&team->crew, free_block, team);
    for (size_t i = 0; i < team->crew.size; i++)
        cost->free_ns += team->members[i].free_ns;
}

bool fault_is_counted(const struct fault_plan *plan) {
    bool reserved = plan->kind == PAGE_2M || plan->kind == PAGE_1G;
    return !plan->variant->from_malloc && !(reserved && plan->variant->touch == populate);
}

/* A page of its stack, say. */
#define FAULTS_OF_A_THREAD 0.01

bool fault_cost_is_whole(const struct fault_cost *cost) {
    return cost->faults >= cost->pages &&
           (double)(cost->faults - cost->pages) <= FAULTS_OF_A_THREAD * (double)cost->pages + 1;
}

/* The number after `label` in a file; false when there is none. */
static bool read_after(const char *path, const char *label, uint64_t *number) {
    char line[128];
    bool found = false;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    while (!found && fgets(line, sizeof line, file) != NULL) {
        const char *at = strstr(line, label);
        found = at != NULL && sscanf(at + strlen(label), "%" SCNu64, number) == 1;
    }
    fclose(file);
    return found;
}

uint64_t fault_free_bytes(const char *root, int node, enum page_kind kind) {
    char path[256];
    uint64_t number;
    if (kind == PAGE_2M || kind == PAGE_1G) {
        snprintf(path, sizeof path, "%s/node%d/hugepages/hugepages-%zukB/free_hugepages", root,
                 node, page_kind_bytes(kind) >> 10);
        return read_after(path, "", &number) ? number * page_kind_bytes(kind) : UINT64_MAX;
    }
    snprintf(path, sizeof path, "%s/node%d/meminfo", root, node);
    return read_after(path, "MemFree:", &number) ? number << 10 : UINT64_MAX;
}

bool fault_thp_is_allowed(const char *path) {
    char text[128];
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    bool allowed = fgets(text, sizeof text, file) != NULL && strstr(text, "[never]") == NULL;
    fclose(file);
    return allowed;
}
