#include "migration_run.h"

#include <inttypes.h>
#include <string.h>

#include "clock.h"
#include "warmup.h"

/* A warm-up takes no longer than so many samples. */
#define WARMUP_SAMPLES 3

/* After so many moves without a single page where it should be, there will be none. */
#define GIVE_UP 3

static void read_counters(uint64_t counters[MIGRATION_COUNTERS]) {
    FILE *vmstat = fopen("/proc/vmstat", "re");
    memset(counters, 0, MIGRATION_COUNTERS * sizeof *counters);
    if (vmstat == NULL)
        return;
    migration_read_counters(vmstat, counters);
    fclose(vmstat);
}

/* "pgmigrate_success 512; ...": what the kernel has counted since, of huge pages as well. */
static void write_counters(const uint64_t before[MIGRATION_COUNTERS], enum page_kind kind,
                           char text[SESSION_PROOF_TEXT]) {
    uint64_t after[MIGRATION_COUNTERS];
    size_t length = (size_t)snprintf(text, SESSION_PROOF_TEXT, "every page asked for");
    read_counters(after);
    for (size_t i = 0; i < MIGRATION_COUNTERS && length < SESSION_PROOF_TEXT; i++) {
        if (i >= MIGRATION_HUGE_MOVED && kind != PAGE_THP)
            break;
        length += (size_t)snprintf(text + length, SESSION_PROOF_TEXT - length, "; %s %" PRIu64,
                                   migration_counter_names[i], after[i] - before[i]);
    }
}

/* One sample of moves to nodes[to]: what was moved, in which time. */
struct moves {
    size_t pages;
    uint64_t elapsed_ns;
    enum disturbance disturbed;
    struct migration_arrival arrival;
};

/* What happened to the thread that moved pages. That it was preempted says nothing: the calls have
 * the kernel's own workers empty each CPU's lists of pages, this one's too. */
static enum disturbance disturbance_of(const struct session *session,
                                       const struct watch_reading *before,
                                       const struct watch_reading *after) {
    enum disturbance found = watch_compare(&session->watch, before, after, session->cpus[0]);
    return found <= DISTURBED_PREEMPTED ? UNDISTURBED : found;
}

/* Moves batches for at least as long, or to the end of the memory. Returns how many pages it asked
 * for; *elapsed_ns is what that took. */
static size_t move_for(struct migration_shuttle *shuttle, uint64_t at_least_ns,
                       uint64_t *elapsed_ns, int *error) {
    size_t asked = 0;
    uint64_t started_ns = clock_ns();
    do {
        asked += migration_step(shuttle, error);
        *elapsed_ns = clock_ns() - started_ns;
    } while (*error == 0 && shuttle->next != 0 && *elapsed_ns < at_least_ns);
    return asked;
}

/* Has all pages leave for nodes[to], for at most as long, and asks where they are. False with the
 * figure failed. */
static bool take_pass(const struct session *session, struct migration_shuttle *shuttle, unsigned to,
                      uint64_t at_least_ns, struct moves *moves, struct migration_figure *figure) {
    struct migration_memory *memory = shuttle->memory;
    struct watch_reading before, after;
    uint64_t elapsed_ns;
    int error = migration_bring(memory, 1 - to);
    if (error != 0) {
        migration_fail(figure, "pages cannot be had on node %d: %s", memory->nodes[1 - to],
                       strerror(error));
        return false;
    }
    shuttle->to = to;
    shuttle->next = 0;
    watch_read(&before);
    size_t asked = move_for(shuttle, at_least_ns, &elapsed_ns, &error);
    watch_read(&after);
    if (error != 0) {
        migration_fail(figure, "%s: %s", migration_call_names[shuttle->call], strerror(error));
        return false;
    }
    enum disturbance found = disturbance_of(session, &before, &after);
    moves->disturbed = found > moves->disturbed ? found : moves->disturbed;
    moves->elapsed_ns += elapsed_ns;
    moves->pages += asked;
    moves->arrival = migration_ask(memory, asked, to, shuttle->call == MIGRATION_MOVE_PAGES);
    if (moves->arrival.told && moves->arrival.fraction < PLACEMENT_ENOUGH) {
        figure->missed = (struct placement_verdict){.status = PLACEMENT_FAILED,
                                                    .fraction = moves->arrival.fraction};
        migration_fail(figure, "%.2f %% of the pages arrived: %s", 100 * moves->arrival.fraction,
                       moves->arrival.error != 0 ? strerror(moves->arrival.error)
                                                 : "no reason given");
        return false;
    }
    if (asked == memory->pages)
        memory->at = memory->nodes[to];
    return true;
}

