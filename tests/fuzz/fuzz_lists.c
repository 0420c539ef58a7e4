/* Numbers and lists on the benchmarks' command lines. */
#include "bench/lib/aggressor.h"
#include "bench/lib/latency_plan.h"
#include "bench/lib/memory.h"
#include "bench/lib/migration.h"
#include "bench/lib/options.h"
#include "bench/lib/topology.h"
#include "bench/lib/units.h"

#include "fuzz.h"

#include <string.h>

static void read_numbers(const char *text) {
    char shown[UNITS_SIZE_TEXT];
    uint64_t size_bytes, again, count;
    double decimal;
    if (units_parse_size(text, &size_bytes))
        fuzz_expect(units_parse_size(units_format_size(size_bytes, shown), &again) &&
                    again == size_bytes);
    if (units_parse_count(text, 3, 1000, &count))
        fuzz_expect(count >= 3 && count <= 1000);
    if (units_parse_decimal(text, &decimal))
        fuzz_expect(decimal >= 0);
}

static void read_lists(const char *text) {
    static const char *const names[] = {"base", "thp", "2M"};
    struct migration_batches batches;
    struct aggressor_mix mix, again;
    char shown[AGGRESSOR_MIX_TEXT];
    unsigned chosen;
    struct plan plan;
    bool (*const adds[])(struct plan *, const char *) = {plan_add_groups, plan_add_strides,
                                                         plan_add_pages, plan_add_chains};
    for (size_t i = 0; i < sizeof adds / sizeof *adds; i++) {
        memset(&plan, 0, sizeof plan);
        if (adds[i](&plan, text))
            plan_complete(&plan, 1 << 20);
    }
    if (migration_parse_batches(text, &batches))
        fuzz_expect(batches.count > 0 && batches.count <= MIGRATION_BATCHES);
    if (migration_parse_names(text, names, 3, &chosen))
        fuzz_expect(chosen > 0 && chosen < 8);
    if (aggressor_mix_parse(text, &mix))
        fuzz_expect(aggressor_mix_parse(aggressor_mix_name(&mix, shown), &again) &&
                    again.reads == mix.reads && again.writes == mix.writes);
    hwloc_bitmap_t cpus = hwloc_bitmap_alloc();
    if (cpus != NULL && topology_parse_cpus(text, cpus))
        fuzz_expect(hwloc_bitmap_weight(cpus) > 0);
    hwloc_bitmap_free(cpus);
}

static void read_options(char *first, char *second) {
    struct option_value values[5] = {{0}};
    const struct option_row rows[] = {
        {"flag", NULL, "", OPTION_FLAG, 0, 0, &values[0]},
        {"count", "N", "", OPTION_COUNT, 1, 100, &values[1]},
        {"size", "SIZE", "", OPTION_SIZE, 16, 1 << 30, &values[2]},
        {"percent", "P", "", OPTION_PERCENT, 0, 0, &values[3]},
        {"auto", "N", "", OPTION_COUNT_OR_AUTO, 1, 9, &values[4]},
    };
    char program[] = "fuzz", error[OPTIONS_ERROR];
    char *argv[] = {program, first, second, NULL};
    if (!options_parse(rows, 5, 3, argv, error)) {
        fuzz_expect(memchr(error, '\0', sizeof error) != NULL && strchr(error, '\n') == NULL);
        return;
    }
    fuzz_expect(!values[1].given || (values[1].value >= 1 && values[1].value <= 100));
    fuzz_expect(!values[3].given || (values[3].fraction >= 0.0001 && values[3].fraction <= 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    char first[600], second[600];
    (void)fuzz_text(&bytes, &size, first, sizeof first);
    (void)fuzz_text(&bytes, &size, second, sizeof second);
    read_numbers(first);
    read_lists(first);
    read_options(first, second);
    return 0;
}
