/* Latency of a load: chains of dependent loads through memory, in many orders. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "chase.h"
#include "latency_plan.h"
#include "levels.h"
#include "pages.h"
#include "prefetchers.h"
#include "topology.h"
#include "units.h"

/* Most figures of a setting: 16 chains on each kind of pages. */
#define FIGURES_MAX (RING_STARTS * PAGE_KINDS)

/* A setting's variant, and the number of chains. */
#define VARIANT_TEXT (PLAN_VARIANT_TEXT + 8)

/* A sample of --curve, which has some hundreds. */
#define CURVE_MIN_SAMPLE_MS 10

static struct {
    struct option_value chains, group, stride, curve, pages, twice, prefetchers;
} options;

static const struct option_row own_options[] = {
    {"chains", "LIST",
     "so many chains side by side, from 1 to 16, such as 1-16 or 1,2,4 (default: 1); a\n"
     "figure each, time over the loads of all: that of 1 chain over that of N is how many\n"
     "loads were in flight at a time",
     OPTION_TEXT, 0, 0, &options.chains},
    {"group", "SIZES",
     "order: at random within groups of so many bytes, such as 4K or 4K,256K; the groups\n"
     "in random order. Loads then rarely wait for a page walk (default: one group, all)",
     OPTION_TEXT, 0, 0, &options.group},
    {"stride", "SIZES",
     "order: by rising address, so many bytes apart, such as 64,256,4K; powers of two, to\n"
     "64K. Prefetchers see it coming",
     OPTION_TEXT, 0, 0, &options.stride},
    {"curve", NULL,
     "all sizes from 4K to --size (default: 8 x all last-level caches), four an octave, and\n"
     "the cache levels found in them; a sample is 10 ms then, if not said otherwise",
     OPTION_FLAG, 0, 0, &options.curve},
    {"pages", "LIST",
     "side by side on pages of these kinds: base, thp (transparent huge), 2M, 1G (reserved\n"
     "huge); mapped directly, past malloc, and bound to --node if that is given. What base\n"
     "pages cost beyond the largest is page_walk",
     OPTION_TEXT, 0, 0, &options.pages},
    {"twice", NULL,
     "also measure twice the size, and call the figure cached if that takes over 10 %\n"
     "longer (done anyway where the size of the caches is not known)",
     OPTION_FLAG, 0, 0, &options.twice},
    {"prefetchers", "off", PREFETCHERS_HELP, OPTION_TEXT, 0, 0, &options.prefetchers},
};

static void print_rows(const struct session *session, const struct series *series, size_t count);

static const struct session_program latency = {
    .name = "latency",
    .metric = "load_latency",
    .unit = "ns",
    .about =
        "load_latency, in ns (1 ns = 1e-9 s): each load's address is what the load before it read,\n"
        "on one ring in random order through every 64-byte line. The ring is walked once before\n"
        "timing, which proves that it is one, that it has every line once, and how many. Counted:\n"
        "time over loads, address translation (TLB misses) included.\n"
        "level_latency (--curve): median over the sizes in which a cache level, or memory, serves;\n"
        "size_bytes is where the level ends. page_walk (--pages): latency beyond the largest pages'.\n",
    .size_help = "memory the ring spans (default: 256M, or 4 x all last-level caches if larger)",
    .size_min_bytes = (uint64_t)2 * RING_SLOT_BYTES,
    .size_max_bytes = RING_MAX_BYTES,
    .size_default_bytes = (uint64_t)256 << 20,
    .arrays = 1,
    .checks_room = true,
    .fillable = true,
    .own_options = own_options,
    .own_option_count = sizeof own_options / sizeof own_options[0],
    .print_rows = print_rows,
};

/* What has been measured so far, for the report. */
struct results {
    struct series *series;
    struct placement_verdict *placements; /* of each */
    char (*variants)[VARIANT_TEXT];       /* of each */
    char (*proofs)[SESSION_PROOF_TEXT];   /* of each */
    char (*pages)[SESSION_PROOF_TEXT];    /* of each, by node */
    size_t count;
    struct placement_verdict placement; /* the worst of all */
};

static bool refuse(const struct session *session, const char *option,
                   const struct option_value *value, const char *accepted) {
    session_say(session, "--%s: '%.40s' is not accepted; %s", option, value->text, accepted);
    return false;
}

/* Whether to measure twice the size, since nothing else tells a cache from memory. */
static bool is_by_twice(const struct session *session) {
    return options.twice.given ||
           (!options.curve.given && topology_cache_bytes(session->topology) == 0);
}

