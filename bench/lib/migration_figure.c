#include "migration_run.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pages.h"

static void *must_have(void *memory) {
    if (memory != NULL)
        return memory;
    fprintf(stderr, "migrate: no memory for the results\n");
    exit(SESSION_NOT_MEASURED);
}

void migration_show_progress(const char *kind, const char *variant, int from, int to) {
    if (!isatty(STDERR_FILENO))
        return;
    if (kind == NULL)
        fputs("\r\033[K", stderr);
    else
        fprintf(stderr, "\r\033[K%s %s, nodes %d and %d ...", kind, variant, from, to);
}

struct migration_figure *migration_figure(const char *variant, int from, int to) {
    struct migration_figure *figure = must_have(calloc(1, sizeof *figure));
    figure->mem_node = to;
    figure->other = (struct series_other){.cpu = -1, .cpu_node = -1, .mem_node = from};
    figure->placement = (struct placement_verdict){.status = PLACEMENT_VERIFIED, .fraction = 1};
    figure->missed.status = PLACEMENT_UNVERIFIED;
    snprintf(figure->variant, sizeof figure->variant, "%s", variant);
    return figure;
}

struct series *migration_series(struct migration_run *run, size_t count) {
    if (run->count + count > run->capacity) {
        run->capacity = 2 * (run->count + count);
        run->series = must_have(realloc(run->series, run->capacity * sizeof *run->series));
    }
    struct series *series = &run->series[run->count];
    run->count += count;
    return series;
}

void migration_label(struct series *series, const struct migration_figure *figure,
                     const char *metric, const char *unit, const struct migration_memory *memory) {
    *series = (struct series){
        .variant = figure->variant,
        .metric = metric,
        .unit = unit,
        .mem_node = &figure->mem_node,
        .other = &figure->other,
        .size_bytes = memory->pages * memory->page_bytes,
        .pages = page_kind_name(memory->kind),
        .pages_on_nodes = figure->pages_on_nodes,
        .placement = &figure->placement,
        .proof = figure->proof,
        .cached = figure->cached[0] != '\0' ? figure->cached : NULL,
    };
}

void migration_fail(struct migration_figure *figure, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(figure->failed, sizeof figure->failed, format, arguments);
    va_end(arguments);
}

void migration_settle(const struct session *session, struct series *series, size_t count,
                      struct migration_figure *figure, const char *pages, size_t failures) {
    bool failed = series->count == 0;
    if (failed)
        figure->placement = figure->missed;
    else if (failures > 0)
        session_say(session, "warning: %s of %s pages, nodes %d and %d: %zu samples failed: %s",
                    figure->variant, pages, figure->other.mem_node, figure->mem_node, failures,
                    figure->failed);
    for (size_t i = 0; i < count; i++) {
        series[i].pages = pages;
        if (failed)
            series[i].failed = figure->failed;
    }
}

void migration_note_nodes(struct migration_figure *figure, const struct migration_memory *memory,
                          const struct migration_arrival *arrival) {
    size_t length = 0, room = sizeof figure->pages_on_nodes;
    size_t nodes = memory->nodes[0] == memory->nodes[1] ? 1 : 2;
    for (size_t i = 0; i < nodes && length < room; i++)
        if (arrival->on_nodes[i] > 0)
            length +=
                (size_t)snprintf(figure->pages_on_nodes + length, room - length, "%sN%d=%" PRIu64,
                                 length > 0 ? "," : "", memory->nodes[i], arrival->on_nodes[i]);
}

const char *migration_pages_of(const struct migration_memory *memory) {
    const char *asked = page_kind_name(memory->kind);
    if (memory->kind == PAGE_BASE)
        return asked;
    struct pages_tally tally = {0};
    FILE *smaps = fopen("/proc/self/smaps", "re");
    bool told = smaps != NULL && pages_add(smaps, (uintptr_t)memory->start,
                                           memory->pages * memory->page_bytes, asked, &tally);
    if (smaps != NULL)
        fclose(smaps);
    const char *found = told ? pages_in_force(&tally, asked) : asked;
    return strcmp(found, "default") == 0 ? page_kind_name(PAGE_BASE) : found;
}

bool migration_get(struct migration_memory *memory, enum page_kind kind, uint64_t size_bytes,
                   const int nodes[2], struct migration_figure *figure) {
    const char *why;
    if (!migration_map(memory, kind, size_bytes, nodes, &why)) {
        *memory = (struct migration_memory){.kind = kind};
        migration_fail(figure, "%s", why);
        return false;
    }
    const char *found = migration_pages_of(memory);
    if (strcmp(found, page_kind_name(kind)) != 0)
        migration_fail(figure, "the kernel gave pages %s instead", found);
    int error = migration_bring(memory, 0);
    if (error != 0)
        migration_fail(figure, "pages cannot be had on node %d: %s", nodes[0], strerror(error));
    return figure->failed[0] == '\0';
}
