#include "loading.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "ring.h"
#include "spans.h"
#include "warmup.h"

/* The victim's loads between two looks at the clock: 25 us or so on a real machine, 0.5 to 4 ms in
 * an emulator, where a span is longer for it. */
#define SPAN_LOADS 256

/* Parts of the rate that the aggressors reach without a pace while the victim runs too. Closer
 * together near the top, where on most machines the curve turns up. */
static const struct step {
    const char *name;
    double rate; /* 0: the aggressors rest; 1: no pace */
} steps[LOADING_STEPS] = {
    {"idle", 0},  {"10%", 0.1},  {"20%", 0.2},  {"30%", 0.3}, {"40%", 0.4},
    {"50%", 0.5}, {"60%", 0.6},  {"70%", 0.7},  {"80%", 0.8}, {"85%", 0.85},
    {"90%", 0.9}, {"95%", 0.95}, {"full", 1.0},
};

#define CALIBRATION_SAMPLES 3

/* A sample before it is one of a series. */
struct sample_spans {
    struct spans_summary spans;
    enum disturbance disturbed;
};

static uint64_t count_lines(struct loading *loading, uint64_t *lines) {
    uint64_t total = 0;
    for (size_t i = 0; i < loading->aggressor_count; i++) {
        lines[i] = atomic_load_explicit(&loading->aggressors[i].lines, memory_order_relaxed);
        total += lines[i];
    }
    return total;
}

/* Counts, and says when: at *at_ns, which was *at_ns of the count before. Again where the victim
 * seems to have lost its CPU over it, or lines would come without the time they took. */
#define COUNT_TRIES 4

static uint64_t count_now(struct loading *loading, uint64_t *at_ns) {
    uint64_t lines, before_ns, before_last_ns = *at_ns;
    for (size_t tries = 1;; tries++) {
        before_ns = clock_ns();
        lines = count_lines(loading, loading->lines_now);
        if (clock_ns() - before_ns <= (before_ns - before_last_ns) / 16 || tries == COUNT_TRIES)
            break;
    }
    *at_ns = before_ns;
    return lines;
}

/* Whether the victim was preempted or faulted between the readings; *worst: that it was moved, if
 * so. Clocks are compared over a sample, which is long enough for that. */
static bool lost_its_cpu(const struct loading *loading, const struct watch_reading *before,
                         const struct watch_reading *after, enum disturbance *worst) {
    enum disturbance found =
        watch_compare(&loading->session->watch, before, after, loading->victim_cpu);
    if (found == DISTURBED_MOVED)
        *worst = found;
    return found != UNDISTURBED && found != DISTURBED_CLOCK;
}

/* Chases for at least min_ns, and counts what the aggressors move meanwhile. False when one of them
 * that should have has moved nothing. */
static bool take_sample(struct loading *loading, uint64_t min_ns, struct sample_spans *sample) {
    struct span spans[SPANS_MAX];
    struct watch_reading first, before, after;
    size_t count = 0;
    uint64_t started_ns = clock_ns(), counted_ns = started_ns;
    uint64_t lines = count_lines(loading, loading->lines);
    sample->disturbed = UNDISTURBED;
    watch_read(&first);
    after = first;
    do {
        before = after;
        uint64_t loads = 0, chase_ns, from_ns = counted_ns, chased_from_ns = clock_ns();
        do {
            loading->at = ring_chase(loading->at, SPAN_LOADS);
            loads += SPAN_LOADS;
            chase_ns = clock_ns() - chased_from_ns;
        } while (chase_ns < min_ns / SPANS_MAX || chase_ns == 0);
        watch_read(&after);
        uint64_t lines_now = count_now(loading, &counted_ns);
        spans[count++] = (struct span){counted_ns - from_ns, chase_ns, loads, lines_now - lines,
                                       lost_its_cpu(loading, &before, &after, &sample->disturbed)};
        lines = lines_now;
    } while (counted_ns - started_ns < min_ns && count < SPANS_MAX);
    for (size_t i = 0; i < loading->aggressor_count && steps[loading->step].rate > 0; i++)
        if (loading->lines_now[i] == loading->lines[i])
            return false;
    sample->spans = spans_summarise(spans, count);
    if (sample->spans.disturbed && sample->disturbed < DISTURBED_PREEMPTED)
        sample->disturbed = DISTURBED_PREEMPTED;
    if (watch_compare(&loading->session->watch, &first, &after, loading->victim_cpu) ==
        DISTURBED_CLOCK)
        sample->disturbed = DISTURBED_CLOCK;
    return true;
}

/* On a busy machine a thread may have to wait for its CPU, but not for seconds. */
#define STARVED_NS 5000000000u

/* Takes samples until all aggressors have run in one. False when one of them does not come to run.
 */
