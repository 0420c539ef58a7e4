/* A run of bench/migrate: its figures, and how each is measured. */
#ifndef BENCH_MIGRATION_RUN_H
#define BENCH_MIGRATION_RUN_H

#include "migration.h"
#include "migration_reader.h"
#include "session.h"

/* Of each move, two series, one after the other. */
#define METRIC_BANDWIDTH "migration_bandwidth" /* GB/s */
#define METRIC_COST      "migration_cost"      /* ns a page */

/* Of each reading, three series, one after the other: "latency_idle", "latency_idle_p99",
 * "latency_idle_mean", or with during. */
#define METRIC_IDLE   "latency_idle"
#define METRIC_DURING "latency_during"
#define METRIC_P99    "_p99"
#define METRIC_MEAN   "_mean"

struct migration_pair {
    int nodes[2];
    bool both; /* ways; else only from nodes[0] to nodes[1] */
};

struct migration_run {
    struct session *session;
    uint64_t size_bytes;  /* that are moved */
    uint64_t ring_bytes;  /* that are read */
    uint64_t cache_bytes; /* of all last-level caches; 0: not known */
    struct migration_batches batches;
    unsigned kinds, calls; /* a bit each */
    struct migration_pair *pairs;
    size_t pair_count;
    struct series *series;
    size_t count, capacity;
    struct crew crew; /* the reader, and the one that moves its pages */
    unsigned mover_cpu;
    int mover_node;
    bool has_mover;
    struct migration_reader reader;
};

/* What the series of one move or reading say of themselves; where it is, it stays. */
struct migration_figure {
    int mem_node;
    struct series_other other;
    struct placement_verdict placement;
    struct placement_verdict missed; /* of the latest sample that failed, if pages were asked for */
    char variant[MIGRATION_VARIANT_TEXT];
    char pages_on_nodes[64]; /* after the last sample */
    char proof[SESSION_PROOF_TEXT], cached[SESSION_PROOF_TEXT];
    char failed[SESSION_PROOF_TEXT]; /* why the latest sample to fail did; empty: none has */
};

/* A figure that is verified until it is found not to be. Ends the program when there is no memory,
 * as all of these do. */
struct migration_figure *migration_figure(const char *variant, int from, int to);

void migration_fail(struct migration_figure *figure, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Room for `count` series more; a pointer to them is good until the next call. */
struct series *migration_series(struct migration_run *run, size_t count);

/* Says what a series is of. */
void migration_label(struct series *series, const struct migration_figure *figure,
                     const char *metric, const char *unit, const struct migration_memory *memory);

/* Notes where the pages were found. */
void migration_note_nodes(struct migration_figure *figure, const struct migration_memory *memory,
                          const struct migration_arrival *arrival);

/* Once all samples are taken: has the series say which pages they are of by now. Without a sample
 * the figure has failed; with some, it is said how many others did. */
void migration_settle(const struct session *session, struct series *series, size_t count,
                      struct migration_figure *figure, const char *pages, size_t failures);

/* Which pages the memory has in truth: "base", "thp", "2M", "1G" or "mixed". */
const char *migration_pages_of(const struct migration_memory *memory);

/* Maps memory of the kind and has it on nodes[0]. False with the figure failed; memory then has 0
 * pages if it was not even mapped. */
bool migration_get(struct migration_memory *memory, enum page_kind kind, uint64_t size_bytes,
                   const int nodes[2], struct migration_figure *figure);

/* Shows which figure is being measured, where a terminal can take it back; kind NULL: none. */
void migration_show_progress(const char *kind, const char *variant, int from, int to);

/* Adds how fast a pair's pages move, in one or both directions in turns. */
void migration_measure_speed(struct migration_run *run, enum page_kind kind,
                             const struct migration_pair *pair, enum migration_call call,
                             size_t batch);

/* Adds what a load costs on memory of the kind: at rest on nodes[0] when both nodes are the same,
 * else while its pages are moved between them. */
void migration_measure_latency(struct migration_run *run, enum page_kind kind, const int nodes[2],
                               enum migration_call call, size_t batch);

/* The program's table for people. */
void migration_print_table(const struct session *session, const struct series *series,
                           size_t count);

#endif
