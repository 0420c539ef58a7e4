#include "samples.h"

#include <inttypes.h>

#include "clock.h"
#include "csv.h"

static const char *const columns[] = {
    "run",        "host",     "round",    "cell",      "bench",           "metric",     "unit",
    "cpu",        "cpu_node", "mem_node", "allocator", "policy",          "pages",      "threads",
    "size_bytes", "variant",  "value",    "placement", "placed_fraction", "started_at",
};

void samples_write_header(FILE *out) {
    csv_row(out, columns, sizeof columns / sizeof columns[0]);
}

static const char *node_text(int node, char *text, size_t size) {
    text[0] = '\0';
    if (node >= 0)
        snprintf(text, size, "%d", node);
    return text;
}

void samples_write_row(FILE *out, const struct samples_row *row) {
    char cpu[16], cpu_node[16], mem_node[16], threads[16], size_bytes[24], value[32], fraction[16];
    char started_at[CLOCK_UTC_TEXT];
    snprintf(cpu, sizeof cpu, "%u", row->cpu);
    snprintf(threads, sizeof threads, "%u", row->threads);
    snprintf(size_bytes, sizeof size_bytes, "%" PRIu64, row->size_bytes);
    snprintf(value, sizeof value, "%.6g", row->value);
    fraction[0] = '\0';
    if (row->placement.status != PLACEMENT_UNVERIFIED)
        snprintf(fraction, sizeof fraction, "%.6g", row->placement.fraction);
    const char *const fields[] = {
        "",
        row->host,
        "",
        "",
        row->bench,
        row->metric,
        row->unit,
        cpu,
        node_text(row->cpu_node, cpu_node, sizeof cpu_node),
        node_text(row->mem_node, mem_node, sizeof mem_node),
        row->allocator,
        row->policy,
        row->pages,
        threads,
        size_bytes,
        row->variant,
        value,
        placement_status_name(row->placement.status),
        fraction,
        clock_utc(row->started_at, started_at),
    };
    _Static_assert(sizeof fields == sizeof columns, "one field a column");
    csv_row(out, fields, sizeof fields / sizeof fields[0]);
}
