/* Latency of a load: a chain of dependent loads through memory in random order. */
#include <string.h>

#include "clock.h"
#include "placement.h"
#include "ring.h"
#include "session.h"
#include "warmup.h"

/* Loads between two looks at the clock: some 0.2 to 1 ms on a real machine, where a look costs
 * 30 ns, and 10 ms in an emulator that takes 2 us a load. */
#define CHUNK_LOADS 4096

/* Any fixed number will do; fixed, so that two runs walk the same ring. */
#define RING_SEED 20261122

static const struct session_program latency = {
    .name = "latency",
    .metric = "load_latency",
    .unit = "ns",
    .about =
        "Latency of one load in ns (1 ns = 1e-9 s): each load's address is what the load before it\n"
        "read, on one ring in random order through every 64-byte line. The ring is walked once before\n"
        "timing, which proves that it is one and warms up. Counted: time over loads, address\n"
        "translation (TLB misses) included.\n",
    .size_help = "memory the ring spans (default: 256M, or 4 x all last-level caches if larger)",
    .size_min_bytes = (uint64_t)2 * RING_SLOT_BYTES,
    .size_max_bytes = RING_MAX_BYTES,
    .size_default_bytes = (uint64_t)256 << 20,
    .arrays = 1,
    .fillable = true,
};

/* Chases from *at for at least min_ns; returns ns a load. */
static double take_sample(void ***at, uint64_t min_ns) {
    uint64_t loads = 0, elapsed_ns, started_ns = clock_ns();
    do {
        *at = ring_chase(*at, CHUNK_LOADS);
        loads += CHUNK_LOADS;
        elapsed_ns = clock_ns() - started_ns;
    } while (elapsed_ns < min_ns);
    return (double)elapsed_ns / (double)loads;
}

static struct placement_tally ask(const struct session *session, const void *memory) {
    struct placement_tally tally = {0};
    placement_add(&tally, memory, session->size.value, &session->source.expected);
    return tally;
}

static int measure(struct session *session, void *memory) {
    size_t size_bytes = session->size.value;
    struct ring ring;
    int error = ring_build(&ring, memory, size_bytes, RING_SEED);
    if (error != 0) {
        session_say(session, "cannot lay the ring: %s", strerror(error));
        return SESSION_NOT_MEASURED;
    }
    if (!ring_is_whole(&ring)) {
        session_say(session, "the ring is broken: not back after exactly %zu loads",
                    ring.slots * RING_LAPS);
        return SESSION_NOT_MEASURED;
    }
    void **at = ring.starts[0];
    struct placement_tally before = ask(session, memory);
    session_look_at_pages(session, &memory, 1, size_bytes);
    error = session_leave_fill_cpu(session);
    if (error != 0) {
        session_say(session, "cannot pin to CPU %u: %s", session->cpus[0], strerror(error));
        return SESSION_NOT_MEASURED;
    }

    static struct series series = {.variant = "random"};
    struct warmup warmup = {0};
    while (!warmup_add(&warmup, take_sample(&at, session_warmup_ns(session)),
                       session->precision.fraction))
        continue;
    while (!session_enough(session, &series)) {
        struct sample sample = {.started_at = time(NULL)};
        struct watch_reading earlier, later;
        watch_read(&earlier);
        sample.value = take_sample(&at, session_min_sample_ns(session));
        watch_read(&later);
        sample.disturbed = watch_compare(&session->watch, &earlier, &later, session->cpus[0]);
        series_add(&series, &sample);
    }
    /* The use of the last load's result: without one the compiler may drop them all. */
    if ((uintptr_t)at - (uintptr_t)memory >= size_bytes) {
        session_say(session, "the walk left the ring");
        return SESSION_NOT_MEASURED;
    }
    struct placement_tally after = ask(session, memory);
    return session_report(session, &series, 1, session_judge(session, &before, &after));
}

int main(int argc, char **argv) {
    struct session session;
    int status;
    if (!session_start(&session, &latency, argc, argv, &status))
        return status;
    const char *why;
    void *memory = memory_get(&session.source, session.size.value, &why);
    if (memory == NULL) {
        session_say(&session, "cannot get memory: %s", why);
        status = SESSION_NOT_MEASURED;
    } else {
        status = measure(&session, memory);
        memory_free(&session.source, memory, session.size.value);
    }
    session_end(&session);
    return status;
}
