#include "saturation.h"

size_t saturation_find(const struct saturation_point *points, size_t count, double precision) {
    double best = points[0].rate;
    for (size_t i = 1; i < count; i++)
        best = points[i].rate > best ? points[i].rate : best;
    size_t found = count;
    for (size_t i = 0; i < count; i++)
        if (points[i].rate >= best * (1 - precision) &&
            (found == count || points[i].threads < points[found].threads))
            found = i;
    return found;
}

unsigned saturation_next(const struct saturation_point *points, size_t count, double precision) {
    unsigned enough = points[saturation_find(points, count, precision)].threads, below = 0;
    for (size_t i = 0; i < count; i++)
        if (points[i].threads < enough && points[i].threads > below)
            below = points[i].threads;
    return enough - below > 1 ? below + (enough - below) / 2 : 0;
}
