/* The samples of one figure, in the order taken and sorted, and when there are enough. */
#ifndef BENCH_SERIES_H
#define BENCH_SERIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "placement.h"
#include "stats.h"
#include "watch.h"

struct sample {
    double value;
    double at_controller; /* the same as the memory controllers counted it; 0: not counted */
    time_t started_at;
    enum disturbance disturbed;
};

/* The other side of a measurement between two: the answering CPU, the aggressor, where pages came
 * from. Without one all are negative. */
struct series_other {
    int cpu, cpu_node, mem_node;
};

#define SERIES_NO_OTHER ((struct series_other){-1, -1, -1})

/* What is 0, NULL or negative of these is the session's. Zeroed but for `variant`, a series is one
 * of a program with a single metric. */
struct series {
    const char *variant;
    const char *metric, *unit;
    const char *isa; /* instruction set of the loop; NULL: nothing to name */
    /* What the value is multiplied by to count the lines that stores bring into the cache first; 0:
     * not a bandwidth. */
    double write_allocate;
    const unsigned *cpu; /* measured from */
    int cpu_node;        /* of *cpu */
    const int *mem_node;
    const struct series_other *other;
    unsigned threads;
    uint64_t size_bytes;
    const char *allocator, *policy, *pages, *pages_on_nodes;
    const struct placement_verdict *placement;
    const char *proof;  /* what was checked of this series alone */
    const char *cached; /* why the figure is of caches, not of memory */
    /* Follows from other series, so one sample is all there is: no interval is expected. */
    bool derived;
    bool doubtful;      /* one of those others is not known as well as asked for */
    const char *failed; /* why there is no sample; the report then has a row that says so */

    size_t count, capacity;
    struct sample *taken;
    size_t undisturbed;
    double *sorted; /* values of the undisturbed samples, ascending; series_settle may add all */
};

/* Adds a sample; a marked one is kept, but left out of `sorted`. Ends the program with one line
 * when there is no memory. */
void series_add(struct series *series, const struct sample *sample);

/* True when the median's 95 % interval is within `precision` (a fraction) of it, or there are
 * max_samples samples, marked ones included. */
bool series_enough(const struct series *series, size_t max_samples, double precision);

/* Once all are taken: where every sample is marked there would be no median, nor an interval with
 * few unmarked ones, so with fewer than STATS_MIN_SAMPLES of them the marked ones count too. */
void series_settle(struct series *series);

/* Of a settled series: the samples that count. */
struct stats_summary series_summary(const struct series *series);

/* Why a settled series has no more samples: "precision", "max-samples", or "disturbed" when it
 * counts marked ones. */
const char *series_stopped_by(const struct series *series, double precision);

void series_free(struct series *series);

#endif
