#include "victim_matrix.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ring.h"
#include "topology.h"

#define RING_SEED 20261122

/* A node's memory: a victim's ring, and what aggressors go through. One that only one of them uses
 * has no other. */
struct place {
    int node;
    struct memory_source source;
    void *ring, *traffic;
    void **at; /* where the last victim left the ring */
    struct placement_tally before;
    struct placement_verdict verdict;
};

/* A victim beside aggressors. */
struct pair {
    struct series_other other;
    struct placement_verdict placement;
    struct loading_figure figures[LOADING_STEPS]; /* the first is the victim's alone */
    struct series knee;
};

struct bench {
    struct session *session;
    const struct victim_matrix *matrix;
    struct victim_node *nodes;
    size_t node_count;
    struct place *places;
    size_t place_count;
    struct loading_figure *alone; /* victims without aggressors: [node][place] */
    struct pair *pairs;           /* [node][place][aggressors' node][their place] */
    struct series *series;
    size_t series_count;
};

static struct loading_figure *alone_of(const struct bench *bench, size_t victim, size_t place) {
    return &bench->alone[victim * bench->place_count + place];
}

static struct pair *pair_of(const struct bench *bench, size_t victim, size_t place, size_t from,
                            size_t at) {
    size_t row = victim * bench->place_count + place;
    return &bench->pairs[row * bench->node_count * bench->place_count + from * bench->place_count +
                         at];
}

/* Memory. */

static bool may_be(int chosen, int node) {
    return chosen < 0 || chosen == node;
}

/* False with the reason said, when the node's memory cannot be had. */
static bool get_block(struct bench *bench, struct place *place, void **block) {
    const char *why;
    *block = memory_get(&place->source, bench->session->size.value, &why);
    if (*block != NULL)
        return true;
    session_fail(bench->session, "idle", "cannot get memory on node %d: %s", place->node, why);
    return false;
}

/* Written on the node it is bound to. False with the reason said. */
static bool fill_place(struct bench *bench, struct place *place) {
    size_t size_bytes = bench->session->size.value;
    struct ring ring;
    if (may_be(bench->matrix->victim_memory, place->node)) {
        if (!get_block(bench, place, &place->ring))
            return false;
        int error = ring_build(&ring, place->ring, size_bytes, RING_SEED);
        if (error != 0 || !ring_is_whole(&ring)) {
            session_fail(bench->session, "idle", "cannot lay a whole ring on node %d: %s",
                         place->node, strerror(error));
            return false;
        }
        place->at = ring.starts[0];
        placement_add(&place->before, place->ring, size_bytes, &place->source.expected);
    }
    if (!may_be(bench->matrix->aggressor_memory, place->node))
        return true;
    if (!get_block(bench, place, &place->traffic))
        return false;
    /* Written, or all pages would be the one page of zeros. */
    memset(place->traffic, 1, size_bytes);
    placement_add(&place->before, place->traffic, size_bytes, &place->source.expected);
    return true;
}

/* Gets memory on each node that has enough and that the matrix asks for. False with the reason
 * said. */
static bool get_memory(struct bench *bench) {
    struct session *session = bench->session;
    const struct victim_matrix *matrix = bench->matrix;
    hwloc_bitmap_t usable = hwloc_bitmap_alloc();
    topology_usable_nodes(session->topology, usable);
    bench->places = calloc((size_t)hwloc_bitmap_weight(usable) + 1, sizeof *bench->places);
    bool ok = bench->places != NULL;
    for (int node = hwloc_bitmap_first(usable); ok && node >= 0;
         node = hwloc_bitmap_next(usable, node)) {
        struct place *place = &bench->places[bench->place_count];
        bool ring = may_be(matrix->victim_memory, node);
        uint64_t blocks = (uint64_t)ring + may_be(matrix->aggressor_memory, node);
        uint64_t node_bytes = topology_node_bytes(session->topology, (unsigned)node);
        if (blocks == 0)
            continue;
        /* A node that cannot hold them would get the process killed. */
        if (session->size.value > node_bytes / blocks) {
            session_say(session,
                        "skipped: node %d's memory: it has %" PRIu64 "M in all, %" PRIu64
                        "M are wanted; see --size",
                        node, node_bytes >> 20, session->size.value * blocks >> 20);
            continue;
        }
        place->node = node;
        memory_describe(&place->source, &(struct memory_facts){.libnuma_node = node});
        bench->place_count++;
        ok = fill_place(bench, place);
    }
    hwloc_bitmap_free(usable);
    return ok;
}

static void free_memory(struct bench *bench) {
    for (size_t i = 0; i < bench->place_count; i++) {
        struct place *place = &bench->places[i];
        if (place->ring != NULL)
            memory_free(&place->source, place->ring, bench->session->size.value);
        if (place->traffic != NULL)
            memory_free(&place->source, place->traffic, bench->session->size.value);
    }
    free(bench->places);
}

