/* The process-wide state, set up once and then only read, and the ways to report a problem. */
#pragma once

#include "config.c"
#include "types.h"

static struct runtime {
    _Atomic(bool) ready;
    struct config config;
    struct topology topology;
    struct pool *pools; /* one a memory node, by rising id, and then policy_pool if it is not one */
    unsigned pool_count;
    unsigned node_count;       /* memory nodes */
    struct pool *policy_pool;  /* of blocks the policy applies to; NULL: local, the node's own */
    struct rotation *rotation; /* of pages, where the policy has several nodes; else NULL */
    size_t turns_size_max;     /* blocks without a page take turns as well, up to this size */
    bool follows_node;         /* heaps are chosen by the node a thread runs on */
    uint16_t pool_of_node[NODE_IDS_MAX]; /* where a CPU of that node allocates locally */
    size_t arena_bytes;                  /* how much address space to take at a time */
    size_t segment_bytes;                /* how much of a segment's address range is used */
    size_t huge_page_bytes;              /* of reserved huge pages; 0: none are used */
    size_t span_size_max;                /* larger blocks are mappings of their own */
    uint64_t secrets[4];                 /* of NUMA_ALLOC_CHECKS=on (marks.c) */
    uint8_t guard_kind;                  /* enum guard_kind */
    size_t guard_bytes;                  /* of one guard page; 0: there are none */
    _Atomic(long) guard_mappings;        /* as many mappings as guard pages may take more of */
    _Atomic(bool) warned;                /* the one line about a refused policy is out */
    _Atomic(bool) warned_pages;          /* likewise about huge pages */
    _Atomic(bool) warned_foreign;
    _Atomic(uint64_t) foreign_frees;
} na;

/* Begins the line about something asked for that cannot be had. False when none is due: nothing is
 * to be said, or `said` tells that it was. */
static bool problem_begin(struct message *message, _Atomic(bool) *said) {
    if (na.config.on_error == ON_ERROR_SILENT)
        return false;
    if (na.config.on_error == ON_ERROR_WARN && atomic_exchange(said, true))
        return false;
    message_begin(message);
    return true;
}

/* Ends it with what is done `instead`, or the process, as NUMA_ALLOC_ON_ERROR says. */
static void problem_end(struct message *message, const char *instead) {
    bool stops = na.config.on_error == ON_ERROR_ABORT;
    text_add(&message->text, stops ? "stopping, as NUMA_ALLOC_ON_ERROR=abort asks" : instead);
    message_send(message);
    if (stops)
        sys_abort();
}

/* " (mbind: errno 1, EPERM): " */
static void text_add_failed_call(struct text *text, const char *call, int error) {
    text_add(text, " (");
    text_add(text, call);
    text_add(text, ": ");
    text_add_errno(text, error);
    text_add(text, "): ");
}

/* "node 1", or "nodes 0-1". */
static void text_add_nodes(struct text *text, const struct node_set *nodes) {
    text_add(text, node_set_count(nodes) == 1 ? "node " : "nodes ");
    node_set_format(nodes, text);
}

/* The pool's; "any node" where it follows no policy. */
static void text_add_pool_nodes(struct text *text, const struct pool *pool) {
    if (pool->node >= 0) {
        text_add(text, "node ");
        text_add_unsigned(text, (unsigned)pool->node);
    } else if (node_set_empty(&na.config.nodes)) {
        text_add(text, "any node");
    } else {
        text_add_nodes(text, &na.config.nodes);
    }
}