/* Reads the options into what to measure; false with one line said. */
static bool make_plan(const struct session *session, struct plan *plan) {
    if (options.prefetchers.given && strcmp(options.prefetchers.text, "off") != 0)
        return refuse(session, "prefetchers", &options.prefetchers, "off is");
    if (options.prefetchers.given && session->fill_cpu.given) {
        session_say(session, "--prefetchers off goes not with --fill-cpu");
        return false;
    }
    if (options.curve.given &&
        (options.group.given || options.stride.given || options.twice.given)) {
        session_say(session, "--curve goes with neither --group, --stride nor --twice");
        return false;
    }
    if (options.group.given && !plan_add_groups(plan, options.group.text))
        return refuse(session, "group", &options.group,
                      "multiples of 256 bytes such as 4K,256K are");
    if (options.stride.given && !plan_add_strides(plan, options.stride.text))
        return refuse(session, "stride", &options.stride,
                      "powers of two from 64 to 64K, such as 64,256,4K, are");
    if (options.pages.given && !plan_add_pages(plan, options.pages.text))
        return refuse(session, "pages", &options.pages, "a list of base, thp, 2M, 1G is");
    if (options.chains.given && !plan_add_chains(plan, options.chains.text))
        return refuse(session, "chains", &options.chains,
                      "numbers from 1 to 16, such as 1-16 or 1,2,4, are");
    if (options.curve.given)
        plan_add_curve(plan, session->size.value);
    plan_complete(plan, session->size.value);
    for (size_t i = 0; i < plan->setting_count; i++) {
        const struct setting *setting = &plan->settings[i];
        if ((setting->size_bytes << is_by_twice(session)) / setting->shape.slot_bytes <= UINT32_MAX)
            continue;
        session_say(session,
                    "--size: at most 2^32 - 1 slots of %zu bytes have a number; a smaller "
                    "size, or a larger --stride, is accepted",
                    setting->shape.slot_bytes);
        return false;
    }
    return true;
}

/* Memory of every kind of the plan, for rings of any of its sizes. */
struct blocks {
    void *memory[PAGE_KINDS];
    size_t size_bytes;
};

/* With --pages: where the memory comes from, in place of what the session found of malloc. */
static void describe_mapped(struct session *session) {
    struct memory_source *source = &session->source;
    int node = source->by_libnuma ? source->node : session_current_node();
    /* numactl's policy holds for what is mapped here too. */
    int task_node = memory_task_node();
    if (!source->by_libnuma && task_node != MEMORY_NO_POLICY)
        node = task_node == MEMORY_SEVERAL_NODES ? -1 : task_node;
    snprintf(source->allocator, sizeof source->allocator, "mmap");
    snprintf(source->policy, sizeof source->policy, source->by_libnuma ? "bind:%d" : "none", node);
    source->node = node;
    source->first_touch = !source->by_libnuma;
    placement_expect_node(&source->expected, node);
}

/* False with one line said, and with --csv a row. */
static bool get_memory(struct session *session, const struct plan *plan, struct blocks *blocks) {
    const char *why = NULL;
    int node = session->source.by_libnuma ? session->source.node : -1;
    for (size_t i = 0; i < plan->kind_count; i++) {
        enum page_kind kind = plan->kinds[i];
        bool mapped = kind != PAGE_KINDS;
        blocks->memory[i] = mapped ? page_kind_map(kind, blocks->size_bytes, node, &why)
                                   : memory_get(&session->source, blocks->size_bytes, &why);
        if (blocks->memory[i] == NULL) {
            session_fail(session, plan->settings[0].variant, "cannot get memory%s%s: %s",
                         mapped ? " in pages " : "", mapped ? page_kind_name(kind) : "", why);
            return false;
        }
        /* First touched here, by the thread of --fill-cpu, whatever ring comes first. */
        for (size_t at = 0; at < blocks->size_bytes; at += RING_SLOT_BYTES)
            *(volatile char *)((char *)blocks->memory[i] + at) = 0;
    }
    return true;
}

static void free_memory(const struct session *session, const struct plan *plan,
                        const struct blocks *blocks) {
    for (size_t i = 0; i < plan->kind_count; i++) {
        if (blocks->memory[i] == NULL)
            continue;
        if (plan->kinds[i] == PAGE_KINDS)
            memory_free(&session->source, blocks->memory[i], blocks->size_bytes);
        else
            page_kind_unmap(plan->kinds[i], blocks->memory[i], blocks->size_bytes);
    }
}

