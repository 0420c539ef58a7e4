/* Latency of dependent loads: rings laid in memory, and the chains that are chased through them. */
#ifndef BENCH_CHASE_H
#define BENCH_CHASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "page_kind.h"
#include "ring.h"
#include "series.h"
#include "session.h"
#include "warmup.h"

/* Memory with a ring in it. */
struct chase_field {
    void *memory;
    size_t size_bytes;
    struct ring_shape shape;
    enum page_kind kind; /* PAGE_KINDS: the session's own memory, from malloc or libnuma */
    struct ring ring;
    struct placement_tally before;
    struct placement_verdict placement;
};

/* One figure: how long a load takes with so many chains through a field at a time. */
struct chase_figure {
    struct chase_field *field;
    size_t chains; /* 1 to RING_STARTS */
    struct series *series;
    void **at[RING_STARTS];
    size_t chunk_loads; /* of each chain between two looks at the clock */
    struct warmup warmup;
};

/* Lays the field's ring and proves it, or says why not (session_fail). Before that the memory may
 * be untouched. */
bool chase_lay(const struct session *session, struct chase_field *field, const char *variant);

/* Warms the figures up, then takes samples in turns until every one has enough of them. All are of
 * one field: another one's lines would have to leave the caches first. They run on the session's
 * first CPU, which the caller is pinned to. */
void chase_measure(const struct session *session, struct chase_figure *figures, size_t count);

/* True when every chain of the figures is still on its ring, which also is the use of what the
 * loads returned: without one the compiler may drop them all. */
bool chase_is_on_ring(const struct chase_figure *figures, size_t count);

#endif
