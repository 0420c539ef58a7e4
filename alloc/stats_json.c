/* The statistics as JSON, for NUMA_ALLOC_STATS and na_stats_json. docs/STATISTICS.md lists the
 * keys.
 */
#pragma once

#include "stats.c"

#include <signal.h>

/* --- JSON ---------------------------------------------------------------------------------- */

/* Text on its way to a file, in pieces: there may be 1,024 nodes. */
struct json {
    struct text text;
    int fd;
    int error; /* the first, or 0 */
};

/* No single item is longer than this. */
#define JSON_ITEM_MAX 1024

static void json_flush(struct json *json) {
    int result = sys_write_all(json->fd, json->text.start, json->text.length);
    if (json->error == 0 && result != 0)
        json->error = -result;
    json->text.length = 0;
}

static void json_add(struct json *json, const char *string) {
    if (json->text.capacity - json->text.length < JSON_ITEM_MAX)
        json_flush(json);
    text_add(&json->text, string);
}

static void json_number(struct json *json, const char *name, uint64_t value, const char *after) {
    json_add(json, "\"");
    text_add(&json->text, name);
    text_add(&json->text, "\": ");
    text_add_unsigned(&json->text, value);
    text_add(&json->text, after);
}

static void json_string(struct json *json, const char *name, const char *value, const char *after) {
    json_add(json, "\"");
    text_add(&json->text, name);
    text_add(&json->text, "\": \"");
    text_add(&json->text, value);
    text_add(&json->text, "\"");
    text_add(&json->text, after);
}

/* --- pools --------------------------------------------------------------------------------- */

static const char *pool_policy_name(const struct pool *pool) {
    if (pool->spread == SPREAD_NONE)
        return "none";
    if (pool->spread == SPREAD_STRIPES)
        return "stripes";
    switch (pool->mode) {
    case MPOL_BIND:
        return "bind";
    case MPOL_INTERLEAVE:
        return "interleave";
    case MPOL_WEIGHTED_INTERLEAVE:
        return "weighted interleave";
    default:
        return "preferred";
    }
}

static const char *placing_name(const struct pool *pool) {
    static const char *const names[] = {"asked", "touched", "plain"};
    return names[atomic_load(&pool->placing)];
}

/* Whether the pool is one the policy uses, or has been used by name. */
reads_unlocked static bool pool_is_told(const struct pool *pool) {
    if (pool == na.policy_pool || pool->arenas != 0 || pool->huge_bytes_peak != 0)
        return true;
    if (pool->node < 0)
        return false;
    return na.config.policy == POLICY_LOCAL ||
           (na.policy_pool != NULL && na.policy_pool->node < 0 &&
            node_set_has(&na.config.nodes, (unsigned)pool->node));
}

/* Pages where they shall be, elsewhere and nowhere, and the bytes on each node. */
static void json_placement(struct json *json, const struct pool *pool, uint64_t stride) {
    static struct residency residency;
    static size_t counts[NODE_IDS_MAX];
    size_t page_bytes = sys_page_bytes();
    residency_begin(&residency, counts, NODE_IDS_MAX);
    placement_look(&residency, pool, stride, page_bytes);
    uint64_t on_node = 0, elsewhere = residency.elsewhere;
    for (unsigned node = 0; node < NODE_IDS_MAX; node++)
        *(pool_wants_node(pool, node) ? &on_node : &elsewhere) += counts[node];
    json_string(json, "status", residency.error == 0 ? "ok" : "refused", ", ");
    json_number(json, "errno", (uint64_t)residency.error, ", ");
    json_number(json, "looked_at_pages", residency.asked, ", ");
    json_number(json, "on_node_pages", on_node, ", ");
    json_number(json, "elsewhere_pages", elsewhere, ", ");
    json_number(json, "absent_pages", residency.absent, "},\n     \"resident_bytes\": {");
    const char *separator = "";
    for (unsigned node = 0; node < NODE_IDS_MAX; node++) {
        if (counts[node] == 0)
            continue;
        json_add(json, separator);
        text_add(&json->text, "\"");
        text_add_unsigned(&json->text, node);
        text_add(&json->text, "\": ");
        text_add_unsigned(&json->text, counts[node] * stride * page_bytes);
        separator = ", ";
    }
    json_add(json, "}");
}