static bool next_sample(struct loading *loading, uint64_t min_ns, struct sample_spans *sample) {
    uint64_t started_ns = clock_ns();
    while (!take_sample(loading, min_ns, sample))
        if (clock_ns() - started_ns > min_ns + STARVED_NS)
            return false;
    return true;
}

/* Until threads run, queues are full and the processor's clock is up. False as next_sample. */
static bool warm_up(struct loading *loading) {
    struct warmup warmup = {0};
    struct sample_spans span;
    do {
        if (!next_sample(loading, session_warmup_ns(loading->session), &span))
            return false;
    } while (!warmup_add(&warmup, span.spans.latency_ns, loading->session->precision.fraction));
    return true;
}

/* Takes unpaced samples; the fastest one gives the rates, since interruptions only slow it. */
static bool calibrate(struct loading *loading, uint64_t min_ns) {
    loading->lines_per_ns = 0;
    for (size_t i = 0; i < CALIBRATION_SAMPLES; i++) {
        struct sample_spans sample;
        if (!next_sample(loading, min_ns, &sample))
            return false;
        const struct spans_summary *full = &sample.spans;
        if (full->rate <= loading->lines_per_ns)
            continue;
        loading->lines_per_ns = full->rate;
        double all = 0;
        for (size_t k = 0; k < loading->aggressor_count; k++)
            all += (double)(loading->lines_now[k] - loading->lines[k]);
        for (size_t k = 0; k < loading->aggressor_count; k++)
            loading->rates[k] =
                full->aggressor_rate * (double)(loading->lines_now[k] - loading->lines[k]) / all;
    }
    return true;
}

static void add_sample(struct loading *loading, const struct sample_spans *sample,
                       time_t started_at) {
    const struct spans_summary *spans = &sample->spans;
    struct loading_figure *figure = loading->figure;
    struct sample latency = {.started_at = started_at, .disturbed = sample->disturbed};
    struct sample bandwidth = latency;
    latency.value = spans->latency_ns;
    bandwidth.value = spans->bandwidth;
    series_add(&figure->latency, &latency);
    series_add(&figure->bandwidth, &bandwidth);
    /* The mean over the samples. The victim's own loads move a line each. */
    double extra = aggressor_mix_traffic(&loading->plan->mix) - 1;
    double traffic = 1 + extra * spans->aggressor_rate / spans->rate;
    double *mean = &figure->bandwidth.write_allocate;
    *mean += (traffic - *mean) / (double)figure->bandwidth.count;
}

/* The step's samples; false when an aggressor does not come to run. */
static bool take_samples(struct loading *loading) {
    struct session *session = loading->session;
    uint64_t min_ns = session_min_sample_ns(session);
    struct sample_spans sample;
    if (!warm_up(loading))
        return false;
    if (loading->figure == NULL)
        return calibrate(loading, min_ns);
    while (!session_enough(session, &loading->figure->latency)) {
        time_t started_at = time(NULL);
        if (!next_sample(loading, min_ns, &sample))
            return false;
        add_sample(loading, &sample, started_at);
    }
    return true;
}

/* At once, since the crew cannot be waited for. */
static _Noreturn void give_up(struct loading *loading) {
    session_fail(loading->session, loading->plan->step_names[loading->step],
                 "an aggressor got no time on its CPU: other programs use it");
    crew_release(&loading->crew);
    exit(SESSION_NOT_MEASURED);
}

/* What each of the crew does in a step. */
static void work(void *context, size_t member) {
    struct loading *loading = context;
    double rate = steps[loading->step].rate;
    if (member == 0) {
        if (!take_samples(loading))
            give_up(loading);
        atomic_store(&loading->stop, true);
        return;
    }
    struct aggressor *aggressor = &loading->aggressors[member - 1];
    if (rate <= 0)
        return;
    if (rate >= 1) {
        aggressor_run(aggressor, NULL, &loading->stop);
        return;
    }
    struct aggressor_pace pace = {
        .lines_per_ns = rate * loading->rates[member - 1],
        .burst = loading->burst,
        .started_ns = clock_ns(),
    };
    /* Not all at once: each begins its first burst a part of a period later. */
    pace.given = (double)loading->burst * (double)member / (double)loading->aggressor_count;
    aggressor_run(aggressor, &pace, &loading->stop);
}

static void do_step(struct loading *loading, size_t step, struct loading_figure *figure) {
    loading->step = step;
    loading->figure = figure;
    if (figure != NULL) {
        figure->latency.variant = figure->bandwidth.variant = loading->plan->step_names[step];
        figure->bandwidth.metric = "bandwidth";
        figure->bandwidth.unit = "GB/s";
    }
    atomic_store(&loading->stop, false);
    if (!crew_try(&loading->crew, work, loading, STARVED_NS))
        give_up(loading);
}

