#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include "memory.h"

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

/* The node of "bind:N" and "preferred:N"; negative for every other policy. */
static int named_node(const char *policy) {
    static const char *const prefixes[] = {"bind:", "preferred:"};
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        size_t length = strlen(prefixes[i]);
        uint64_t node;
        if (strncmp(policy, prefixes[i], length) == 0 &&
            units_parse_count(policy + length, 0, INT32_MAX, &node))
            return (int)node;
    }
    return -1;
}

/* For memory that the allocator leaves where the kernel puts it. */
static void follow_task_policy(struct memory_source *source, const struct memory_facts *facts) {
    if (facts->task_node == MEMORY_NO_POLICY)
        source->first_touch = true;
    else
        source->node = facts->task_node;
}

void memory_describe(struct memory_source *source, const struct memory_facts *facts) {
    *source = (struct memory_source){.node = facts->cpu_node, .pages = "default", .policy = "none"};
    if (facts->libnuma_node >= 0) {
        source->by_libnuma = true;
        source->node = facts->libnuma_node;
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
    if (facts->policy == NULL)
        snprintf(source->policy, sizeof source->policy, "bind:%d", facts->lowest_memory_node);
    else
        snprintf(source->policy, sizeof source->policy, "%s", facts->policy);
    if (strcmp(source->policy, "none") == 0)
        follow_task_policy(source, facts);
    else if (strcmp(source->policy, "local") != 0)
        source->node = named_node(source->policy);
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

void *memory_get(const struct memory_source *source, size_t size_bytes, const char **why) {
    void *memory;
    if (!source->by_libnuma) {
        size_t whole = (size_bytes + MEMORY_ALIGN_BYTES - 1) & ~(MEMORY_ALIGN_BYTES - 1);
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
