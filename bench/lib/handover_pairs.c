#include "handover_pairs.h"

#include <stdlib.h>
#include <string.h>

#include "stats.h"
#include "units.h"

size_t handover_pairs_list(hwloc_const_bitmap_t cpus, struct handover_pair **pairs) {
    size_t cpu_count = (size_t)hwloc_bitmap_weight(cpus), count = 0;
    *pairs = calloc(cpu_count * (cpu_count - 1) / 2, sizeof **pairs);
    if (*pairs == NULL)
        return 0;
    for (int cpu = hwloc_bitmap_first(cpus); cpu >= 0; cpu = hwloc_bitmap_next(cpus, cpu))
        for (int other = hwloc_bitmap_next(cpus, cpu); other >= 0;
             other = hwloc_bitmap_next(cpus, other))
            (*pairs)[count++] = (struct handover_pair){
                .cpu = (unsigned)cpu, .cpu_node = -1, .other = {other, -1, -1}};
    return count;
}

static hwloc_obj_t core_of(hwloc_topology_t topology, unsigned cpu) {
    hwloc_obj_t thread = hwloc_get_pu_obj_by_os_index(topology, cpu);
    return thread != NULL ? hwloc_get_ancestor_obj_by_type(topology, HWLOC_OBJ_CORE, thread) : NULL;
}

struct handover_distance handover_pairs_distance(hwloc_topology_t topology,
                                                 const struct handover_pair *pair) {
    hwloc_obj_t core = core_of(topology, pair->cpu);
    int one = pair->cpu_node, other = pair->other.cpu_node;
    return (struct handover_distance){
        .same_core = core != NULL && core == core_of(topology, (unsigned)pair->other.cpu),
        .nodes = {one < other ? one : other, one < other ? other : one},
    };
}

/* A CPU's place in a row. */
static size_t place_of(hwloc_const_bitmap_t cpus, int cpu) {
    size_t place = 0;
    for (int at = hwloc_bitmap_first(cpus); at >= 0 && at < cpu; at = hwloc_bitmap_next(cpus, at))
        place++;
    return place;
}

void handover_pairs_matrix(FILE *out, hwloc_const_bitmap_t cpus, const struct handover_pair *pairs,
                           const double *figures, size_t count) {
    size_t size = (size_t)hwloc_bitmap_weight(cpus);
    double *cells = calloc(size * size, sizeof *cells);
    if (cells == NULL) {
        fprintf(out, "no memory for the matrix\n");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        size_t row = place_of(cpus, (int)pairs[i].cpu);
        size_t column = place_of(cpus, pairs[i].other.cpu);
        cells[row * size + column] = cells[column * size + row] = figures[i];
    }
    fprintf(out, "%6s", "CPU");
    for (int cpu = hwloc_bitmap_first(cpus); cpu >= 0; cpu = hwloc_bitmap_next(cpus, cpu))
        fprintf(out, " %6d", cpu);
    size_t at = 0;
    for (int cpu = hwloc_bitmap_first(cpus); cpu >= 0; cpu = hwloc_bitmap_next(cpus, cpu)) {
        fprintf(out, "\n%6d", cpu);
        for (size_t column = 0; column < size; column++, at++) {
            char text[UNITS_FIGURE_TEXT] = "-";
            if (cells[at] > 0)
                units_format_figure(cells[at], text);
            fprintf(out, " %6s", text);
        }
    }
    fprintf(out, "\n");
    free(cells);
}

static int compare(const struct handover_distance *one, const struct handover_distance *other) {
    if (one->same_core != other->same_core)
        return one->same_core ? -1 : 1;
    bool near = one->nodes[0] == one->nodes[1], other_near = other->nodes[0] == other->nodes[1];
    if (near != other_near)
        return near ? -1 : 1;
    if (one->nodes[0] != other->nodes[0])
        return one->nodes[0] < other->nodes[0] ? -1 : 1;
    return one->nodes[1] < other->nodes[1] ? -1 : one->nodes[1] > other->nodes[1];
}

struct entry {
    struct handover_distance distance;
    double figure;
};

static int compare_entries(const void *one, const void *other) {
    const struct entry *left = one, *right = other;
    int order = compare(&left->distance, &right->distance);
    return order != 0 ? order : (left->figure > right->figure) - (left->figure < right->figure);
}

static void print_group(FILE *out, const struct entry *entries, size_t count) {
    const struct handover_distance *distance = &entries->distance;
    char name[64], text[3][UNITS_FIGURE_TEXT];
    double median = (entries[(count - 1) / 2].figure + entries[count / 2].figure) / 2;
    if (distance->nodes[0] < 0)
        snprintf(name, sizeof name, "%s", distance->same_core ? "one core" : "nodes not known");
    else if (distance->nodes[0] != distance->nodes[1])
        snprintf(name, sizeof name, "nodes %d and %d", distance->nodes[0], distance->nodes[1]);
    else
        snprintf(name, sizeof name, "%s of node %d", distance->same_core ? "one core" : "two cores",
                 distance->nodes[0]);
    fprintf(out, "%-22s %8zu %10s %10s %10s\n", name, count,
            units_format_figure(entries[0].figure, text[0]), units_format_figure(median, text[1]),
            units_format_figure(entries[count - 1].figure, text[2]));
}

void handover_pairs_summary(FILE *out, hwloc_topology_t topology, const struct handover_pair *pairs,
                            const double *figures, size_t count) {
    struct entry *entries = calloc(count, sizeof *entries);
    if (entries == NULL) {
        fprintf(out, "no memory for the summary\n");
        return;
    }
    for (size_t i = 0; i < count; i++)
        entries[i] = (struct entry){handover_pairs_distance(topology, &pairs[i]), figures[i]};
    qsort(entries, count, sizeof *entries, compare_entries);
    fprintf(out, "%-22s %8s %10s %10s %10s\n", "pairs of", "count", "minimum", "median", "maximum");
    for (size_t first = 0, next; first < count; first = next) {
        for (next = first + 1;
             next < count && compare(&entries[first].distance, &entries[next].distance) == 0;
             next++)
            continue;
        print_group(out, entries + first, next - first);
    }
    free(entries);
}