/* The report's words on memory, and each place's verdict once all is measured. */
static struct placement_verdict judge_places(struct bench *bench) {
    struct session *session = bench->session;
    struct placement_tally before = {0}, after = {0};
    session->source = (struct memory_source){
        .by_libnuma = true, .allocator = "libnuma", .policy = "bind", .pages = "default"};
    placement_expect_node(&session->source.expected, -1);
    session->source.node = -1;
    for (size_t i = 0; i < bench->place_count; i++) {
        struct place *place = &bench->places[i];
        const struct placement_expected *expected = &place->source.expected;
        struct placement_tally now = {0};
        if (place->ring != NULL)
            placement_add(&now, place->ring, session->size.value, expected);
        if (place->traffic != NULL)
            placement_add(&now, place->traffic, session->size.value, expected);
        place->verdict = placement_worse(placement_judge(&place->before, expected),
                                         placement_judge(&now, expected));
        placement_merge(&before, &place->before);
        placement_merge(&after, &now);
        session->source.expected.weights[place->node] = 1;
    }
    return session_judge(session, &before, &after);
}

/* Measuring. */

/* Ends the program: threads may be waiting for ever. */
static void start(struct bench *bench, struct loading *loading, const struct victim_node *victim,
                  hwloc_const_bitmap_t cpus) {
    int error =
        loading_start(loading, bench->session, victim->victim_cpu, cpus, bench->matrix->plan);
    if (error == 0)
        return;
    session_fail(bench->session, "idle", "cannot start pinned threads beside CPU %u: %s",
                 victim->victim_cpu, strerror(error));
    exit(SESSION_NOT_MEASURED);
}

static void label(struct series *series, const struct victim_node *victim,
                  const struct place *place, unsigned threads) {
    series->cpu = &victim->victim_cpu;
    series->cpu_node = victim->node;
    series->mem_node = &place->node;
    series->policy = place->source.policy;
    series->threads = threads;
}

static void measure_alone(struct bench *bench, size_t victim) {
    struct loading loading;
    hwloc_bitmap_t none = hwloc_bitmap_alloc();
    start(bench, &loading, &bench->nodes[victim], none);
    for (size_t i = 0; i < bench->place_count; i++) {
        struct place *place = &bench->places[i];
        struct loading_figure *figure = alone_of(bench, victim, i);
        if (place->ring == NULL)
            continue;
        loading_use(&loading, place->at, NULL, 0);
        loading_idle(&loading, figure);
        place->at = loading.at;
        /* Before it is copied: what is settled stays as it is. */
        series_settle(&figure->latency);
        series_settle(&figure->bandwidth);
        label(&figure->latency, &bench->nodes[victim], place, 1);
        label(&figure->bandwidth, &bench->nodes[victim], place, 1);
    }
    loading_end(&loading);
    hwloc_bitmap_free(none);
}

static void measure_pair(struct bench *bench, struct loading *loading, size_t victim, size_t ring,
                         size_t from, size_t at) {
    struct pair *pair = pair_of(bench, victim, ring, from, at);
    struct place *place = &bench->places[ring], *target = &bench->places[at];
    const struct victim_node *node = &bench->nodes[victim];
    unsigned threads = (unsigned)loading->aggressor_count + 1;
    if (!loading_use(loading, place->at, target->traffic, bench->session->size.value)) {
        session_fail(bench->session, "idle", "--size is too small for %u aggressors", threads - 1);
        exit(SESSION_NOT_MEASURED);
    }
    pair->figures[LOADING_IDLE] = *alone_of(bench, victim, ring);
    if (bench->matrix->curves) {
        double rise;
        loading_rates(loading, pair->figures);
        loading_knee(pair->figures, &pair->knee, &rise);
    } else {
        loading_full(loading, &pair->figures[LOADING_FULL]);
    }
    place->at = loading->at;
    pair->other = (struct series_other){-1, bench->nodes[from].node, target->node};
    for (size_t i = 1; i < LOADING_STEPS; i++) {
        label(&pair->figures[i].latency, node, place, threads);
        label(&pair->figures[i].bandwidth, node, place, threads);
    }
    label(&pair->knee, node, place, threads);
}

/* Every victim of the node, beside every aggressor of the other. */
static void measure_beside(struct bench *bench, size_t victim, size_t from) {
    struct loading loading;
    hwloc_bitmap_t cpus = hwloc_bitmap_alloc();
    const struct victim_node *here = &bench->nodes[victim], *there = &bench->nodes[from];
    if (victims_beside(here, there, cpus)) {
        start(bench, &loading, here, cpus);
        for (size_t ring = 0; ring < bench->place_count; ring++)
            for (size_t at = 0; at < bench->place_count; at++)
                if (bench->places[ring].ring != NULL && bench->places[at].traffic != NULL)
                    measure_pair(bench, &loading, victim, ring, from, at);
        loading_end(&loading);
    } else if (!hwloc_bitmap_iszero(there->aggressors)) {
        session_say(bench->session,
                    "skipped: victim and aggressors on node %d: CPU %u, the victim's, has none "
                    "beside it there",
                    here->node, here->victim_cpu);
    }
    hwloc_bitmap_free(cpus);
}

