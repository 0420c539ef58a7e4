/* Active false sharing: an allocator that serves threads in turns from one line makes them share
 * it, though the program's data are private; counters and small nodes of parallel loops suffer. */
#include "false_sharing.h"
#include "workloads.h"

const struct workload workload_false_sharing_active = {
    .name = "false-sharing-active",
    .about = "threads write to small blocks of their own; operation: malloc, 100 writes, free",
    .threads = 2,
    .threads_min = 2,
    .threads_step = 1,
    .operations = 6000000,
    .work = false_sharing_loop,
};