reads_unlocked static void json_pool(struct json *json, const struct pool *pool, uint64_t stride) {
    uint64_t refusals = atomic_load(&pool->policy_refusals);
    json_add(json, "    {\"node\": ");
    if (pool->node < 0)
        text_add(&json->text, "null");
    else
        text_add_unsigned(&json->text, (unsigned)pool->node);
    json_add(json, ", ");
    json_string(json, "policy", pool_policy_name(pool), ", \"in_force\": ");
    text_add(&json->text, refusals == 0 ? "true, " : "false, ");
    json_string(json, "placing", placing_name(pool), ", ");
    json_number(json, "refusals", refusals, ", ");
    json_number(json, "refusal_errno", (uint64_t)atomic_load(&pool->policy_errno), ",\n     ");
    json_number(json, "full_demands", atomic_load(&pool->full_demands), ", ");
    json_number(json, "huge_page_refusals", atomic_load(&pool->pages_refusals), ", ");
    json_number(json, "huge_page_errno", (uint64_t)atomic_load(&pool->pages_errno), ", ");
    json_number(json, "reserved_page_bytes", atomic_load(&pool->reserved_bytes), ",\n     ");
    json_number(json, "touched_bytes", atomic_load(&pool->touched_bytes), ", ");
    json_number(json, "touch_failures", atomic_load(&pool->touch_failures), ", ");
    json_number(json, "touch_errno", (uint64_t)atomic_load(&pool->touch_errno), ",\n     ");
    json_number(json, "arenas", pool->arenas, ", ");
    json_number(json, "arena_bytes", pool->arena_bytes, ", ");
    json_number(json, "segments", pool->segments, ", ");
    json_number(json, "committed_bytes", pool->slices_used * SLICE_SIZE, ", ");
    json_number(json, "peak_committed_bytes", pool->slices_used_peak * SLICE_SIZE, ", ");
    json_number(json, "purged_bytes", pool->slices_purged * SLICE_SIZE, ",\n     ");
    json_number(json, "huge_blocks", pool->huge_blocks, ", ");
    json_number(json, "huge_bytes", pool->huge_bytes, ", ");
    json_number(json, "peak_huge_bytes", pool->huge_bytes_peak, ", ");
    json_number(json, "kept_bytes", pool->kept_bytes, ",\n     \"placement_check\": {");
    json_placement(json, pool, stride);
    json_add(json, "}");
}

static void json_pools(struct json *json) {
    uint64_t stride = placement_stride(sys_page_bytes());
    const char *separator = "\n";
    json_number(json, "placement_check_one_in", stride, ",\n  \"nodes\": [");
    for (unsigned i = 0; i < na.pool_count; i++) {
        if (!pool_is_told(&na.pools[i]))
            continue;
        json_add(json, separator);
        json_pool(json, &na.pools[i], stride);
        separator = ",\n";
    }
    json_add(json, "\n  ]\n");
}

/* --- the process --------------------------------------------------------------------------- */

static void json_size_classes(struct json *json, const struct heap_stats *stats) {
    const char *separator = "\n";
    json_add(json, "  \"size_classes\": [");
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        const struct class_stats *of_class = &stats->classes[size_class];
        if (of_class->pages == 0)
            continue;
        json_add(json, separator);
        json_add(json, "    {");
        json_number(json, "block_bytes", size_class_bytes(size_class), ", ");
        json_number(json, "pages", of_class->pages, ", ");
        json_number(json, "live_blocks", of_class->live_blocks, "}");
        separator = ",\n";
    }
    json_add(json, "\n  ],\n");
}

/* What was asked for. A policy's text may be long, but fits into an empty buffer. */
static void json_settings(struct json *json) {
    static const char *const page_kinds[] = {"default", "thp", "2M", "1G"};
    json_flush(json);
    text_add(&json->text, "{\n  ");
    json_number(json, "pid", (uint64_t)sys_process_id(), ",\n  \"policy\": \"");
    config_format_policy(&na.config, &json->text);
    json_add(json, "\",\n  ");
    json_number(json, "min_size_bytes", na.config.min_size_bytes, ",\n  ");
    json_string(json, "pages", page_kinds[na.config.pages], ",\n  ");
}