/* Reporting. */

static void collect_series(struct bench *bench, struct series series,
                           const struct series_other *other,
                           const struct placement_verdict *placement) {
    if (series.count == 0)
        return;
    series.other = other;
    series.placement = placement;
    bench->series[bench->series_count++] = series;
}

static void collect_pair(struct bench *bench, struct pair *pair, const struct place *ring,
                         const struct place *target) {
    pair->placement = placement_worse(ring->verdict, target->verdict);
    for (size_t i = 1; i < LOADING_STEPS; i++)
        collect_series(bench, pair->figures[i].latency, &pair->other, &pair->placement);
    for (size_t i = 1; i < LOADING_STEPS; i++)
        collect_series(bench, pair->figures[i].bandwidth, &pair->other, &pair->placement);
    collect_series(bench, pair->knee, &pair->other, &pair->placement);
}

static void collect(struct bench *bench) {
    for (size_t victim = 0; victim < bench->node_count; victim++)
        for (size_t ring = 0; ring < bench->place_count; ring++) {
            const struct place *place = &bench->places[ring];
            struct loading_figure *idle = alone_of(bench, victim, ring);
            collect_series(bench, idle->latency, NULL, &place->verdict);
            collect_series(bench, idle->bandwidth, NULL, &place->verdict);
            for (size_t from = 0; from < bench->node_count; from++)
                for (size_t at = 0; at < bench->place_count; at++)
                    collect_pair(bench, pair_of(bench, victim, ring, from, at), place,
                                 &bench->places[at]);
        }
}

static int measure(struct bench *bench) {
    struct session *session = bench->session;
    size_t rows = bench->node_count * bench->place_count;
    bench->alone = calloc(rows, sizeof *bench->alone);
    bench->pairs = calloc(rows * rows, sizeof *bench->pairs);
    bench->series = calloc(2 * rows + rows * rows * 2 * LOADING_STEPS, sizeof *bench->series);
    if (bench->alone == NULL || bench->pairs == NULL || bench->series == NULL)
        return session_fail(session, "idle", "no memory for the figures");
    for (size_t victim = 0; victim < bench->node_count; victim++) {
        if (!bench->nodes[victim].has_victim)
            continue;
        measure_alone(bench, victim);
        for (size_t from = 0; from < bench->node_count; from++)
            measure_beside(bench, victim, from);
    }
    struct placement_verdict placement = judge_places(bench);
    collect(bench);
    size_t ring_loads = session->size.value / RING_SLOT_BYTES * RING_LAPS;
    snprintf(session->proof, sizeof session->proof,
             "each victim's ring walked whole: back after %zu loads and not before", ring_loads);
    return session_report(session, bench->series, bench->series_count, placement);
}

/* Whether any aggressor could run beside any victim. */
static bool has_pairs(const struct bench *bench) {
    bool found = false;
    hwloc_bitmap_t cpus = hwloc_bitmap_alloc();
    for (size_t victim = 0; victim < bench->node_count; victim++)
        for (size_t from = 0; from < bench->node_count; from++)
            found = found || (bench->nodes[victim].has_victim &&
                              victims_beside(&bench->nodes[victim], &bench->nodes[from], cpus));
    hwloc_bitmap_free(cpus);
    return found;
}

int victim_matrix_run(struct session *session, const struct victim_matrix *matrix) {
    struct bench bench = {.session = session, .matrix = matrix};
    hwloc_bitmap_t cpus = hwloc_bitmap_alloc();
    hwloc_bitmap_or(cpus, matrix->cpus.victims, matrix->cpus.aggressors);
    int *node_of_cpu = victims_ask_nodes(session->topology, cpus);
    hwloc_bitmap_free(cpus);
    if (node_of_cpu != NULL)
        bench.node_count = victims_find(&matrix->cpus, node_of_cpu, &bench.nodes);
    free(node_of_cpu);
    int status = SESSION_NOT_MEASURED;
    if (bench.node_count == 0)
        session_fail(session, "idle", "no memory for the list of nodes");
    else if (!has_pairs(&bench))
        session_fail(session, "idle", "there is no other CPU beside the victim's for aggressors");
    else if (get_memory(&bench))
        status =
            bench.place_count > 0
                ? measure(&bench)
                : session_fail(session, "idle", "no node has memory for victim and aggressors");
    free_memory(&bench);
    victims_free(bench.nodes, bench.node_count);
    for (size_t i = 0; i < bench.series_count; i++)
        series_free(&bench.series[i]);
    free(bench.series);
    free(bench.pairs);
    free(bench.alone);
    return status;
}
