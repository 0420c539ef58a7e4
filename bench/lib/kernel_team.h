/* Threads, each with a slice of three arrays, that run one kernel at a time together. */
#ifndef BENCH_KERNEL_TEAM_H
#define BENCH_KERNEL_TEAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crew.h"
#include "kernels.h"
#include "placement.h"
#include "session.h"
#include "watch.h"

#define KERNEL_ARRAYS 3

struct kernel_team {
    struct crew crew;
    const struct session *session;
    struct kernel_worker *workers; /* one a member of the crew */
    double *blocks[KERNEL_ARRAYS];
    size_t block_bytes;
    /* Of what runs next: */
    enum kernel_id id;
    kernel_run *run;
    uint64_t passes;
    char why[SESSION_PROOF_TEXT]; /* it could not be started */
};

/* Gets the arrays, size_bytes each, and starts `threads` threads on the session's first CPUs; each
 * fills its own slice. False with the reason in team->why; the process then has to end, because
 * threads may wait for ever. */
bool kernel_team_start(struct kernel_team *team, struct session *session, size_t threads,
                       uint64_t size_bytes);

/* Ends the threads and gives the memory back. */
void kernel_team_end(struct kernel_team *team);

/* Where the slices are, each asked about by the thread that uses it. */
struct placement_tally kernel_team_ask(struct kernel_team *team);

/* Bytes of one pass of all threads. */
struct kernel_traffic kernel_team_traffic(const struct kernel_team *team, enum kernel_id id);

struct kernel_time {
    uint64_t elapsed_ns; /* from the first start to the last end */
    enum disturbance disturbed;
    bool right; /* what reading kernels returned is the sum of what was to be read */
};

/* Has every thread run the kernel `passes` times. */
struct kernel_time kernel_team_run(struct kernel_team *team, enum kernel_id id, kernel_run *run,
                                   uint64_t passes);

/* Wipes what kernels leave: kernel_wipe of every slice. */
void kernel_team_wipe(struct kernel_team *team);

/* kernel_check_sources of every slice. */
const char *kernel_team_check_sources(struct kernel_team *team);

/* kernel_check_and_wipe of every slice, after the kernel ran on what was filled or wiped. */
const char *kernel_team_check_and_wipe(struct kernel_team *team, enum kernel_id id);

#endif
