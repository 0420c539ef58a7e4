#include "warmup.h"

#include <math.h>
#include <string.h>

#define HALF (sizeof((struct warmup *)0)->latest / sizeof(double) / 2)

static double median_of_three(const double values[3]) {
    return fmax(fmin(values[0], values[1]), fmin(fmax(values[0], values[1]), values[2]));
}

bool warmup_add(struct warmup *warmup, double value, double tolerance) {
    memmove(warmup->latest, warmup->latest + 1, sizeof warmup->latest - sizeof *warmup->latest);
    warmup->latest[2 * HALF - 1] = value;
    warmup->spans++;
    if (warmup->spans >= 2 * HALF) {
        double earlier = median_of_three(warmup->latest);
        double later = median_of_three(warmup->latest + HALF);
        warmup->settled = fabs(later - earlier) <= tolerance * earlier;
    }
    return warmup->settled || warmup->spans >= WARMUP_MOST;
}
