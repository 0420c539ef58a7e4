#include "migration_run.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ring.h"
#include "units.h"
#include "warmup.h"

/* Any fixed number will do; fixed, so that two runs walk the same ring. */
#define RING_SEED 20261122

/* A reading during which fewer of the pages asked for moved is one of pages at rest. */
#define MOVED_ENOUGH 0.5

/* Kernels move about 1 GB/s, an emulated one a tenth: the other thread is given 16 s for a GB that
 * a call moves, and these. */
#define PATIENCE_NS        5000000000u
#define PATIENCE_NS_A_BYTE 16

/* Lays the reader's ring through all of the memory. False with figure failed. */
static bool lay_ring(struct migration_reader *reader, const struct migration_memory *memory,
                     struct migration_figure *figure) {
    struct ring ring;
    int error = ring_build(&ring, memory->start, memory->pages * memory->page_bytes, RING_SEED);
    if (error != 0)
        migration_fail(figure, "cannot lay the ring: %s", strerror(error));
    else if (!ring_is_whole(&ring))
        migration_fail(figure, "the ring is broken: not back after exactly %zu loads", ring.lines);
    else
        reader->at = ring.starts[0];
    return figure->failed[0] == '\0';
}

/* Ends the program when the other thread gets no time, at once, since it cannot be waited for. */
static void read_or_give_up(struct migration_run *run, const struct migration_figure *figure) {
    if (migration_read(&run->reader, &run->crew))
        return;
    migration_show_progress(NULL, NULL, 0, 0);
    session_fail(run->session, figure->variant,
                 "the thread that moves pages got too little time on CPU %u: other programs use it",
                 run->mover_cpu);
    crew_release(&run->crew);
    exit(SESSION_NOT_MEASURED);
}

/* Reads until the mean load takes as long as before. */
static void warm_up_reading(struct migration_run *run, const struct migration_figure *figure) {
    struct warmup warmup = {0};
    struct migration_reader *reader = &run->reader;
    reader->min_ns = session_warmup_ns(run->session);
    do
        read_or_give_up(run, figure);
    while (reader->error == 0 &&
           !warmup_add(&warmup,
                       migration_spans_summarise(&reader->spans, MIGRATION_SPAN_LOADS).mean_ns,
                       run->session->precision.fraction));
}

/* What the samples of a reading add up to. */
struct readings {
    uint64_t asked, moved, not_known, moving_ns, faults, spans;
};

/* Whether pages moved under the reading; false with figure failed. Those of which the kernel does
 * not tell are not held against it. */
static bool check_moves(const struct migration_reader *reader, struct migration_figure *figure) {
    size_t moved = reader->changes.moved;
    if ((double)(moved + reader->changes.not_known) >= MOVED_ENOUGH * (double)reader->asked)
        return true;
    double fraction = (double)moved / (double)reader->asked;
    figure->missed = (struct placement_verdict){.status = PLACEMENT_FAILED, .fraction = fraction};
    migration_fail(figure, "%.2f %% of the pages asked for moved meanwhile", 100 * fraction);
    return false;
}

/* Whether the memory is where it should be after a reading: on one node or the other. */
static struct placement_verdict judge(const struct migration_reader *reader,
                                      const struct migration_memory *memory,
                                      const struct migration_arrival *one) {
    struct migration_arrival other = migration_ask(memory, memory->pages, 1, false);
    bool same = memory->nodes[0] == memory->nodes[1];
    bool told = one->told && other.told && reader->changes.not_known == 0;
    struct placement_verdict verdict = {
        .status = told ? PLACEMENT_VERIFIED : PLACEMENT_UNVERIFIED,
        .fraction = same ? one->fraction : one->fraction + other.fraction,
        .error = one->error,
    };
    if (told && verdict.fraction < PLACEMENT_ENOUGH)
        verdict.status = PLACEMENT_FAILED;
    return verdict;
}

