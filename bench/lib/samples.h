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
    double value; /* in unit; 0, which no measurement is: there is none, and it is written empty */
    struct placement_verdict placement;
    time_t started_at;
    /* Appended to design.md's columns. NULL, negative and 0 are written empty. */
    const char *isa;       /* instruction set of the loop */
    double write_allocate; /* the value with the lines that stores bring in first */
    double at_controller;  /* the value as the memory controllers counted it */
    int other_cpu, other_cpu_node, other_mem_node; /* the other side: struct series_other */
    const char *pages_on_nodes;                    /* after timing: "N0=65536,N1=2" */
    const char *disturbed;                         /* why the sample is left out of the median */
    double ci_low, ci_high;                        /* of the median of all samples of the series */
    double spread;          /* how far they reach from the median, as a fraction of it */
    const char *stopped_by; /* what ended the sampling: series_stopped_by */
    const char *proof;      /* what was checked of the memory, in words */
    const char *status;     /* of the series: ok, noisy, cached, misplaced, failed */
    const char *reason;     /* for any other status than ok */
};

void samples_write_header(FILE *out);
void samples_write_row(FILE *out, const struct samples_row *row);

#endif