/* Moves pages for as long as a sample takes. False with the figure failed. */
static bool take_moves(const struct session *session, struct migration_shuttle *shuttle,
                       unsigned to, struct moves *moves, struct migration_figure *figure) {
    uint64_t min_ns = session_min_sample_ns(session);
    *moves = (struct moves){.disturbed = UNDISTURBED};
    while (moves->elapsed_ns < min_ns)
        if (!take_pass(session, shuttle, to, min_ns - moves->elapsed_ns, moves, figure))
            return false;
    return true;
}

/* Moves pages to and fro until a page takes as long as before. */
static void warm_up_moves(const struct session *session, struct migration_shuttle *shuttle) {
    struct warmup warmup = {0};
    uint64_t spent_ns = 0;
    for (bool warm = false; !warm;) {
        uint64_t span_ns = 0, elapsed_ns;
        size_t asked = 0;
        int error = 0;
        while (span_ns < session_warmup_ns(session) && error == 0) {
            asked += move_for(shuttle, session_warmup_ns(session) - span_ns, &elapsed_ns, &error);
            span_ns += elapsed_ns;
        }
        spent_ns += span_ns;
        warm = error != 0 || spent_ns > WARMUP_SAMPLES * session_min_sample_ns(session) ||
               warmup_add(&warmup, (double)span_ns / (double)asked, session->precision.fraction);
    }
}

/* Adds a sample to the figure's two series, or counts a failure; returns whether they need more. */
static bool add_moves(const struct session *session, struct migration_shuttle *shuttle, unsigned to,
                      struct series series[2], struct migration_figure *figure, size_t *failures) {
    struct moves moves;
    struct sample sample = {.started_at = time(NULL)};
    if (!take_moves(session, shuttle, to, &moves, figure)) {
        ++*failures;
        return *failures < GIVE_UP || (series->count > 0 && *failures < session->max_samples.value);
    }
    double page_bytes = (double)shuttle->memory->page_bytes;
    struct placement_verdict verdict = {
        .status = moves.arrival.told ? PLACEMENT_VERIFIED : PLACEMENT_UNVERIFIED,
        .fraction = moves.arrival.fraction,
        .error = moves.arrival.told ? 0 : moves.arrival.error,
    };
    figure->placement = placement_worse(figure->placement, verdict);
    migration_note_nodes(figure, shuttle->memory, &moves.arrival);
    sample.disturbed = moves.disturbed;
    sample.value = (double)moves.pages * page_bytes / (double)moves.elapsed_ns;
    series_add(&series[0], &sample);
    sample.value = (double)moves.elapsed_ns / (double)moves.pages;
    series_add(&series[1], &sample);
    return !session_enough(session, &series[0]) || !session_enough(session, &series[1]);
}

void migration_measure_speed(struct migration_run *run, enum page_kind kind,
                             const struct migration_pair *pair, enum migration_call call,
                             size_t batch) {
    const struct session *session = run->session;
    size_t ways = pair->both ? 2 : 1, failures[2] = {0, 0};
    struct series *series = migration_series(run, 2 * ways);
    struct migration_figure *figures[2];
    struct migration_memory memory;
    char variant[MIGRATION_VARIANT_TEXT];
    uint64_t counters[MIGRATION_COUNTERS];
    migration_variant(call, batch, variant);
    migration_show_progress(page_kind_name(kind), variant, pair->nodes[0], pair->nodes[1]);
    for (size_t way = 0; way < ways; way++)
        figures[way] = migration_figure(variant, pair->nodes[way], pair->nodes[1 - way]);
    bool got = migration_get(&memory, kind, run->size_bytes, pair->nodes, figures[0]);
    for (size_t way = 0; way < ways; way++) {
        migration_label(&series[2 * way], figures[way], METRIC_BANDWIDTH, "GB/s", &memory);
        migration_label(&series[2 * way + 1], figures[way], METRIC_COST, "ns", &memory);
        if (!got)
            memcpy(figures[way]->failed, figures[0]->failed, sizeof figures[0]->failed);
    }
    const char *pages = page_kind_name(kind);
    if (got) {
        struct migration_shuttle shuttle = {&memory, call, batch, 1, 0};
        bool more[2] = {true, pair->both};
        read_counters(counters);
        warm_up_moves(session, &shuttle);
        while (more[0] || more[1])
            for (unsigned way = 0; way < ways; way++)
                more[way] = more[way] && add_moves(session, &shuttle, 1 - way, &series[2 * way],
                                                   figures[way], &failures[way]);
        pages = migration_pages_of(&memory);
        for (size_t way = 0; way < ways; way++)
            write_counters(counters, kind, figures[way]->proof);
    }
    for (size_t way = 0; way < ways; way++)
        migration_settle(session, &series[2 * way], 2, figures[way], pages, failures[way]);
    if (memory.pages > 0)
        migration_unmap(&memory);
}
