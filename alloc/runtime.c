/* The process-wide state, set up once and then only read, and the ways to report a problem. */
#pragma once

#include "config.c"
#include "types.h"

static struct runtime {
    _Atomic(bool) ready;
    struct config config;
    struct topology topology;
    struct pool *pools;
    unsigned pool_count;
    uint16_t pool_of_node[NODE_IDS_MAX]; /* policy local: where a CPU of that node allocates */
    size_t arena_bytes;                  /* how much address space to take at a time */
    size_t segment_bytes;                /* how much of a segment's address range is used */
    size_t span_size_max;                /* larger blocks are mappings of their own */
    _Atomic(bool) warned;                /* the one line about a refused policy is out */
    _Atomic(bool) warned_foreign;
    _Atomic(uint64_t) foreign_frees;
} na;

/* A misuse that cannot be survived: one line, then abort, as glibc does. */
__attribute__((noreturn)) static slow_path void die_of_misuse(const char *what,
                                                              const void *pointer) {
    char hex_chars[24];
    struct text hex = {hex_chars, 0, sizeof hex_chars - 1};
    text_add_hex(&hex, (uintptr_t)pointer);
    hex_chars[hex.length] = '\0';
    const char *parts[] = {what, " ", hex_chars};
    say_line(parts, 3);
    sys_abort();
}

/* The kernel refused a pool's policy: counts it and does what NUMA_ALLOC_ON_ERROR says. */
static slow_path void report_refused_policy(struct pool *pool, int error) {
    pool->policy_refusals++;
    pool->policy_errno = error;
    if (na.config.on_error == ON_ERROR_SILENT)
        return;
    if (na.config.on_error == ON_ERROR_WARN && atomic_exchange(&na.warned, true))
        return;
    char node_chars[24], error_chars[24];
    struct text node = {node_chars, 0, sizeof node_chars - 1};
    struct text number = {error_chars, 0, sizeof error_chars - 1};
    text_add_signed(&node, pool->node);
    text_add_signed(&number, error);
    node_chars[node.length] = error_chars[number.length] = '\0';
    const char *parts[] = {
        "the kernel refused to place memory on node ", node_chars, " (mbind: errno ", error_chars,
        na.config.on_error == ON_ERROR_ABORT ? "); stopping, as NUMA_ALLOC_ON_ERROR=abort asks"
                                             : "); it is placed where it is first touched"};
    say_line(parts, 5);
    if (na.config.on_error == ON_ERROR_ABORT)
        sys_abort();
}