/* What the pages of a block of a kind turned out to be, in the CSV's words. */
static const char *pages_found(enum page_kind kind, const void *memory, size_t size_bytes) {
    struct pages_tally tally = {0};
    if (kind == PAGE_BASE)
        return page_kind_name(kind);
    FILE *smaps = fopen("/proc/self/smaps", "re");
    bool told = smaps != NULL &&
                pages_add(smaps, (uintptr_t)memory, size_bytes, page_kind_name(kind), &tally);
    if (smaps != NULL)
        fclose(smaps);
    return told ? pages_in_force(&tally, page_kind_name(kind)) : page_kind_name(kind);
}

static struct placement_tally ask(const struct session *session, const struct chase_field *field) {
    struct placement_tally tally = {0};
    placement_add(&tally, field->memory, field->size_bytes, &session->source.expected);
    return tally;
}

/* The next series of the results; there is room for all of the plan. */
static struct series *add_series(struct results *results, const char *variant) {
    struct series *series = &results->series[results->count];
    snprintf(results->variants[results->count], VARIANT_TEXT, "%.*s", VARIANT_TEXT - 1, variant);
    *series = (struct series){.variant = results->variants[results->count]};
    results->count++;
    return series;
}

/* The series of a figure. */
static struct series *add_figure(struct results *results, const struct setting *setting,
                                 size_t chains, const struct chase_field *field) {
    char variant[2 * VARIANT_TEXT];
    snprintf(variant, sizeof variant, chains > 1 ? "%s-x%zu" : "%s", setting->variant, chains);
    struct series *series = add_series(results, variant);
    series->size_bytes = setting->size_bytes;
    series->placement = &results->placements[results->count - 1];
    series->proof = results->proofs[results->count - 1];
    series->pages_on_nodes = results->pages[results->count - 1];
    if (field->kind != PAGE_KINDS)
        series->pages = pages_found(field->kind, field->memory, field->size_bytes);
    return series;
}

/* Lays the rings of a setting, one on each kind of pages. */
static bool lay(struct session *session, const struct plan *plan, const struct blocks *blocks,
                const struct setting *setting, struct chase_field fields[PAGE_KINDS]) {
    for (size_t i = 0; i < plan->kind_count; i++) {
        fields[i] = (struct chase_field){.memory = blocks->memory[i],
                                         .size_bytes = setting->size_bytes,
                                         .shape = setting->shape,
                                         .kind = plan->kinds[i]};
        if (!chase_lay(session, &fields[i], setting->variant))
            return false;
        fields[i].before = ask(session, &fields[i]);
    }
    return true;
}

/* Says what is known of a ring without measuring more. */
static void prove_ring(const struct session *session, const struct ring *ring,
                       char proof[SESSION_PROOF_TEXT]) {
    uint64_t cache_bytes = topology_cache_bytes(session->topology);
    char cache[UNITS_SIZE_TEXT];
    int length =
        snprintf(proof, SESSION_PROOF_TEXT, "one ring, each of its %zu lines once", ring->lines);
    if (cache_bytes > 0)
        snprintf(proof + length, SESSION_PROOF_TEXT - (size_t)length,
                 "; %.3g x all last-level caches (%s)",
                 (double)ring->lines * RING_LINE_BYTES / (double)cache_bytes,
                 units_format_size(cache_bytes, cache));
}

/* Measures every number of chains on one kind of pages. */
static bool measure_field(struct session *session, const struct plan *plan,
                          const struct setting *setting, struct chase_field *field,
                          struct results *results) {
    struct chase_figure figures[RING_STARTS];
    size_t first = results->count;
    for (size_t k = 0; k < plan->chain_count; k++)
        figures[k] =
            (struct chase_figure){.field = field,
                                  .chains = plan->chains[k],
                                  .series = add_figure(results, setting, plan->chains[k], field)};
    chase_measure(session, figures, plan->chain_count);
    if (!chase_is_on_ring(figures, plan->chain_count)) {
        session_fail(session, setting->variant, "the walk left the ring");
        return false;
    }
    struct placement_tally after = ask(session, field);
    struct placement_verdict placement = session_judge(session, &field->before, &after);
    results->placement = first == 0 ? placement : placement_worse(results->placement, placement);
    for (size_t i = first; i < results->count; i++) {
        results->placements[i] = placement;
        prove_ring(session, &field->ring, results->proofs[i]);
        snprintf(results->pages[i], SESSION_PROOF_TEXT, "%s", session->pages_on_nodes);
    }
    return true;
}

