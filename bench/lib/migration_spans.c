#include "migration_spans.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int migration_spans_start(struct migration_spans *spans) {
    size_t room_bytes = MIGRATION_SPANS_KEPT * sizeof *spans->kept_ns;
    *spans = (struct migration_spans){.kept_ns = malloc(room_bytes), .every = 1};
    if (spans->kept_ns == NULL)
        return ENOMEM;
    memset(spans->kept_ns, 1, room_bytes);
    return 0;
}

void migration_spans_end(struct migration_spans *spans) {
    free(spans->kept_ns);
}

void migration_spans_clear(struct migration_spans *spans) {
    *spans = (struct migration_spans){.kept_ns = spans->kept_ns, .every = 1};
}

static void keep_every_second(struct migration_spans *spans) {
    spans->kept /= 2;
    for (size_t i = 0; i < spans->kept; i++)
        spans->kept_ns[i] = spans->kept_ns[2 * i];
    spans->every *= 2;
}

void migration_spans_add(struct migration_spans *spans, uint64_t elapsed_ns) {
    spans->total_ns += elapsed_ns;
    if (elapsed_ns > spans->longest_ns)
        spans->longest_ns = elapsed_ns;
    if (spans->kept == MIGRATION_SPANS_KEPT)
        keep_every_second(spans);
    if (spans->count++ % spans->every == 0)
        spans->kept_ns[spans->kept++] = elapsed_ns;
}

static int by_length(const void *one, const void *other) {
    uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;
    return (a > b) - (a < b);
}

/* The sorted span of rank ceil(percent / 100 x kept). */
static double quantile(const struct migration_spans *spans, size_t percent) {
    return (double)spans->kept_ns[(spans->kept * percent + 99) / 100 - 1];
}

struct migration_latency migration_spans_summarise(struct migration_spans *spans, size_t loads) {
    qsort(spans->kept_ns, spans->kept, sizeof *spans->kept_ns, by_length);
    return (struct migration_latency){
        .median_ns = quantile(spans, 50) / (double)loads,
        .p99_ns = quantile(spans, 99) / (double)loads,
        .mean_ns = (double)spans->total_ns / (double)spans->count / (double)loads,
    };
}
