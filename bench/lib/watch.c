#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include "watch.h"

#include <math.h>
#include <sched.h>
#include <sys/resource.h>
#include <time.h>

#include "clock.h"
#include "processor.h"

#define CALIBRATE_NS    5000000u
#define CALIBRATE_TRIES 10
#define CALIBRATE_PART  0.002 /* two in a row that agree this well are believed */

/* Clocks that were read within this are compared; a look at all takes some 200 ns, 20 us in an
 * emulator. After so many tries they are taken as they are. */
#define TOGETHER_NS 200000
#define READ_TRIES  20

/* Beyond what slewing, a read that was interrupted, and rounding explain. */
#define CLOCKS_DIFFER_PART 0.01
#define CLOCKS_DIFFER_NS   2e6

static uint64_t read_counter(void) {
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t ticks;
    __asm__ volatile("isb\n\tmrs %0, cntvct_el0" : "=r"(ticks) : : "memory");
    return ticks;
#else
    return 0;
#endif
}

static int64_t read_clock(clockid_t id) {
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* The clocks, once: true when that took so short a time that they were read together. */
static bool read_clocks(struct watch_reading *reading) {
    uint64_t began_ns = clock_ns();
    reading->wall_ns = read_clock(CLOCK_REALTIME);
    reading->monotonic_ns = (uint64_t)read_clock(CLOCK_MONOTONIC);
    reading->ticks = read_counter();
    reading->raw_ns = clock_ns();
    return reading->raw_ns - began_ns < TOGETHER_NS;
}

void watch_read(struct watch_reading *reading) {
    struct rusage usage;
    getrusage(RUSAGE_THREAD, &usage);
    int cpu = sched_getcpu();
    *reading = (struct watch_reading){
        .faults = (uint64_t)(usage.ru_minflt + usage.ru_majflt),
        .preemptions = (uint64_t)usage.ru_nivcsw,
        .cpu = cpu < 0 ? 0 : (unsigned)cpu,
    };
    /* Preempted in between, they would seem to disagree. */
    for (int tries = 0; !read_clocks(reading) && tries < READ_TRIES; tries++)
        continue;
}

/* A counter that runs evenly whatever the core's clock does: on x86-64 where CPUID calls the
 * time-stamp counter invariant; on arm64 the generic timer's always. */
static bool has_counter(void) {
    struct processor processor;
    processor_identify(&processor);
#if defined(__aarch64__)
    return true;
#else
    return processor.invariant_tsc;
#endif
}

static double ticks_per_ns(void) {
    struct watch_reading before, after;
    watch_read(&before);
    do
        watch_read(&after);
    while (after.raw_ns - before.raw_ns < CALIBRATE_NS);
    return (double)(after.ticks - before.ticks) / (double)(after.raw_ns - before.raw_ns);
}

void watch_calibrate(struct watch *watch) {
    *watch = (struct watch){0};
    if (!has_counter())
        return;
    /* A reading that was held up between the clocks gives another rate than the next. */
    double rate = ticks_per_ns();
    for (int tries = 0; tries < CALIBRATE_TRIES && watch->ticks_per_ns <= 0; tries++) {
        double again = ticks_per_ns();
        if (fabs(again - rate) <= CALIBRATE_PART * rate)
            watch->ticks_per_ns = again;
        rate = again;
    }
}

static bool differ(double one_ns, double other_ns) {
    double difference_ns = fabs(one_ns - other_ns);
    return difference_ns > CLOCKS_DIFFER_NS &&
           difference_ns > CLOCKS_DIFFER_PART * fmax(fabs(one_ns), fabs(other_ns));
}

static bool clocks_agree(const struct watch *watch, const struct watch_reading *before,
                         const struct watch_reading *after) {
    double raw_ns = (double)(after->raw_ns - before->raw_ns);
    if (differ(raw_ns, (double)(after->monotonic_ns - before->monotonic_ns)) ||
        differ(raw_ns, (double)(after->wall_ns - before->wall_ns)))
        return false;
    return watch->ticks_per_ns <= 0 ||
           !differ(raw_ns, (double)(after->ticks - before->ticks) / watch->ticks_per_ns);
}

enum disturbance watch_compare(const struct watch *watch, const struct watch_reading *before,
                               const struct watch_reading *after, unsigned cpu) {
    if (!clocks_agree(watch, before, after))
        return DISTURBED_CLOCK;
    if (before->cpu != cpu || after->cpu != cpu)
        return DISTURBED_MOVED;
    if (after->preemptions != before->preemptions)
        return DISTURBED_PREEMPTED;
    return after->faults != before->faults ? DISTURBED_FAULTED : UNDISTURBED;
}

const char *disturbance_name(enum disturbance disturbance) {
    static const char *const names[] = {
        [UNDISTURBED] = "",
        [DISTURBED_FAULTED] = "faulted",
        [DISTURBED_PREEMPTED] = "preempted",
        [DISTURBED_MOVED] = "moved",
        [DISTURBED_CLOCK] = "clock",
    };
    return names[disturbance];
}
