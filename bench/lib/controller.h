/* Bytes that the machine's memory controllers moved, by their own counters: what every cache, core
 * and other program asked of them, write-allocate and prefetch included. */
#ifndef BENCH_CONTROLLER_H
#define BENCH_CONTROLLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where Linux lists the counters. */
#define CONTROLLER_ROOT "/sys/bus/event_source/devices"

/* One counter of one controller, as perf_event_open(2) wants it. */
struct controller_event {
    uint32_t type;
    uint64_t config[3]; /* config, config1, config2 */
    unsigned cpu;       /* that is to read it */
    double bytes;       /* a count */
};

/* Fills in the counters of reads and writes of all controllers listed below root, at most capacity;
 * returns how many there are: none where none is known of. */
size_t controller_find(const char *root, struct controller_event *events, size_t capacity);

struct controller {
    struct controller_event *events;
    int *files; /* one an event */
    size_t count;
    const char *why; /* nothing is counted; static text */
};

/* Begins to count. False, with the reason in controller->why, where there are no counters or the
 * kernel refuses any of them (it takes CAP_PERFMON, or kernel.perf_event_paranoid=0): part of the
 * traffic would not be told from all of it. */
bool controller_open(struct controller *controller, const char *root);

/* Bytes since the controllers were opened. False when the kernel will not say. */
bool controller_read(const struct controller *controller, double *bytes);

void controller_close(struct controller *controller);

#endif
