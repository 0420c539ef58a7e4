/* The host's clock for the pacing plugin, in ticks of whatever is cheapest to read, and what the
 * host took from a thread. */
#ifndef NUMA_LAB_HOST_TIME_H
#define NUMA_LAB_HOST_TIME_H

#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static inline uint64_t host_ns(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

#if defined(__x86_64__)
static inline uint64_t host_ticks(void) {
    return __builtin_ia32_rdtsc();
}

static inline void host_pause(void) {
    __builtin_ia32_pause();
}

/* The time-stamp counter's rate, over 50 ms of the kernel's clock: exact to about 1 in 100,000. */
static inline double host_ticks_per_ns(void) {
    uint64_t start_ns = host_ns(), start_ticks = host_ticks(), end_ns;

    do
        end_ns = host_ns();
    while (end_ns - start_ns < 50000000);
    return (double)(host_ticks() - start_ticks) / (double)(end_ns - start_ns);
}
#else
static inline uint64_t host_ticks(void) {
    return host_ns();
}

static inline void host_pause(void) {
}

static inline double host_ticks_per_ns(void) {
    return 1;
}
#endif

/* Waits until `end`. While that is further than `yield_ticks`, whoever else has work for this
 * processor may do it: a machine of more CPUs than the host has keeps its rates only so, since CPUs
 * that wait are most of the time all that runs. */
static inline void host_wait(uint64_t end, uint64_t yield_ticks) {
    for (uint64_t now = host_ticks(); now < end; now = host_ticks())
        if (end - now > yield_ticks)
            sched_yield();
        else
            host_pause();
}

/* How long the calling thread has waited for a host processor in its life, from
 * /proc/thread-self/schedstat; 0 when the host does not say. Takes about 5 us. */
static inline uint64_t host_taken_ns(void) {
    char text[96];
    uint64_t taken = 0;
    int fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? 0 : read(fd, text, sizeof text - 1);

    if (fd >= 0)
        close(fd);
    if (length > 0) {
        text[length] = '\0';
        if (sscanf(text, "%*u %" SCNu64, &taken) != 1)
            taken = 0;
    }
    return taken;
}

#endif
