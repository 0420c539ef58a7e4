#include "migration_run.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "units.h"

/* Columns of the widest variant, "move_pages/4096". */
#define VARIANT_COLUMNS 16

static void print_speed(const struct series *bandwidth, const struct series *cost) {
    char size[UNITS_SIZE_TEXT], figure[2][UNITS_FIGURE_TEXT], interval[SESSION_INTERVAL_TEXT];
    printf("%-5s %-*s %4d %4d %6s ", bandwidth->pages, VARIANT_COLUMNS, bandwidth->variant,
           bandwidth->other->mem_node, *bandwidth->mem_node,
           units_format_size(bandwidth->size_bytes, size));
    if (bandwidth->failed != NULL) {
        printf("failed: %s\n", bandwidth->failed);
        return;
    }
    struct stats_summary speed = series_summary(bandwidth), price = series_summary(cost);
    char arrived[16] = "not told";
    if (bandwidth->placement->status != PLACEMENT_UNVERIFIED)
        snprintf(arrived, sizeof arrived, "%.2f %%", 100 * bandwidth->placement->fraction);
    printf("%9s %21s %11s %10s %8zu\n", units_format_figure(speed.median, figure[0]),
           session_interval(&speed, interval), units_format_figure(price.median, figure[1]),
           arrived, speed.samples);
}

static void print_latency(const struct series series[3]) {
    char where[64], size[UNITS_SIZE_TEXT], figure[3][UNITS_FIGURE_TEXT];
    bool idle = strcmp(series->metric, METRIC_IDLE) == 0;
    if (idle)
        snprintf(where, sizeof where, "idle on %d", *series->mem_node);
    else
        snprintf(where, sizeof where, "%s %d<->%d", series->variant, series->other->mem_node,
                 *series->mem_node);
    printf("%-5s %-26s %6s ", series->pages, where, units_format_size(series->size_bytes, size));
    if (series->failed != NULL) {
        printf("failed: %s\n", series->failed);
        return;
    }
    for (size_t i = 0; i < 3; i++) {
        struct stats_summary summary = series_summary(&series[i]);
        printf(" %11s", units_format_figure(summary.median, figure[i]));
    }
    printf(" %8zu\n", series->undisturbed);
}

/* Where the kernel would not say where the pages are. */
static void print_remarks(const struct series *series, size_t count) {
    size_t untold = 0;
    for (size_t i = 0; i < count; i++)
        untold += series[i].failed == NULL && series[i].placement->status == PLACEMENT_UNVERIFIED;
    if (untold > 0)
        printf("unverified: %zu figures; the kernel would not say where their pages were\n",
               untold);
}

void migration_print_table(const struct session *session, const struct series *series,
                           size_t count) {
    printf("page migration by CPU %u (node %d); every page is asked for after each move\n"
           "%-5s %-*s %4s %4s %6s %9s %21s %11s %10s %8s\n",
           session->cpus[0], session->cpu_node, "pages", VARIANT_COLUMNS, "call/pages", "from",
           "to", "size", "GB/s", "95 % interval", "ns a page", "arrived", "samples");
    const struct series *reading = NULL;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(series[i].metric, METRIC_BANDWIDTH) == 0)
            print_speed(&series[i], &series[i + 1]);
        if (reading == NULL && strncmp(series[i].metric, "latency", 7) == 0)
            reading = &series[i];
    }
    if (reading != NULL)
        printf("\nns a load from CPU %u (node %d), in spans of %d loads: the middle one, the 99th\n"
               "of 100, and the mean of all\n"
               "%-5s %-26s %6s  %11s %11s %11s %8s\n",
               session->cpus[0], session->cpu_node, MIGRATION_SPAN_LOADS, "pages", "memory", "size",
               "median", "p99", "mean", "samples");
    for (size_t i = 0; i < count; i++)
        if (strcmp(series[i].metric, METRIC_IDLE) == 0 ||
            strcmp(series[i].metric, METRIC_DURING) == 0)
            print_latency(&series[i]);
    print_remarks(series, count);
}
