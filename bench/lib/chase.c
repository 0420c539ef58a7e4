#include "chase.h"

#include <string.h>

#include "clock.h"

/* Any fixed number will do; fixed, so that two runs walk the same ring. */
#define RING_SEED 20261122

/* A look at the clock costs some 30 ns, so a chunk is to take this long at least; chunks grow to it
 * while warming up, from so few loads that an emulator that takes 2 us a load does not wait. */
#define CHUNK_NS          200000
#define CHUNK_FIRST_LOADS 1024

bool chase_lay(const struct session *session, struct chase_field *field, const char *variant) {
    int error = ring_lay(&field->ring, field->memory, field->size_bytes, &field->shape, RING_SEED);
    if (error != 0) {
        session_fail(session, variant, "cannot lay the ring: %s", strerror(error));
        return false;
    }
    if (ring_is_whole(&field->ring))
        return true;
    session_fail(session, variant, "the ring is broken: not back after exactly %zu loads",
                 field->ring.lines);
    return false;
}

/* Chases for at least min_ns; returns ns a load, of all chains together. */
static double chase_for(struct chase_figure *figure, uint64_t min_ns) {
    uint64_t chunks = 0, elapsed_ns, started_ns = clock_ns();
    do {
        ring_chase_many(figure->at, figure->chains, figure->chunk_loads);
        chunks++;
        elapsed_ns = clock_ns() - started_ns;
    } while (elapsed_ns < min_ns);
    return (double)elapsed_ns / (double)(chunks * figure->chunk_loads * figure->chains);
}

static void size_chunk(struct chase_figure *figure) {
    uint64_t elapsed_ns;
    figure->chunk_loads = CHUNK_FIRST_LOADS;
    for (;;) {
        uint64_t started_ns = clock_ns();
        ring_chase_many(figure->at, figure->chains, figure->chunk_loads);
        elapsed_ns = clock_ns() - started_ns;
        if (elapsed_ns >= CHUNK_NS)
            return;
        figure->chunk_loads *= 2;
    }
}

static void warm_up(const struct session *session, struct chase_figure *figure) {
    /* Apart from each other by the same number of loads, so that none runs in another's wake. */
    for (size_t chain = 0; chain < figure->chains; chain++)
        figure->at[chain] = figure->field->ring.starts[chain * RING_STARTS / figure->chains];
    size_chunk(figure);
    while (!warmup_add(&figure->warmup, chase_for(figure, session_warmup_ns(session)),
                       session->precision.fraction))
        continue;
}

static void take_sample(const struct session *session, struct chase_figure *figure) {
    struct sample sample = {.started_at = time(NULL)};
    struct watch_reading before, after;
    watch_read(&before);
    sample.value = chase_for(figure, session_min_sample_ns(session));
    watch_read(&after);
    sample.disturbed = watch_compare(&session->watch, &before, &after, session->cpus[0]);
    series_add(figure->series, &sample);
}

void chase_measure(const struct session *session, struct chase_figure *figures, size_t count) {
    for (size_t i = 0; i < count; i++)
        warm_up(session, &figures[i]);
    for (bool enough = false; !enough;) {
        enough = true;
        for (size_t i = 0; i < count; i++) {
            if (!session_enough(session, figures[i].series))
                take_sample(session, &figures[i]);
            enough = enough && session_enough(session, figures[i].series);
        }
    }
}

bool chase_is_on_ring(const struct chase_figure *figures, size_t count) {
    for (size_t i = 0; i < count; i++)
        for (size_t chain = 0; chain < figures[i].chains; chain++)
            if ((uintptr_t)figures[i].at[chain] - (uintptr_t)figures[i].field->memory >=
                figures[i].field->size_bytes)
                return false;
    return true;
}
