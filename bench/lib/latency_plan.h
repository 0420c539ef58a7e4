/* What bench/latency is to measure: orders, sizes, chains and kinds of pages. */
#ifndef BENCH_LATENCY_PLAN_H
#define BENCH_LATENCY_PLAN_H

#include <stdbool.h>
#include <stddef.h>

#include "page_kind.h"
#include "ring.h"

#define PLAN_SETTINGS_MAX 128
#define PLAN_VARIANT_TEXT 32

/* One order and size; all chains and all kinds of pages are measured on it, in turns. */
struct setting {
    char variant[PLAN_VARIANT_TEXT]; /* without the number of chains */
    struct ring_shape shape;
    size_t size_bytes;
};

struct plan {
    struct setting settings[PLAN_SETTINGS_MAX];
    size_t setting_count;
    size_t chains[RING_STARTS];
    size_t chain_count;
    enum page_kind kinds[PAGE_KINDS]; /* PAGE_KINDS alone: the session's own memory */
    size_t kind_count;
};

/* Each reads a list with commas and adds what it names to a plan that began zeroed: orders at
 * random within groups of so many bytes, in order at such strides, kinds of pages, numbers of
 * chains. False for what is none; the plan is then of no use. */
bool plan_add_groups(struct plan *plan, const char *list);
bool plan_add_strides(struct plan *plan, const char *list);
bool plan_add_pages(struct plan *plan, const char *list);
bool plan_add_chains(struct plan *plan, const char *list);

/* Adds the random order in all sizes from 4 KiB to size_bytes, four an octave. */
void plan_add_curve(struct plan *plan, size_t size_bytes);

/* Fills in what no option named: one chain through size_bytes at random, in the session's memory.
 */
void plan_complete(struct plan *plan, size_t size_bytes);

#endif
