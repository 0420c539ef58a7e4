#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include "memory.h"

#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <numa.h>
#include <numaif.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "units.h"

/* Of the last system call that failed inside libnuma, on this thread. */
static _Thread_local int libnuma_errno;

/* libnuma's hook for that (numa(3)). Its own version prints; here memory_get words it once. */
void numa_error(char *where) {
    (void)where;
    libnuma_errno = errno;
}

const char *memory_malloc_file(void) {
    /* dlsym and not &malloc, which may be the program's own jump table entry. */
    Dl_info info;
    void *address = dlsym(RTLD_DEFAULT, "malloc");
    if (address == NULL || dladdr(address, &info) == 0)
        return NULL;
    return info.dli_fname;
}

static const char *allocator_name(const char *file) {
    if (file == NULL)
        return "unknown";
    const char *slash = strrchr(file, '/');
    const char *base = slash != NULL ? slash + 1 : file;
    if (strcmp(base, "numa_alloc.so") == 0)
        return "numa_alloc";
    if (strcmp(base, "libc.so.6") == 0)
        return "glibc";
    return base;
}

static void expect_node(struct memory_source *source, int node) {
    source->node = node;
    placement_expect_node(&source->expected, node);
}

/* Reads a node or weight under `end_of_range`, and moves past it. */
static bool read_number(const char **at, unsigned long end_of_range, unsigned long *number) {
    char *end;
    if (!isdigit((unsigned char)**at))
        return false;
    *number = strtoul(*at, &end, 10);
    *at = end;
    return *number < end_of_range;
}

/* Reads "0,2-3" or "0=3,1=1". numa_alloc has read it before, and strictly. */
static bool read_nodes(const char *list, struct placement_expected *expected) {
    for (;; list++) {
        unsigned long first, last, weight = 1;
        if (!read_number(&list, PLACEMENT_NODES, &first))
            return false;
        last = first;
        if (*list == '-' && (list++, !read_number(&list, PLACEMENT_NODES, &last)))
            return false;
        if (*list == '=' && (list++, !read_number(&list, UINT8_MAX + 1, &weight)))
            return false;
        for (unsigned long node = first; node <= last; node++)
            expected->weights[node] = (uint8_t)weight;
        if (*list != ',')
            return *list == '\0';
    }
}

/* The nodes of numa_alloc's policy; none where they are not known. */
static void expect_policy(struct memory_source *source, const struct memory_facts *facts) {
    const char *list = strchr(facts->policy, ':');
    expect_node(source, -1);
    if (list != NULL && strcmp(list, ":all") == 0 && facts->all_nodes != NULL)
        source->expected = *facts->all_nodes;
    else if (list == NULL || !read_nodes(list + 1, &source->expected))
        placement_expect_node(&source->expected, -1);
    source->expected.shares = strncmp(facts->policy, "interleave:", 11) == 0 ||
                              strncmp(facts->policy, "weighted:", 9) == 0;
    bool one = placement_expected_nodes(&source->expected) == 1;
    for (int node = 0; one && node < PLACEMENT_NODES; node++)
        if (source->expected.weights[node] != 0)
            source->node = node;
}

/* For memory that the allocator leaves where the kernel puts it. */
static void follow_task_policy(struct memory_source *source, const struct memory_facts *facts) {
    bool bare = facts->all_nodes != NULL && facts->cpu_node >= 0 &&
                facts->cpu_node < PLACEMENT_NODES &&
                placement_expected_nodes(facts->all_nodes) > 0 &&
                facts->all_nodes->weights[facts->cpu_node] == 0;
    if (facts->task_node != MEMORY_NO_POLICY) {
        expect_node(source, facts->task_node);
        return;
    }
    source->first_touch = true;
    if (bare) /* the node has CPUs only: the kernel chooses another */
        expect_node(source, -1);
}

void memory_describe(struct memory_source *source, const struct memory_facts *facts) {
    *source = (struct memory_source){.pages = "default", .policy = "none"};
    source->local_node = facts->cpu_node;
    expect_node(source, facts->cpu_node);
    if (facts->libnuma_node >= 0) {
        source->by_libnuma = true;
        expect_node(source, facts->libnuma_node);
        snprintf(source->allocator, sizeof source->allocator, "libnuma");
        snprintf(source->policy, sizeof source->policy, "bind:%d", facts->libnuma_node);
        return;
    }
    snprintf(source->allocator, sizeof source->allocator, "%s", allocator_name(facts->malloc_file));
    if (strcmp(source->allocator, "numa_alloc") != 0) {
        follow_task_policy(source, facts);
        return;
    }
    if (facts->pages != NULL)
        snprintf(source->pages, sizeof source->pages, "%s", facts->pages);
    if (facts->min_size != NULL)
        (void)units_parse_size(facts->min_size, &source->min_size_bytes);
    if (facts->policy == NULL) {
        snprintf(source->policy, sizeof source->policy, "bind:%d", facts->lowest_memory_node);
        expect_node(source, facts->lowest_memory_node);
        return;
    }
    snprintf(source->policy, sizeof source->policy, "%s", facts->policy);
    if (strcmp(source->policy, "none") == 0)
        follow_task_policy(source, facts);
    else if (strcmp(source->policy, "local") != 0)
        expect_policy(source, facts);
}

int memory_task_node(void) {
    struct bitmask *nodes = numa_allocate_nodemask();
    int mode, node = MEMORY_NO_POLICY;
    /* The kernel refuses a mask shorter than its own; libnuma's is as long. */
    if (get_mempolicy(&mode, nodes->maskp, nodes->size + 1, NULL, 0) == 0 && mode != MPOL_DEFAULT &&
        numa_bitmask_weight(nodes) > 0) {
        bool one = numa_bitmask_weight(nodes) == 1;
        node = MEMORY_SEVERAL_NODES;
        for (unsigned i = 0; one && i < nodes->size; i++)
            if (numa_bitmask_isbitset(nodes, i))
                node = (int)i;
    }
    numa_free_nodemask(nodes);
    return node;
}

/* What numa_alloc does with blocks that its policy does not apply to. */
static void place_locally(struct memory_source *source) {
    source->first_touch = false;
    snprintf(source->policy, sizeof source->policy, "local");
    expect_node(source, source->local_node);
}

void *memory_get(struct memory_source *source, size_t size_bytes, const char **why) {
    void *memory;
    if (!source->by_libnuma) {
        size_t whole = (size_bytes + MEMORY_ALIGN_BYTES - 1) & ~(MEMORY_ALIGN_BYTES - 1);
        if (whole < source->min_size_bytes)
            place_locally(source);
        memory = aligned_alloc(MEMORY_ALIGN_BYTES, whole);
        if (memory == NULL)
            *why = strerror(errno);
        return memory;
    }
    if (numa_available() < 0) {
        *why = "the kernel refuses memory policies (get_mempolicy)";
        return NULL;
    }
    numa_set_bind_policy(1); /* or libnuma would only prefer the node */
    libnuma_errno = 0;
    memory = numa_alloc_onnode(size_bytes, source->node);
    if (memory != NULL && libnuma_errno == 0)
        return memory;
    *why = strerror(memory == NULL ? ENOMEM : libnuma_errno);
    if (memory != NULL)
        numa_free(memory, size_bytes);
    return NULL;
}

void memory_free(const struct memory_source *source, void *memory, size_t size_bytes) {
    if (source->by_libnuma)
        numa_free(memory, size_bytes);
    else
        free(memory);
}
