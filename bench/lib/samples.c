#include "samples.h"

#include <inttypes.h>

#include "clock.h"
#include "csv.h"

static const char *const columns[] = {
    "run",
    "host",
    "round",
    "cell",
    "bench",
    "metric",
    "unit",
    "cpu",
    "cpu_node",
    "mem_node",
    "allocator",
    "policy",
    "pages",
    "threads",
    "size_bytes",
    "variant",
    "value",
    "placement",
    "placed_fraction",
    "started_at",
    "isa",
    "value_write_allocate",
    "value_at_controller",
    "other_cpu",
    "other_cpu_node",
    "other_mem_node",
    "pages_on_nodes",
    "disturbed",
    "ci_low",
    "ci_high",
    "spread",
    "stopped_by",
    "proof",
    "status",
    "reason",
};

void samples_write_header(FILE *out) {
    csv_row(out, columns, sizeof columns / sizeof columns[0]);
}

/* Room for any number of a row. */
#define NUMBER_TEXT 32

static const char *id_text(int id, char text[NUMBER_TEXT]) {
    text[0] = '\0';
    if (id >= 0)
        snprintf(text, NUMBER_TEXT, "%d", id);
    return text;
}

static const char *value_text(double value, char text[NUMBER_TEXT]) {
    text[0] = '\0';
    if (value > 0)
        snprintf(text, NUMBER_TEXT, "%.6g", value);
    return text;
}

static const char *or_empty(const char *text) {
    return text != NULL ? text : "";
}

void samples_write_row(FILE *out, const struct samples_row *row) {
    enum {
        CPU,
        CPU_NODE,
        MEM_NODE,
        OTHER_CPU,
        OTHER_CPU_NODE,
        OTHER_MEM_NODE,
        THREADS,
        SIZE,
        VALUE,
        FRACTION,
        ALLOCATE,
        CONTROLLER,
        LOW,
        HIGH,
        SPREAD,
        NUMBERS
    };
    char text[NUMBERS][NUMBER_TEXT], started_at[CLOCK_UTC_TEXT];
    snprintf(text[CPU], NUMBER_TEXT, "%u", row->cpu);
    snprintf(text[THREADS], NUMBER_TEXT, "%u", row->threads);
    snprintf(text[SIZE], NUMBER_TEXT, "%" PRIu64, row->size_bytes);
    text[FRACTION][0] = '\0';
    if (row->placement.status != PLACEMENT_UNVERIFIED)
        snprintf(text[FRACTION], NUMBER_TEXT, "%.6g", row->placement.fraction);
    text[SPREAD][0] = '\0';
    if (row->ci_low > 0)
        snprintf(text[SPREAD], NUMBER_TEXT, "%.4g", row->spread);
    const char *const fields[] = {
        "",
        row->host,
        "",
        "",
        row->bench,
        row->metric,
        row->unit,
        text[CPU],
        id_text(row->cpu_node, text[CPU_NODE]),
        id_text(row->mem_node, text[MEM_NODE]),
        row->allocator,
        row->policy,
        row->pages,
        text[THREADS],
        text[SIZE],
        row->variant,
        value_text(row->value, text[VALUE]),
        placement_status_name(row->placement.status),
        text[FRACTION],
        clock_utc(row->started_at, started_at),
        or_empty(row->isa),
        value_text(row->write_allocate, text[ALLOCATE]),
        value_text(row->at_controller, text[CONTROLLER]),
        id_text(row->other_cpu, text[OTHER_CPU]),
        id_text(row->other_cpu_node, text[OTHER_CPU_NODE]),
        id_text(row->other_mem_node, text[OTHER_MEM_NODE]),
        or_empty(row->pages_on_nodes),
        or_empty(row->disturbed),
        value_text(row->ci_low, text[LOW]),
        value_text(row->ci_high, text[HIGH]),
        text[SPREAD],
        or_empty(row->stopped_by),
        or_empty(row->proof),
        or_empty(row->status),
        or_empty(row->reason),
    };
    _Static_assert(sizeof fields == sizeof columns, "one field a column");
    csv_row(out, fields, sizeof fields / sizeof fields[0]);
}
