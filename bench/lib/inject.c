#include "inject.h"

#include "clock.h"

/* Lines between two looks at `stop`, and until the next count, without a pace: few beside what is
 * read in a span of a sample, also in an emulator that takes 1 us a line. */
#define UNPACED_LINES 16

size_t inject_due(struct inject_pace *pace, uint64_t now_ns) {
    if (now_ns <= pace->started_ns)
        return 0;
    double due = (double)(now_ns - pace->started_ns) * pace->lines_per_ns - pace->given;
    if (!(due >= (double)pace->burst))
        return 0;
    double most = (double)pace->burst * INJECT_BACKLOG_BURSTS;
    if (due > most) {
        pace->given += due - most;
        due = most;
    }
    size_t lines = (size_t)due;
    pace->given += (double)lines;
    return lines;
}

size_t inject_burst(double idle_ns, double lines_per_ns) {
    double lines = idle_ns / 2 * lines_per_ns;
    return lines < 1 ? 1 : lines > 64 ? 64 : (size_t)lines;
}

/* Reads lines in order from where it was; volatile, so that each is one load. */
static void read_lines(struct injector *injector, size_t count) {
    size_t at = injector->at;
    for (size_t i = 0; i < count; i++) {
        (void)*(const volatile uint64_t *)(const void *)(injector->memory + at);
        at += INJECT_LINE_BYTES;
        if (at + INJECT_LINE_BYTES > injector->size_bytes)
            at = 0;
    }
    injector->at = at;
    uint64_t lines = atomic_load_explicit(&injector->lines, memory_order_relaxed);
    atomic_store_explicit(&injector->lines, lines + count, memory_order_relaxed);
}

/* Lets a second thread on the same core run while this one waits. */
static void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

void inject(struct injector *injector, struct inject_pace *pace, const atomic_bool *stop) {
    while (!atomic_load_explicit(stop, memory_order_relaxed)) {
        size_t lines = pace == NULL ? UNPACED_LINES : inject_due(pace, clock_ns());
        if (lines > 0)
            read_lines(injector, lines);
        else
            relax();
    }
}