reads_unlocked static void json_process(struct json *json, const struct heap_stats *stats) {
    json_number(json, "threads", stats->threads, ",\n  ");
    json_number(json, "remote_frees", stats->remote_frees, ",\n  ");
    json_number(json, "node_switches", stats->node_switches, ",\n  ");
    json_number(json, "foreign_frees", atomic_load(&na.foreign_frees), ",\n  ");
    long mappings = sys_count_lines("/proc/self/maps");
    if (mappings >= 0)
        json_number(json, "mappings", (uint64_t)mappings, ",\n  ");
    else
        json_add(json, "\"mappings\": null,\n  ");
    json_number(json, "mappings_max", mappings_max(), ",\n  ");
    json_number(json, "metadata_bytes", meta.bytes, ",\n  ");
    json_number(json, "live_bytes", stats_live_bytes(stats), ",\n  ");
    json_number(json, "committed_bytes", stats->committed_bytes, ",\n");
    json_size_classes(json, stats);
    json_add(json, "  \"spans\": {");
    json_number(json, "blocks", stats->span_blocks, ", ");
    json_number(json, "bytes", stats->span_bytes, "},\n  ");
}

/* Writes the statistics as one JSON object. Returns 0, the errno of a write, or EBUSY when another
 * thread or an interrupted handler is at it. */
static int stats_write(int fd) {
    static struct heap_stats stats;
    static char buffer[16384];
    static _Atomic(long) busy; /* the writer's process: a fork may have left its parent's here */
    long pid = sys_process_id(), before = atomic_load_explicit(&busy, memory_order_relaxed);
    if (before == pid || !atomic_compare_exchange_strong_explicit(
                             &busy, &before, pid, memory_order_acquire, memory_order_relaxed))
        return EBUSY;
    struct json json = {{buffer, 0, sizeof buffer}, fd, 0};
    stats_gather(&stats);
    json_settings(&json);
    json_process(&json, &stats);
    json_pools(&json);
    json_add(&json, "}\n");
    json_flush(&json);
    atomic_store_explicit(&busy, 0, memory_order_release);
    return json.error;
}

/* --- where it goes ------------------------------------------------------------------------- */

/* Out of the way of programs and scripts that count on 3 and the next few. */
#define STATS_FD_LOWEST 100

/* Standard error as it was at the start: many programs close theirs before destructors run. */
static struct {
    int fd;
    uint64_t identity; /* 0: none is kept */
} stats_stderr;

/* Where to write: the kept descriptor, unless the program has closed it and its number now stands
 * for a file of the program's own. */
static int stats_stderr_now(void) {
    bool kept =
        stats_stderr.identity != 0 && sys_file_identity(stats_stderr.fd) == stats_stderr.identity;
    return kept ? stats_stderr.fd : STDERR_FILENO;
}

/* Opens the destination, with each %p replaced by the process id. Returns a descriptor or -errno.
 */
static int stats_open(char path_chars[PATH_MAX + 64]) {
    struct text path = {path_chars, 0, PATH_MAX + 63};
    for (const char *at = na.config.stats_path; *at != '\0'; at++) {
        if (at[0] == '%' && at[1] == 'p') {
            text_add_unsigned(&path, (uint64_t)sys_process_id());
            at++;
        } else {
            text_add_chars(&path, at, 1);
        }
    }
    path_chars[path.length] = '\0';
    return sys_create_file(path_chars);
}

/* Writes the statistics where they were asked for. */
static void stats_report(void) {
    char path[PATH_MAX + 64];
    if (na.config.stats_path[0] == '\0') {
        (void)stats_write(stats_stderr_now()); /* a failure could not be said either */
        return;
    }
    int fd = stats_open(path);
    int error = fd < 0 ? -fd : stats_write(fd);
    if (fd >= 0)
        sys_close(fd);
    if (error == 0 || error == EBUSY) /* another report is on its way */
        return;
    struct message message;
    message_begin(&message);
    text_add(&message.text, "NUMA_ALLOC_STATS: cannot write ");
    text_add_quoted(&message.text, path);
    text_add(&message.text, " (");
    text_add_errno(&message.text, error);
    text_add(&message.text, ")");
    message_send(&message);
}

static void stats_on_signal(int signal_number) {
    (void)signal_number;
    stats_report();
}

static void stats_set_up(void) {
    if (!na.config.stats)
        return;
    if (na.config.stats_path[0] == '\0') {
        stats_stderr.fd = sys_duplicate(STDERR_FILENO, STATS_FD_LOWEST);
        stats_stderr.identity = sys_file_identity(stats_stderr.fd);
    }
    if (!na.config.stats_on_signal)
        return;
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = stats_on_signal;
    action.sa_flags = SA_RESTART | SA_ONSTACK; /* some run-times have small stacks otherwise */
    (void)sigaction(SIGUSR2, &action, NULL);
}

__attribute__((destructor)) static void stats_at_exit(void) {
    if (atomic_load(&na.ready) && na.config.stats)
        stats_report();
}
