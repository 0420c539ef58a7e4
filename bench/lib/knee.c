#include "knee.h"

bool knee_find(const struct knee_point *points, size_t count, double *bandwidth) {
    if (count < 2)
        return false;
    double threshold = KNEE_RISE * points[0].latency;
    size_t above = count - 1; /* the first of those above at the curve's end */
    if (!(points[above].latency >= threshold))
        return false;
    while (points[above - 1].latency >= threshold)
        above--;
    const struct knee_point *low = &points[above - 1], *high = &points[above];
    double part = (threshold - low->latency) / (high->latency - low->latency);
    *bandwidth = low->bandwidth + part * (high->bandwidth - low->bandwidth);
    return true;
}
