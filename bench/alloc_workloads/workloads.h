/* Every workload's row; allocs.c lists them in the order in which they run. */
#ifndef ALLOCS_WORKLOADS_H
#define ALLOCS_WORKLOADS_H

#include "workload.h"

extern const struct workload workload_small, workload_mixed, workload_lifo, workload_fifo,
    workload_server, workload_producer_consumer, workload_free_only, workload_churn,
    workload_false_sharing_active, workload_false_sharing_passive, workload_realloc, workload_large,
    workload_aligned, workload_tree, workload_hash, workload_pair;

#endif
