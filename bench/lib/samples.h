/* samples.csv: one row a sample, with the columns of design.md, section 3. */
#ifndef BENCH_SAMPLES_H
#define BENCH_SAMPLES_H

#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include "placement.h"

/* What a benchmark knows of a sample. The columns run, round and cell stay empty: they belong to a
 * sweep, which fills them when it collects. */
struct samples_row {
    const char *host, *bench, *metric, *unit, *variant;
    unsigned cpu;
    int cpu_node, mem_node; /* kernel ids; negative (unknown, or no single node) is written empty */
    const char *allocator, *policy, *pages;
    unsigned threads;
    uint64_t size_bytes;
    double value; /* in unit */
    struct placement_verdict placement;
    time_t started_at;
};

void samples_write_header(FILE *out);
void samples_write_row(FILE *out, const struct samples_row *row);

#endif
