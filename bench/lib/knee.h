/* Where a loaded-latency curve turns up: how much traffic memory takes before loads have to wait.
 *
 * The knee is the total bandwidth at which latency is KNEE_RISE times that without load. Latency is
 * service plus waiting, so that is where a load waits half as long again as it is served. For a
 * first-in first-out queue of constant service time (M/D/1: waiting = s * u / (2 * (1 - u)), s the
 * time a line occupies the link, u the link's use; L. Kleinrock, Queueing Systems I, 1975, 5.6)
 * with an idle latency of k line times, that use is u = k / (k + 1), for k = 100 99 % of the link.
 * Where arrivals are more even than random it is nearer still to the whole. */
#ifndef BENCH_KNEE_H
#define BENCH_KNEE_H

#include <stdbool.h>
#include <stddef.h>

#define KNEE_RISE 1.5

struct knee_point {
    double bandwidth; /* of all traffic together */
    double latency;
};

/* Finds the knee of a curve from idle, points[0], to the most load: the bandwidth at the last
 * crossing of the threshold, straight between the points on either side of it. The last, because
 * beyond the knee bandwidth stays what it is, so that a point that came out too low there moves the
 * knee little, and one that came out too high before it does not at all. False when latency at the
 * most load is below the threshold: then no queue was seen. */
bool knee_find(const struct knee_point *points, size_t count, double *bandwidth);

#endif
