/* On which nodes memory is, as the kernel says: move_pages(2) without a target, in batches. */
#pragma once

#include "runtime.c"

#define RESIDENCY_BATCH 256

/* Counts pages until the kernel refuses. Where `counts` has no room for a node it counts as
 * `elsewhere`. */
struct residency {
    size_t *counts; /* pages of each node */
    size_t nodes;   /* ids that `counts` has room for */
    uint64_t asked, absent, elsewhere;
    int error; /* errno of the kernel's refusal, or 0; then nothing is asked any more */
    unsigned batched;
    void *pages[RESIDENCY_BATCH];
    int where[RESIDENCY_BATCH];
};

static void residency_begin(struct residency *residency, size_t *counts, size_t nodes) {
    residency->counts = counts;
    residency->nodes = nodes;
    residency->asked = residency->absent = residency->elsewhere = 0;
    residency->error = 0;
    residency->batched = 0;
    memset(counts, 0, nodes * sizeof *counts);
}

/* Asks for what is batched; to be called once more at the end. */
static void residency_flush(struct residency *residency) {
    unsigned count = residency->batched;
    residency->batched = 0;
    if (count == 0 || residency->error != 0)
        return;
    int result = sys_nodes_of_pages(residency->pages, count, residency->where);
    if (result < 0) {
        residency->error = -result;
        return;
    }
    residency->asked += count;
    for (unsigned i = 0; i < count; i++) {
        int node = residency->where[i];
        if (node < 0)
            residency->absent++;
        else if ((size_t)node < residency->nodes)
            residency->counts[node]++;
        else
            residency->elsewhere++;
    }
}

/* Every kernel page that holds a byte of the range, which must not be empty or wrap round. */
static void residency_add(struct residency *residency, uintptr_t start, size_t size_bytes,
                          size_t page_bytes) {
    uintptr_t page = start & ~(page_bytes - 1);
    size_t count = ((start + (size_bytes - 1) - page) / page_bytes) + 1;
    for (; count > 0 && residency->error == 0; count--, page += page_bytes) {
        residency->pages[residency->batched++] = (void *)page;
        if (residency->batched == RESIDENCY_BATCH)
            residency_flush(residency);
    }
}
