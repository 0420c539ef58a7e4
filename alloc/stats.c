/* What the allocator can tell about itself: gathered by walking what there is, so that the fast
 * paths count nothing, and written as JSON when the process ends or is signalled. Takes no lock and
 * never allocates: the numbers may be a moment apart, but a signal handler may ask for them. */
#pragma once

#include "core.c"

#include <signal.h>

struct class_stats {
    uint64_t pages;
    uint64_t live_blocks; /* blocks freed by other threads and not yet collected count as live */
};

struct heap_stats {
    struct class_stats classes[SIZE_CLASSES];
    uint64_t span_blocks, span_bytes;
    uint64_t huge_blocks, huge_bytes;
    uint64_t page_live_bytes; /* in blocks of size classes */
    uint64_t committed_bytes; /* slices handed out to pages and spans, and huge blocks */
    uint64_t threads, remote_frees, node_switches;
};

static uint64_t page_live_blocks(const struct page *page) {
    switch (page->state) {
    case PAGE_PARKED:
        return page->capacity;
    case PAGE_KEPT:
        return page->used - 1U;
    default:
        return page->used;
    }
}

static void stats_add_segment(struct heap_stats *stats, const struct segment *segment) {
    /* Read once: another thread may be giving an unused segment its kind. */
    enum segment_kind kind = *(const volatile uint8_t *)&segment->kind;
    if (kind == SEGMENT_UNUSED)
        return;
    unsigned pages = SEGMENT_SLICES / kind_page_slices(kind);
    for (unsigned i = 0; i < pages; i++) {
        const struct page *page = &segment->pages[i];
        if (page->block_size == 0)
            continue;
        if (kind == SEGMENT_SPAN) {
            stats->span_blocks++;
            stats->span_bytes += page->block_size;
        } else if (page->heap != NULL) {
            struct class_stats *of_class = &stats->classes[page->size_class];
            uint64_t live_blocks = page_live_blocks(page);
            of_class->pages++;
            of_class->live_blocks += live_blocks;
            stats->page_live_bytes += live_blocks * page->block_size;
        }
    }
}

static void stats_gather(struct heap_stats *stats) {
    memset(stats, 0, sizeof *stats);
    for (unsigned i = 0; i < na.pool_count; i++) {
        const struct pool *pool = &na.pools[i];
        stats->huge_blocks += pool->huge_blocks;
        stats->huge_bytes += pool->huge_bytes;
        stats->committed_bytes += pool->slices_used * SLICE_SIZE + pool->huge_bytes;
        for (struct segment *segment = atomic_load_explicit(&pool->all, memory_order_acquire);
             segment != NULL; segment = segment->next_all)
            stats_add_segment(stats, segment);
    }
    for (struct thread *thread = atomic_load_explicit(&threads.all, memory_order_acquire);
         thread != NULL; thread = thread->next_all) {
        stats->threads++;
        stats->remote_frees += atomic_load_explicit(&thread->remote_frees, memory_order_relaxed);
        stats->node_switches += thread->node_switches;
    }
}

static void json_number(struct text *json, const char *name, uint64_t value, const char *after) {
    text_add(json, "\"");
    text_add(json, name);
    text_add(json, "\": ");
    text_add_unsigned(json, value);
    text_add(json, after);
}

static void json_pool(struct text *json, const struct pool *pool) {
    text_add(json, "    {\"node\": ");
    if (pool->node < 0)
        text_add(json, "null");
    else
        text_add_unsigned(json, (unsigned)pool->node);
    text_add(json, ", \"policy\": \"");
    text_add(json, pool->spread == SPREAD_NONE ? "none" : pool->mode == MPOL_BIND ? "bind" : "preferred");
    text_add(json, "\", \"in_force\": ");
    text_add(json, atomic_load(&pool->policy_refusals) == 0 ? "true, " : "false, ");
    json_number(json, "refusals", atomic_load(&pool->policy_refusals), ", ");
    json_number(json, "refusal_errno", (uint64_t)atomic_load(&pool->policy_errno), ", ");
    json_number(json, "arenas", pool->arenas, ", ");
    json_number(json, "arena_bytes", pool->arena_bytes, ", ");
    json_number(json, "segments", pool->segments, ", ");
    json_number(json, "committed_bytes", pool->slices_used * SLICE_SIZE, ", ");
    json_number(json, "peak_committed_bytes", pool->slices_used_peak * SLICE_SIZE, ", ");
    json_number(json, "purged_bytes", pool->slices_purged * SLICE_SIZE, ", ");
    json_number(json, "huge_blocks", pool->huge_blocks, ", ");
    json_number(json, "huge_bytes", pool->huge_bytes, ", ");
    json_number(json, "peak_huge_bytes", pool->huge_bytes_peak, "}");
}