/* Measures a setting with every number of chains on every kind of pages, one kind after the other:
 * in turns, each sample would begin in the other's caches. */
static bool measure_setting(struct session *session, const struct plan *plan,
                            const struct blocks *blocks, const struct setting *setting,
                            struct results *results) {
    struct chase_field fields[PAGE_KINDS];
    if (!lay(session, plan, blocks, setting, fields))
        return false;
    for (size_t i = 0; i < plan->kind_count; i++)
        if (!measure_field(session, plan, setting, &fields[i], results))
            return false;
    return true;
}

/* More than this and the figure is not of memory alone. */
#define TWICE_MOST 1.1

static bool allocate(struct results *results, size_t capacity) {
    *results = (struct results){
        .series = calloc(capacity, sizeof *results->series),
        .placements = calloc(capacity, sizeof *results->placements),
        .variants = calloc(capacity, sizeof *results->variants),
        .proofs = calloc(capacity, sizeof *results->proofs),
        .pages = calloc(capacity, sizeof *results->pages),
    };
    return results->series != NULL && results->placements != NULL && results->variants != NULL &&
           results->proofs != NULL && results->pages != NULL;
}

static void release(struct results *results) {
    for (size_t i = 0; i < results->count; i++)
        series_free(&results->series[i]);
    free(results->series);
    free(results->placements);
    free(results->variants);
    free(results->proofs);
    free(results->pages);
}

/* Measures twice the size of the first setting, and compares. */
static bool prove_by_twice(struct session *session, const struct plan *plan,
                           const struct blocks *blocks, const struct results *results) {
    struct results beside;
    struct setting twice = plan->settings[0];
    twice.size_bytes *= 2;
    bool measured =
        allocate(&beside, FIGURES_MAX) && measure_setting(session, plan, blocks, &twice, &beside);
    if (measured) {
        series_settle(&beside.series[0]);
        series_settle(&results->series[0]);
        double ratio =
            series_summary(&beside.series[0]).median / series_summary(&results->series[0]).median;
        char *proof = results->proofs[0];
        size_t length = strlen(proof);
        snprintf(proof + length, SESSION_PROOF_TEXT - length,
                 "; twice the size takes %.3g x as long", ratio);
        if (ratio > TWICE_MOST && session->cached[0] == '\0')
            snprintf(session->cached, sizeof session->cached,
                     "in twice the memory a load takes %.3g x as long: caches hold part of this",
                     ratio);
    }
    release(&beside);
    return measured;
}

/* The CPU's data caches, as the system knows them. */
static size_t known_caches(const struct session *session, struct levels_cache caches[LEVELS_MAX]) {
    struct topology_cache found[LEVELS_MAX];
    size_t count = topology_cpu_caches(session->topology, session->cpus[0], found, LEVELS_MAX);
    for (size_t i = 0; i < count; i++) {
        caches[i].size_bytes = found[i].size_bytes;
        snprintf(caches[i].name, sizeof caches[i].name, found[i].level == 1 ? "L%ud" : "L%u",
                 found[i].level);
    }
    return count;
}

/* The levels of the first curve: that of the first kind of pages and number of chains. */
static size_t find_levels(const struct session *session, const struct series *series, size_t count,
                          struct level levels[LEVELS_MAX]) {
    static struct levels_cache caches[LEVELS_MAX];
    struct levels_point points[PLAN_SETTINGS_MAX];
    size_t point_count = 0;
    for (size_t i = 0; i < count && point_count < PLAN_SETTINGS_MAX; i++)
        if (series[i].size_bytes > (point_count > 0 ? points[point_count - 1].size_bytes : 0))
            points[point_count++] =
                (struct levels_point){series[i].size_bytes, series_summary(&series[i]).median};
    return levels_find(points, point_count, caches, known_caches(session, caches), levels);
}

/* Adds a figure that follows from others, with the labels of one of them. */
static struct series *add_derived(struct results *results, const struct series *like,
                                  const char *metric, double value, bool doubtful) {
    if (!(value > 0))
        return NULL;
    struct series *series = add_series(results, like->variant);
    series->metric = metric;
    series->pages = like->pages;
    series->size_bytes = like->size_bytes;
    series->derived = true;
    series->doubtful = doubtful;
    series_add(series, &(struct sample){.value = value, .started_at = time(NULL)});
    return series;
}

