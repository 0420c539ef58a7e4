#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "units.h"
#include "victim_matrix.h"

/* Columns beside each other, with two figures each or with one: they fit 100 characters. */
enum { ABREAST_OF_TWO = 4, ABREAST_OF_ONE = 7 };

static bool is_of(const struct series *series, const char *metric) {
    return strcmp(series->metric != NULL ? series->metric : "", metric) == 0;
}

/* At full rate, whatever the mix. */
static bool is_full(const struct series *series) {
    static const char full[] = "full";
    size_t length = strlen(series->variant);
    return length >= sizeof full - 1 && strcmp(series->variant + length - 4, full) == 0;
}

static bool is_alone(const struct series *series) {
    return series->other == NULL;
}

static bool same_victim(const struct series *one, const struct series *other) {
    return one->cpu_node == other->cpu_node && *one->mem_node == *other->mem_node;
}

static bool same_aggressors(const struct series *one, const struct series *other) {
    return one->other->cpu_node == other->other->cpu_node &&
           one->other->mem_node == other->other->mem_node;
}

/* What a table shows of each pair: its latency at full rate, its bandwidth there, or its knee. */
struct table {
    const char *title, *metric;
    bool over_alone; /* beside the victim's latency alone, and how many times that */
};

/* A victim at full rate beside other aggressors than all before it. */
static bool is_new_column(const struct series *series, size_t at) {
    if (is_alone(&series[at]) || !is_full(&series[at]) || !is_of(&series[at], ""))
        return false;
    for (size_t i = 0; i < at; i++)
        if (!is_alone(&series[i]) && is_full(&series[i]) && is_of(&series[i], "") &&
            same_aggressors(&series[i], &series[at]))
            return false;
    return true;
}

/* The next columns from *at on, at most `most`; returns how many. */
static size_t next_columns(const struct series *series, size_t count, size_t *at,
                           const struct series **columns, size_t most) {
    size_t found = 0;
    for (; *at < count && found < most; (*at)++)
        if (is_new_column(series, *at))
            columns[found++] = &series[*at];
    return found;
}

static const struct series *find_cell(const struct series *series, size_t count,
                                      const struct series *victim, const struct series *column,
                                      const struct table *table) {
    for (size_t i = 0; i < count; i++)
        if (!is_alone(&series[i]) && is_of(&series[i], table->metric) &&
            (is_full(&series[i]) || strcmp(table->metric, "knee") == 0) &&
            same_victim(&series[i], victim) && same_aggressors(&series[i], column))
            return &series[i];
    return NULL;
}

static const char *ids(int cpu_node, int mem_node, char text[UNITS_FIGURE_TEXT]) {
    if (cpu_node < 0)
        snprintf(text, UNITS_FIGURE_TEXT, "?:%d", mem_node);
    else
        snprintf(text, UNITS_FIGURE_TEXT, "%d:%d", cpu_node, mem_node);
    return text;
}

static void print_cell(const struct series *cell, const struct series *victim,
                       const struct table *table) {
    char figure[UNITS_FIGURE_TEXT] = "-", times[UNITS_FIGURE_TEXT] = "-";
    if (cell != NULL) {
        double median = series_summary(cell).median;
        units_format_figure(median, figure);
        snprintf(times, sizeof times, "%.2f", median / series_summary(victim).median);
    }
    printf(" %10s", figure);
    if (table->over_alone)
        printf(" %7s", times);
}

static void print_some_columns(const struct series *series, size_t count, const struct table *table,
                               const struct series *const *columns, size_t column_count) {
    char text[UNITS_FIGURE_TEXT];
    printf("%-8s", "victim");
    if (table->over_alone)
        printf(" %10s", "idle");
    for (size_t i = 0; i < column_count; i++) {
        printf(" %10s", ids(columns[i]->other->cpu_node, columns[i]->other->mem_node, text));
        if (table->over_alone)
            printf(" %7s", "x idle");
    }
    printf("\n");
    for (size_t i = 0; i < count; i++) {
        const struct series *victim = &series[i];
        if (!is_alone(victim) || !is_of(victim, ""))
            continue;
        printf("%-8s", ids(victim->cpu_node, *victim->mem_node, text));
        if (table->over_alone)
            printf(" %10s", units_format_figure(series_summary(victim).median, text));
        for (size_t k = 0; k < column_count; k++)
            print_cell(find_cell(series, count, victim, columns[k], table), victim, table);
        printf("\n");
    }
}

static void print_one(const struct series *series, size_t count, const struct table *table) {
    const struct series *columns[ABREAST_OF_ONE];
    size_t at = 0, found, most = table->over_alone ? ABREAST_OF_TWO : ABREAST_OF_ONE;
    printf("\n%s\n", table->title);
    while ((found = next_columns(series, count, &at, columns, most)) > 0)
        print_some_columns(series, count, table, columns, found);
}

/* The placement of all, the worst. */
static struct placement_verdict worst(const struct series *series, size_t count) {
    struct placement_verdict verdict = *series[0].placement;
    for (size_t i = 1; i < count; i++)
        verdict = placement_worse(verdict, *series[i].placement);
    return verdict;
}

void victim_matrix_print(const struct session *session, const struct series *series, size_t count) {
    static const struct table latency = {
        "ns a load of the victim (CPU node:memory node), alone (idle) and beside aggressors (CPU\n"
        "node:memory node) at full rate, and how many times idle that is:",
        "", true};
    static const struct table bandwidth = {
        "GB/s (1e9 bytes) of victim and aggressors together:", "bandwidth", false};
    static const struct table knee = {"knee, GB/s, where latency is 1.5 x idle (-: none):", "knee",
                                      false};
    char size[UNITS_SIZE_TEXT];
    struct placement_verdict placement = worst(series, count);
    bool knees = false;
    printf("%s, victim x aggressors, %s bytes each on every node\n", session->program->metric,
           units_format_size(session->size.value, size));
    printf("memory: %s, policy %s, pages %s: %s", session->source.allocator, session->source.policy,
           session->source.pages, placement_status_name(placement.status));
    if (placement.status != PLACEMENT_UNVERIFIED)
        printf(" (%.2f %% of pages; %s)", 100 * placement.fraction, session->pages_on_nodes);
    printf("\nproof: %s\n", session->proof);
    print_one(series, count, &latency);
    print_one(series, count, &bandwidth);
    for (size_t i = 0; i < count; i++)
        knees = knees || (is_of(&series[i], "knee"));
    if (knees)
        print_one(series, count, &knee);
}
