#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include "clock.h"

uint64_t clock_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_RAW, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

const char *clock_utc(time_t seconds, char text[CLOCK_UTC_TEXT]) {
    struct tm utc;
    text[0] = '\0';
    if (gmtime_r(&seconds, &utc) != NULL)
        strftime(text, CLOCK_UTC_TEXT, "%Y-%m-%dT%H:%M:%SZ", &utc);
    return text;
}