static void add_levels(const struct session *session, struct results *results) {
    struct level levels[LEVELS_MAX];
    size_t figures = results->count, a_size = 1; /* series that each size has */
    while (a_size < figures && results->series[a_size].size_bytes == results->series[0].size_bytes)
        a_size++;
    size_t count = find_levels(session, results->series, figures, levels);
    for (size_t i = 0; i < count; i++) {
        bool doubtful = false;
        for (size_t k = levels[i].first; k <= levels[i].last; k++)
            doubtful = doubtful || !session_knows_well(session, &results->series[k * a_size]);
        struct series like = results->series[levels[i].last * a_size];
        like.variant = levels[i].name;
        like.size_bytes = levels[i].edge_bytes > 0 ? levels[i].edge_bytes
                                                   : results->series[figures - 1].size_bytes;
        add_derived(results, &like, "level_latency", levels[i].latency_ns, doubtful);
    }
}

/* What translation costs: a load on base pages less that on the largest pages beside it. */
static void add_page_walk(const struct session *session, const struct plan *plan,
                          struct results *results) {
    size_t figures = results->count, kinds = plan->kind_count, chains = plan->chain_count;
    if (plan->kinds[0] == PAGE_KINDS)
        return;
    for (size_t first = 0; first < figures; first += kinds * chains) {
        const struct series *base = NULL, *largest = NULL;
        size_t largest_bytes = 0;
        for (size_t i = 0; i < kinds; i++) {
            const struct series *series = &results->series[first + i * chains];
            if (plan->kinds[i] == PAGE_BASE) {
                base = series;
            } else if (page_kind_bytes(plan->kinds[i]) > largest_bytes &&
                       strcmp(series->pages, page_kind_name(plan->kinds[i])) == 0) {
                largest = series;
                largest_bytes = page_kind_bytes(plan->kinds[i]);
            }
        }
        if (base != NULL && largest != NULL)
            add_derived(results, base, "page_walk",
                        series_summary(base).median - series_summary(largest).median,
                        !session_knows_well(session, base) ||
                            !session_knows_well(session, largest));
    }
}

/* A size in three digits or so, 1024-based. */
static const char *round_size(uint64_t size_bytes, char text[UNITS_SIZE_TEXT]) {
    double size = (double)size_bytes / 1024;
    const char *unit = "K";
    for (; size >= 1000 && *unit != 'G'; size /= 1024)
        unit = *unit == 'K' ? "M" : "G";
    snprintf(text, UNITS_SIZE_TEXT, "%.3g%s", size, unit);
    return text;
}

static void print_curve(const struct session *session, const struct series *series, size_t count) {
    struct level levels[LEVELS_MAX];
    size_t figures = 0;
    char size[UNITS_SIZE_TEXT], interval[SESSION_INTERVAL_TEXT], figure[UNITS_FIGURE_TEXT];
    bool several = count > 1 && series[1].size_bytes == series[0].size_bytes;
    printf("%-8s %10s %21s %9s\n", "size", "ns", "95 % interval", "samples");
    for (; figures < count && series[figures].metric == NULL; figures++) {
        struct stats_summary summary = series_summary(&series[figures]);
        printf("%-8s %10s %21s %9zu", round_size(series[figures].size_bytes, size),
               units_format_figure(summary.median, figure), session_interval(&summary, interval),
               summary.samples);
        if (several)
            printf("  %s %s", series[figures].variant,
                   series[figures].pages != NULL ? series[figures].pages : "");
        printf("\n");
    }
    size_t found = find_levels(session, series, figures, levels);
    printf("levels found: flat within 5 %% from size to size\n");
    for (size_t i = 0; i < found; i++) {
        printf("  %-8s %8s ns", levels[i].name, units_format_figure(levels[i].latency_ns, figure));
        if (levels[i].edge_bytes > 0)
            printf(", ends at %s", round_size(levels[i].edge_bytes, size));
        if (levels[i].cache != NULL)
            printf(" (%s by the system)", units_format_size(levels[i].cache->size_bytes, size));
        printf("\n");
    }
}

static void print_rows(const struct session *session, const struct series *series, size_t count) {
    char figure[UNITS_FIGURE_TEXT];
    if (options.curve.given) {
        print_curve(session, series, count);
        return;
    }
    size_t figures = 0;
    while (figures < count && series[figures].metric == NULL)
        figures++;
    session_print_rows(session, series, figures);
    for (size_t i = figures; i < count; i++)
        printf("page walk, %s: %s ns a load beyond the largest pages'\n", series[i].variant,
               units_format_figure(series[i].taken[0].value, figure));
}

