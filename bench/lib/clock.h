/* The two clocks: one to measure with, one to say when. */
#ifndef BENCH_CLOCK_H
#define BENCH_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Nanoseconds on CLOCK_MONOTONIC_RAW, which no time daemon speeds up or slows down. */
uint64_t clock_ns(void);

/* Room for "2026-11-22T13:21:46Z". */
#define CLOCK_UTC_TEXT 32

/* Writes seconds since the epoch as ISO 8601 in UTC. */
const char *clock_utc(time_t seconds, char text[CLOCK_UTC_TEXT]);

#endif