void loading_plan(struct loading_plan *plan, const struct aggressor_mix *mix) {
    char name[AGGRESSOR_MIX_TEXT];
    aggressor_mix_name(mix, name);
    plan->mix = *mix;
    for (size_t i = 0; i < LOADING_STEPS; i++) {
        bool plain = i == LOADING_IDLE || mix->writes == 0;
        snprintf(plan->step_names[i], LOADING_STEP_TEXT, "%s%s%s", plain ? "" : name,
                 plain ? "" : " ", steps[i].name);
    }
}

/* Returns 0 or an errno. */
static int pin(struct loading *loading) {
    hwloc_bitmap_t only = hwloc_bitmap_alloc();
    if (only == NULL)
        return ENOMEM;
    hwloc_bitmap_only(only, loading->victim_cpu);
    int error = 0;
    if (hwloc_set_cpubind(loading->session->topology, only, HWLOC_CPUBIND_THREAD) != 0)
        error = errno;
    hwloc_bitmap_free(only);
    return error;
}

int loading_start(struct loading *loading, struct session *session, unsigned victim_cpu,
                  hwloc_const_bitmap_t aggressor_cpus, const struct loading_plan *plan) {
    size_t count = (size_t)hwloc_bitmap_weight(aggressor_cpus), room = count > 0 ? count : 1;
    *loading = (struct loading){
        .session = session, .victim_cpu = victim_cpu, .plan = plan, .aggressor_count = count};
    unsigned *members = calloc(count + 1, sizeof *members);
    loading->aggressors =
        aligned_alloc(_Alignof(struct aggressor), room * sizeof *loading->aggressors);
    loading->rates = calloc(room, sizeof *loading->rates);
    loading->lines = calloc(2 * room, sizeof *loading->lines);
    loading->lines_now = loading->lines + count;
    if (members == NULL || loading->aggressors == NULL || loading->rates == NULL ||
        loading->lines == NULL)
        return ENOMEM;
    members[0] = victim_cpu;
    int cpu = hwloc_bitmap_first(aggressor_cpus);
    for (size_t i = 0; i < count; i++, cpu = hwloc_bitmap_next(aggressor_cpus, cpu)) {
        members[i + 1] = (unsigned)cpu;
        loading->aggressors[i] = (struct aggressor){0};
    }
    int error = pin(loading);
    if (error == 0)
        error = crew_start(&loading->crew, session->topology, members, count + 1);
    free(members);
    return error;
}

bool loading_use(struct loading *loading, void **ring, char *memory, size_t size_bytes) {
    loading->at = ring;
    size_t count = loading->aggressor_count;
    size_t part = count > 0 ? size_bytes / count / AGGRESSOR_LINE_BYTES * AGGRESSOR_LINE_BYTES : 0;
    for (size_t i = 0; i < count; i++)
        if (!aggressor_lay(&loading->aggressors[i], &loading->plan->mix, memory + i * part, part))
            return false;
    return true;
}

void loading_idle(struct loading *loading, struct loading_figure *figure) {
    do_step(loading, LOADING_IDLE, figure);
}

void loading_full(struct loading *loading, struct loading_figure *figure) {
    do_step(loading, LOADING_FULL, figure);
}

void loading_rates(struct loading *loading, struct loading_figure figures[LOADING_STEPS]) {
    do_step(loading, LOADING_FULL, NULL);
    series_settle(&figures[LOADING_IDLE].latency);
    double idle_ns = series_summary(&figures[LOADING_IDLE].latency).median;
    loading->burst = aggressor_burst(idle_ns, loading->lines_per_ns);
    for (size_t i = 1; i < LOADING_STEPS; i++)
        do_step(loading, i, &figures[i]);
}

bool loading_knee(struct loading_figure figures[LOADING_STEPS], struct series *knee, double *rise) {
    struct knee_point points[LOADING_STEPS];
    for (size_t i = 0; i < LOADING_STEPS; i++) {
        series_settle(&figures[i].latency);
        series_settle(&figures[i].bandwidth);
        points[i] = (struct knee_point){
            .bandwidth = series_summary(&figures[i].bandwidth).median,
            .latency = series_summary(&figures[i].latency).median,
        };
    }
    *rise = points[LOADING_FULL].latency / points[LOADING_IDLE].latency;
    struct sample sample = {.started_at = time(NULL)};
    if (!knee_find(points, LOADING_STEPS, &sample.value))
        return false;
    knee->variant = "x1.5";
    knee->metric = "knee";
    knee->unit = "GB/s";
    knee->derived = true;
    series_add(knee, &sample);
    return true;
}

void loading_end(struct loading *loading) {
    crew_end(&loading->crew);
    free(loading->aggressors);
    free(loading->rates);
    free(loading->lines);
}
