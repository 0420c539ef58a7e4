/* Latency under load: a victim chases a ring while aggressors on other CPUs move memory, at rates
 * from none to as fast as they can. */
#ifndef BENCH_LOADING_H
#define BENCH_LOADING_H

#include <hwloc.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aggressor.h"
#include "crew.h"
#include "knee.h"
#include "series.h"
#include "session.h"

#define LOADING_STEPS 13
enum { LOADING_IDLE = 0, LOADING_FULL = LOADING_STEPS - 1 };

/* The traffic, and what its steps are called: "idle", "10%", ..., "full"; of another mix than reads
 * alone "idle", "2:1 10%", ..., "2:1 full". */
#define LOADING_STEP_TEXT 32
struct loading_plan {
    struct aggressor_mix mix;
    char step_names[LOADING_STEPS][LOADING_STEP_TEXT];
};

void loading_plan(struct loading_plan *plan, const struct aggressor_mix *mix);

/* What a step measures; the traffic that stores add is in bandwidth.write_allocate. */
struct loading_figure {
    struct series latency; /* ns a load of the victim */
    /* GB/s (1e9 bytes) of all together: lines that were loaded or stored, times 64 bytes. */
    struct series bandwidth;
};

struct loading {
    struct session *session;
    unsigned victim_cpu;
    const struct loading_plan *plan;
    struct crew crew; /* member 0 is the victim, member i runs aggressors[i - 1] */
    void **at;        /* where the victim is on its ring */
    size_t aggressor_count;
    struct aggressor *aggressors;
    double *rates;               /* of each, unpaced, in lines/ns */
    uint64_t *lines, *lines_now; /* of each, when the sample began and ended */
    double lines_per_ns;         /* of all and the victim, unpaced */
    size_t burst;
    size_t step;
    struct loading_figure *figure; /* the step's; NULL while calibrating */
    atomic_bool stop __attribute__((aligned(128)));
};

/* Pins the caller to the victim's CPU and starts a thread on each of the aggressors', which may be
 * none. The series measured point into the plan. Returns 0 or an errno; after an error threads may
 * wait for ever, so the process has to end. */
int loading_start(struct loading *loading, struct session *session, unsigned victim_cpu,
                  hwloc_const_bitmap_t aggressor_cpus, const struct loading_plan *plan);

/* Sets the ring that the victim goes on with, and cuts the aggressors' memory into equal parts. Its
 * pages have been written to, or they would all be the one page of zeros. False when the parts are
 * too small for the mix. */
bool loading_use(struct loading *loading, void **ring, char *memory, size_t size_bytes);

/* Measures the victim alone. */
void loading_idle(struct loading *loading, struct loading_figure *figure);

/* Measures at full rate. As all that follow, it ends the program with a reason when an aggressor
 * gets no time on its CPU for seconds. */
void loading_full(struct loading *loading, struct loading_figure *figure);

/* Measures at all rates, figures[1] to figures[LOADING_FULL]; figures[0] is idle, measured before.
 */
void loading_rates(struct loading *loading, struct loading_figure figures[LOADING_STEPS]);

/* Settles such figures and adds their knee (knee.h) to a zeroed series: the bandwidth in GB/s at
 * which latency is KNEE_RISE x idle. False when there is none; *rise is how many times idle latency
 * at full rate is. */
bool loading_knee(struct loading_figure figures[LOADING_STEPS], struct series *knee, double *rise);

/* Ends the threads. */
void loading_end(struct loading *loading);

#endif
