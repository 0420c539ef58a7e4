/* Preloaded: the clock named by STEP_CLOCK (its number) jumps STEP_MS ahead at each STEP_EVERY-th
 * look at any clock. */
#define _GNU_SOURCE 1
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long number_of(const char *name) {
    const char *text = getenv(name);
    return text != NULL ? strtol(text, NULL, 10) : 0;
}

int clock_gettime(clockid_t id, struct timespec *now) {
    static long looks;
    int status = (int)syscall(SYS_clock_gettime, id, now);
    looks++;
    if (id == number_of("STEP_CLOCK")) {
        long ahead_ms = looks / number_of("STEP_EVERY") * number_of("STEP_MS");
        now->tv_sec += ahead_ms / 1000;
        now->tv_nsec += ahead_ms % 1000 * 1000000;
        if (now->tv_nsec >= 1000000000) {
            now->tv_nsec -= 1000000000;
            now->tv_sec++;
        }
    }
    return status;
}