/* The head of the table's proof: of all figures together, or of the only one. */
static void prove_all(struct session *session, const struct plan *plan,
                      const struct results *results) {
    if (options.curve.given)
        snprintf(session->proof, sizeof session->proof, "every size is one ring, each line once");
    else if (plan->setting_count > 1)
        snprintf(session->proof, sizeof session->proof, "every figure's memory is %s",
                 results->proofs[0]);
    else
        snprintf(session->proof, sizeof session->proof, "%s", results->proofs[0]);
}

/* Measures all of the plan. Returns the exit status. */
static int measure(struct session *session, const struct plan *plan, const struct blocks *blocks,
                   bool by_twice, struct results *results) {
    int error = session_leave_fill_cpu(session);
    if (error != 0)
        return session_fail(session, plan->settings[0].variant, "cannot pin to CPU %u: %s",
                            session->cpus[0], strerror(error));
    if (plan->kinds[0] == PAGE_KINDS)
        session_look_at_pages(session, blocks->memory, 1, blocks->size_bytes);
    for (size_t i = 0; i < plan->setting_count; i++)
        if (!measure_setting(session, plan, blocks, &plan->settings[i], results))
            return SESSION_NOT_MEASURED;
    if (by_twice && !prove_by_twice(session, plan, blocks, results))
        return SESSION_NOT_MEASURED;
    prove_all(session, plan, results);
    for (size_t i = 0; i < results->count; i++)
        series_settle(&results->series[i]);
    if (options.curve.given)
        add_levels(session, results);
    else
        add_page_walk(session, plan, results);
    return session_report(session, results->series, results->count, results->placement);
}

/* Gets the memory and room for the results, measures and gives them back. */
static int run(struct session *session, const struct plan *plan) {
    size_t capacity = plan->setting_count * plan->chain_count * plan->kind_count +
                      plan->setting_count + LEVELS_MAX;
    struct results results;
    bool by_twice = is_by_twice(session);
    struct blocks blocks = {.size_bytes = session->size.value << by_twice};
    int status = SESSION_NOT_MEASURED;
    if (!session_check_room(session, plan->kind_count * blocks.size_bytes, &status))
        return status;
    if (!allocate(&results, capacity))
        session_say(session, "no memory for %zu figures", capacity);
    else if (get_memory(session, plan, &blocks))
        status = measure(session, plan, &blocks, by_twice, &results);
    free_memory(session, plan, &blocks);
    release(&results);
    return status;
}

/* Runs with the prefetchers of the measuring core off. */
static int run_without_prefetchers(struct session *session, const struct plan *plan) {
    struct prefetchers prefetchers;
    struct processor processor;
    processor_identify(&processor);
    /* Before memory is got: the guardian is a fork. */
    if (!prefetchers_guard(&prefetchers, PREFETCHERS_MSR_ROOT, session->cpus[0], &processor))
        return session_fail(session, plan->settings[0].variant, "--prefetchers off: %s",
                            prefetchers.why);
    int status = SESSION_NOT_MEASURED;
    if (!prefetchers_off(&prefetchers))
        session_fail(session, plan->settings[0].variant, "--prefetchers off: %s", prefetchers.why);
    else
        status = run(session, plan);
    if (!prefetchers_restore(&prefetchers)) {
        session_say(session, "--prefetchers off: not restored: %s", prefetchers.why);
        status = SESSION_NOT_MEASURED;
    }
    return status;
}

/* --curve's own defaults. */
static void adapt_to_curve(struct session *session) {
    uint64_t cache_bytes = topology_cache_bytes(session->topology);
    if (!session->size.given && cache_bytes > 0)
        session->size.value = 8 * cache_bytes;
    session->cached[0] = '\0'; /* which is what is shown */
    if (!session->min_sample_ms.given)
        session->min_sample_ms.value = CURVE_MIN_SAMPLE_MS;
}

int main(int argc, char **argv) {
    struct session session;
    static struct plan plan;
    int status;
    if (!session_start(&session, &latency, argc, argv, &status))
        return status;
    if (options.curve.given)
        adapt_to_curve(&session);
    if (!make_plan(&session, &plan)) {
        session_end(&session);
        return SESSION_BAD_USAGE;
    }
    if (options.pages.given)
        describe_mapped(&session);
    status =
        options.prefetchers.given ? run_without_prefetchers(&session, &plan) : run(&session, &plan);
    session_end(&session);
    return status;
}