static void json_size_classes(struct text *json, const struct heap_stats *stats) {
    const char *separator = "\n";
    text_add(json, "  \"size_classes\": [");
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        const struct class_stats *of_class = &stats->classes[size_class];
        if (of_class->pages == 0)
            continue;
        text_add(json, separator);
        text_add(json, "    {");
        json_number(json, "block_bytes", size_class_bytes(size_class), ", ");
        json_number(json, "pages", of_class->pages, ", ");
        json_number(json, "live_blocks", of_class->live_blocks, "}");
        separator = ",\n";
    }
    text_add(json, "\n  ],\n");
}

/* Writes the statistics as one JSON object, unless another thread or an interrupted handler is
 * doing so. The nodes are flushed one by one, since there may be 1,024 of them. */
static void stats_write(int fd) {
    static struct heap_stats stats;
    static char buffer[16384];
    static atomic_flag busy = ATOMIC_FLAG_INIT;
    if (atomic_flag_test_and_set_explicit(&busy, memory_order_acquire))
        return;
    struct text json = {buffer, 0, sizeof buffer};
    stats_gather(&stats);
    text_add(&json, "{\n  ");
    json_number(&json, "pid", (uint64_t)sys_process_id(), ",\n  ");
    text_add(&json, "\"policy\": \"");
    config_format_policy(&na.config, &json);
    text_add(&json, "\",\n  ");
    json_number(&json, "threads", stats.threads, ",\n  ");
    json_number(&json, "remote_frees", stats.remote_frees, ",\n  ");
    json_number(&json, "node_switches", stats.node_switches, ",\n  ");
    json_number(&json, "foreign_frees", atomic_load(&na.foreign_frees), ",\n  ");
    json_number(&json, "metadata_bytes", meta.bytes, ",\n  ");
    json_number(&json, "committed_bytes", stats.committed_bytes, ",\n");
    json_size_classes(&json, &stats);
    text_add(&json, "  \"spans\": {");
    json_number(&json, "blocks", stats.span_blocks, ", ");
    json_number(&json, "bytes", stats.span_bytes, "},\n  \"nodes\": [\n");
    for (unsigned i = 0; i < na.pool_count; i++) {
        json_pool(&json, &na.pools[i]);
        text_add(&json, i + 1 < na.pool_count ? ",\n" : "\n");
        (void)sys_write_all(fd, json.start, json.length);
        json.length = 0;
    }
    text_add(&json, "  ]\n}\n");
    (void)sys_write_all(fd, json.start, json.length);
    atomic_flag_clear_explicit(&busy, memory_order_release);
}

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
        stats_write(stats_stderr_now());
        return;
    }
    int fd = stats_open(path);
    if (fd >= 0) {
        stats_write(fd);
        sys_close(fd);
        return;
    }
    struct message message;
    message_begin(&message);
    text_add(&message.text, "NUMA_ALLOC_STATS: cannot write ");
    text_add_quoted(&message.text, path);
    text_add(&message.text, " (errno ");
    text_add_signed(&message.text, -fd);
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
    action.sa_flags = SA_RESTART;
    (void)sigaction(SIGUSR2, &action, NULL);
}

__attribute__((destructor)) static void stats_at_exit(void) {
    if (atomic_load(&na.ready) && na.config.stats)
        stats_report();
}
