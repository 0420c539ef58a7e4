/* What every allocation workload is made of: its row, its workers, and blocks that are checked. */
#ifndef ALLOCS_WORKLOAD_H
#define ALLOCS_WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct run;

/* One thread's part of a run. */
struct worker {
    struct run *run;
    unsigned index; /* from 0 */
    uint64_t random_state;
    uint32_t serial; /* stamp of the next block; worker `index` begins at index << 24 */
    uint64_t share;  /* operations this worker is to do; unused when the run is timed */
    uint64_t done;   /* operations so far */
    uint64_t started_ns, ended_ns;
};

/* A row of the registry: drives --list, --help, parsing and dispatch. */
struct workload {
    const char *name;
    const char *about;                 /* one line: what is done, and what an operation is */
    unsigned threads;                  /* unless --threads says otherwise */
    unsigned threads_min;              /* fewer make no sense */
    unsigned threads_step;             /* accepted: threads_min, threads_min + threads_step, ... */
    uint64_t operations;               /* a counting thread's by default: 0.3 to 0.7 s with glibc */
    bool (*has_share)(unsigned index); /* does this worker count operations? NULL: all do */
    void (*prepare)(struct run *);     /* before the workers start, untimed; NULL for none */
    void (*work)(struct worker *);     /* each worker's timed part; leaves no block behind */
    void (*finish)(struct run *);      /* after they ended, untimed; NULL for none */
};

struct run {
    const struct workload *workload;
    unsigned threads;
    uint64_t seed;
    uint64_t operations;  /* of all threads together; 0 when timed */
    uint64_t duration_ns; /* of a timed run */
    size_t size_bytes;    /* --size, of the workloads of one size */
    void *shared;         /* the workload's own, from prepare to finish */
};

struct run_result {
    uint64_t wall_ns;    /* from the first worker's start to the last one's end */
    uint64_t operations; /* done by all workers */
};

/* How many of `threads` workers count operations. */
unsigned workload_sharers(const struct workload *workload, unsigned threads);

/* Runs the workload on run->threads threads, the calling one among them. */
struct run_result workload_run(struct run *run);

/* Ends the process with status 1 and one line on stderr: the allocator broke a promise. */
_Noreturn void workload_broken(const struct worker *worker, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* How many operations to do now, at most `most`; 0 when the worker is done. They count as done. */
uint64_t worker_batch(struct worker *worker, uint64_t most);

/* A worker for another thread of the same run, with its own random numbers and stamps. */
struct worker worker_child(struct worker *parent);

/* Memory of the workload's own: zeroed, ends the process when there is none. Freed with free(). */
void *worker_table(const struct worker *worker, size_t count, size_t size_bytes);

/* The next random number: splitmix64 (G. L. Steele, D. Lea, C. H. Flood, "Fast splittable
 * pseudorandom number generators", OOPSLA 2014). */
static inline uint64_t random_next(struct worker *worker) {
    uint64_t z = worker->random_state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* A number in [0, bound), bound at most 2^32. */
static inline uint64_t random_below(struct worker *worker, uint64_t bound) {
    return ((random_next(worker) >> 32) * bound) >> 32;
}

/* A size in [min, min << doublings): each doubling is half as likely as the one before, so that
 * P(size >= s) = min / s, as the sizes in real programs roughly go. doublings is at most 16. */
static inline size_t random_size(struct worker *worker, size_t min, unsigned doublings) {
    uint64_t bits = random_next(worker);
    unsigned doubling = (unsigned)__builtin_ctzll(bits | (UINT64_C(1) << (doublings - 1)));
    uint64_t least = (uint64_t)min << doubling;
    return least + (((bits >> 32) * least) >> 32);
}

/* A block from the allocator. Its first and last eight bytes hold a number that no other live
 * block of the run holds, so that blocks that overlap are found when the older one is freed. */
struct block {
    void *start; /* NULL: no block */
    uint32_t size_bytes;
    uint32_t stamp;
};

/* Smallest block: one stamp. */
#define BLOCK_MIN_BYTES 8

static inline void block_stamp(const struct block *block) {
    uint64_t word = block->stamp * UINT64_C(0x9e3779b97f4a7c15);
    memcpy(block->start, &word, sizeof word);
    if (block->size_bytes >= 2 * sizeof word)
        memcpy((char *)block->start + block->size_bytes - sizeof word, &word, sizeof word);
}

static inline void block_check(const struct worker *worker, const struct block *block) {
    uint64_t word = block->stamp * UINT64_C(0x9e3779b97f4a7c15), first, last;
    memcpy(&first, block->start, sizeof first);
    last = first;
    if (block->size_bytes >= 2 * sizeof word)
        memcpy(&last, (char *)block->start + block->size_bytes - sizeof word, sizeof last);
    if (__builtin_expect(first != word || last != word, 0))
        workload_broken(worker, "the content of a block of %u bytes changed", block->size_bytes);
}

/* Stamps what the allocator gave for `size_bytes`, which must not be NULL. */
static inline struct block block_of(struct worker *worker, void *start, size_t size_bytes) {
    struct block block = {start, (uint32_t)size_bytes, worker->serial++};
    if (__builtin_expect(start == NULL, 0))
        workload_broken(worker, "no memory for a block of %zu bytes", size_bytes);
    block_stamp(&block);
    return block;
}

static inline struct block block_get(struct worker *worker, size_t size_bytes) {
    return block_of(worker, malloc(size_bytes), size_bytes);
}

static inline void block_put(const struct worker *worker, struct block block) {
    block_check(worker, &block);
    free(block.start);
}

/* Frees the blocks of a table; empty slots are passed over. */
static inline void block_put_all(const struct worker *worker, struct block *blocks, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (blocks[i].start != NULL)
            block_put(worker, blocks[i]);
}

#endif