/* Adds a sample to the figure's three series. False with figure failed. */
static bool add_reading(struct migration_run *run, const struct migration_memory *memory,
                        struct series series[3], struct migration_figure *figure,
                        struct readings *readings) {
    struct migration_reader *reader = &run->reader;
    struct sample sample = {.started_at = time(NULL)};
    reader->min_ns = session_min_sample_ns(run->session);
    read_or_give_up(run, figure);
    if (reader->error != 0) {
        migration_fail(figure, "%s: %s", migration_call_names[reader->shuttle->call],
                       strerror(reader->error));
        return false;
    }
    readings->asked += reader->asked;
    readings->moved += reader->changes.moved;
    readings->not_known += reader->changes.not_known;
    readings->moving_ns += reader->moving_ns;
    if (!check_moves(reader, figure))
        return false;
    sample.disturbed =
        migration_read_disturbance(reader, &run->session->watch, run->session->cpus[0]);
    readings->faults += reader->after.faults - reader->before.faults;
    readings->spans += reader->spans.count;
    struct migration_latency latency =
        migration_spans_summarise(&reader->spans, MIGRATION_SPAN_LOADS);
    const double values[3] = {latency.median_ns, latency.p99_ns, latency.mean_ns};
    for (size_t i = 0; i < 3; i++) {
        sample.value = values[i];
        series_add(&series[i], &sample);
    }
    struct migration_arrival one = migration_ask(memory, memory->pages, 0, false);
    figure->placement = placement_worse(figure->placement, judge(reader, memory, &one));
    migration_note_nodes(figure, memory, &one);
    return true;
}

static void write_proof(struct migration_figure *figure, const struct migration_memory *memory,
                        const struct readings *readings) {
    double moved_bytes = (double)readings->moved * (double)memory->page_bytes;
    size_t room = sizeof figure->proof;
    size_t length = (size_t)snprintf(
        figure->proof, room, "one ring; %" PRIu64 " spans; %" PRIu64 " page faults of the reader",
        readings->spans, readings->faults);
    if (readings->moving_ns > 0 && length < room)
        length += (size_t)snprintf(
            figure->proof + length, room - length,
            "; %" PRIu64 " of %" PRIu64 " pages asked for moved meanwhile at %.3g GB/s",
            readings->moved, readings->asked, moved_bytes / (double)readings->moving_ns);
    if (readings->not_known > 0 && length < room)
        snprintf(figure->proof + length, room - length, "; of %" PRIu64 " the kernel did not tell",
                 readings->not_known);
}

void migration_measure_latency(struct migration_run *run, enum page_kind kind, const int nodes[2],
                               enum migration_call call, size_t batch) {
    static const char *const metrics[2][3] = {
        {METRIC_IDLE, METRIC_IDLE METRIC_P99, METRIC_IDLE METRIC_MEAN},
        {METRIC_DURING, METRIC_DURING METRIC_P99, METRIC_DURING METRIC_MEAN},
    };
    const struct session *session = run->session;
    bool moving = nodes[0] != nodes[1];
    struct series *series = migration_series(run, 3);
    struct migration_memory memory;
    struct readings readings = {0};
    size_t failures = 0;
    char variant[MIGRATION_VARIANT_TEXT] = "idle", cache[UNITS_SIZE_TEXT];
    if (moving)
        migration_variant(call, batch, variant);
    migration_show_progress(page_kind_name(kind), variant, nodes[0], nodes[1]);
    struct migration_figure *figure = migration_figure(variant, nodes[0], nodes[1]);
    if (moving) {
        figure->other.cpu = (int)run->mover_cpu;
        figure->other.cpu_node = run->mover_node;
    } else {
        figure->other.mem_node = -1;
    }
    bool got = migration_get(&memory, kind, run->ring_bytes, nodes, figure) &&
               lay_ring(&run->reader, &memory, figure);
    if (memory.pages * memory.page_bytes < 4 * run->cache_bytes)
        snprintf(figure->cached, sizeof figure->cached,
                 "the ring is smaller than 4 x the last-level caches (%s)",
                 units_format_size(run->cache_bytes, cache));
    for (size_t i = 0; i < 3; i++)
        migration_label(&series[i], figure, metrics[moving][i], "ns", &memory);
    if (got) {
        struct migration_shuttle shuttle = {&memory, call, batch, 1, 0};
        size_t a_call = batch < memory.pages ? batch : memory.pages;
        run->reader.shuttle = moving ? &shuttle : NULL;
        run->reader.patience_ns = PATIENCE_NS + a_call * memory.page_bytes * PATIENCE_NS_A_BYTE;
        migration_look(&memory, 0, memory.pages, &(struct migration_changes){0});
        warm_up_reading(run, figure);
        bool ok = true;
        while (ok && !(session_enough(session, &series[0]) && session_enough(session, &series[2])))
            ok = add_reading(run, &memory, series, figure, &readings);
        failures = !ok;
        write_proof(figure, &memory, &readings);
    }
    migration_settle(session, series, 3, figure,
                     got ? migration_pages_of(&memory) : page_kind_name(kind), failures);
    if (memory.pages > 0)
        migration_unmap(&memory);
}
