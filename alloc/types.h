/* The data the allocator keeps, from the smallest to the largest, each with what always holds.
 *
 *   block    what malloc returns
 *   page     blocks of one size class, owned by one thread           64 KiB or 512 KiB
 *   segment  pages of one kind, or spans; found from any address      32 MiB, aligned
 *   arena    address range with one policy, cut into segments         1 GiB
 *   pool     the arenas and segments of one placement: a node, or several
 *   heap     one thread's pages, all on one node or each where the policy says
 *   thread   one thread's heaps; outlives the thread, adopted by a later one
 *
 * Pages and segments are described outside the memory they describe: an overrun of a block cannot
 * reach them, and purging a page never touches them. */
#pragma once

#include "lock.c"
#include "size_class.c"

struct pool;
struct heap;
struct thread;

/* A free block: its first word links it into one of its page's lists. With checks on the link is
 * encoded, and `seal` follows from it. */
struct block {
    struct block *next;
    uintptr_t seal;
};

enum page_state {
    PAGE_QUEUED,    /* in its heap's bin, may have free blocks */
    PAGE_KEPT,      /* as queued, its bin's `kept` one, stays though empty; `used` is one higher */
    PAGE_PARKED,    /* had no block to give, in no bin; `used` is 1 so that the next free is seen */
    PAGE_ANNOUNCED, /* was parked; another thread freed a block and puts it on its owner's ready
                       list */
};

/* Set in thread_free while the page is parked. Who clears it brings the page back: the owner at its
 * own first free, or the first thread that frees from elsewhere, never both. */
#define THREAD_FREE_PARKED ((uintptr_t)1)

/* How it was decided where a block without a page is; its realloc keeps to that. */
enum large_rule {
    LARGE_LOCAL,  /* on the node the thread ran on */
    LARGE_TURNS,  /* whole on one node, which take turns */
    LARGE_POLICY, /* in the policy's own pool */
    LARGE_CALLER, /* on the node the caller named */
};

/* Blocks of one class. Only the owner touches anything but thread_free, so only that is atomic.
 *
 *   used + |free| + |local_free| == capacity <= blocks that fit        (while PAGE_QUEUED)
 *
 * where blocks on thread_free still count as used until the owner collects them. `free` is what
 * malloc pops, and takes the owner's frees, so that what was used last, and is warm, is used next.
 * Frees from other threads go to `thread_free` (Leijen, Zorn, de Moura, "Mimalloc: Free List
 * Sharding in Action", 2019). Blocks above `capacity` were never handed out and are on no list.
 * In small blocks of threads that follow their node the owner's frees go to `local_free`, which is
 * taken over when `free` runs out: so such threads come by the slow path, and look where they are,
 * also when they only replace what they have.
 *
 * In a span segment the page of a span's first slice describes the span: block_size, and in
 * size_class its enum large_rule, which is there for huge blocks as well. */
struct page {
    struct block *free;
    struct block *local_free;
    struct heap *heap; /* of the owner; NULL: the page is unused, or is a span */
    uint16_t used;
    uint16_t capacity;
    uint8_t own_list; /* offset here of the list that takes the owner's frees */
    uint8_t size_class;
    uint8_t state;                  /* enum page_state */
    uint8_t ticks_left;             /* while kept and empty: ticks until it is given back */
    _Atomic(uintptr_t) thread_free; /* first block, or'ed with THREAD_FREE_PARKED */
    struct page *next;              /* in the bin; on the ready list once announced */
    struct page *prev;
    uint32_t block_size;
    uint32_t start_slice; /* the first block's address, in slices */
};
_Static_assert(sizeof(struct page) == 64, "a page's description is one cache line");

enum segment_kind {
    SEGMENT_SMALL,  /* pages of one slice */
    SEGMENT_MEDIUM, /* pages of eight slices */
    SEGMENT_SPAN,   /* runs of slices, one block each */
    SEGMENT_HUGE,   /* one block mapped by itself; may be longer than a segment */
    SEGMENT_UNUSED, /* carved, all slices free */
};
#define PAGED_KINDS 2

#define SLICE_WORDS (SEGMENT_SLICES / 64)

/* The slices of a segment, a bit each. free_map: not handed out. touched_map: may hold physical
 * memory or old contents; untouched slices read as zero. idle_map: were free and touched when
 * purging last came by. What is so again when it next comes by has not been wanted for a while, and
 * is given back. */
struct segment {
    /* What every free reads; not written while the segment is in use. */
    uintptr_t base;
    struct pool *pool;
    uint8_t kind;           /* enum segment_kind */
    uint8_t page_shift;     /* address to index in pages[]; SEGMENT_SHIFT where there is only one */
    bool reserved_pages;    /* of NUMA_ALLOC_PAGES=2M or 1G: populated, and never purged */
    uint16_t slices;        /* SEGMENT_SLICES, fewer where address space is limited */
    size_t huge_bytes;      /* 0: the head is spare */
    size_t lead_bytes;      /* mapped before a huge block and not used */
    size_t stripe_mappings; /* of a huge block, out of its pool's budget */
    _Atomic(uint64_t) *records; /* with checks on: what is known of each block (records.c) */
    _Alignas(CACHE_LINE) uint16_t free_slices; /* == bits in free_map */
    uint16_t largest_run; /* free slices in a row, kept for span segments only */
    bool kept_idle;       /* of a kept huge block: the last purging pass has seen it */
    bool purge_refused;   /* the kernel keeps some of its free pages: they are locked */
    struct segment *next; /* in the pool's list `listed_in`; huge blocks' heads: in theirs */
    struct segment *prev;
    struct segment **listed_in; /* NULL: full, in no list */
    struct segment *next_all;   /* every segment ever carved; every head of huge blocks */
    uint64_t free_map[SLICE_WORDS];
    uint64_t touched_map[SLICE_WORDS];
    uint64_t idle_map[SLICE_WORDS];
    /* Whose each page is, again, by the index in pages[]: apart from what the owner keeps changing,
     * so that a free from another thread need not fetch that. NULL: unused, or no page. */
    _Alignas(CACHE_LINE) struct heap *heaps[SEGMENT_SLICES];
    struct page pages[]; /* SEGMENT_SLICES, or 1 when huge */
};

/* Span segments are listed by floor(log2(largest_run)). */
#define SPAN_LISTS 10

/* Nodes that take turns, each as often as its weight says: smooth weighted round-robin. What is
 * handed out is counted in slices: each adds its share to every node's credit and takes the whole
 * from the node that serves, the one with most. So at any time no node is further than one page
 * ahead or behind. */
struct rotation {
    unsigned count;
    unsigned weight_sum;
    struct turn {
        struct pool *pool;
        unsigned weight;
        int64_t credit; /* in slices times weight_sum */
    } turns[];
};

/* How a pool's address space gets its nodes. */
enum spread {
    SPREAD_ONE,     /* one mbind to one node */
    SPREAD_KERNEL,  /* one mbind to a set of nodes: the kernel chooses for each kernel page */
    SPREAD_STRIPES, /* an mbind for each run of stripes, which take turns */
    SPREAD_NONE,    /* none: the process's own policy */
};

/* What came of asking the kernel. */
enum placing {
    PLACING_ASKED,   /* mbind is obeyed, as far as is known */
    PLACING_TOUCHED, /* mbind is refused: a helper on the node touches memory first */
    PLACING_PLAIN,   /* nor can that be: memory is where it is first used */
};

/* All memory of one placement. Segments, once carved, belong to the pool for ever. */
struct pool {
    struct lock lock;          /* guards everything here and in the segments but their pages */
    int node;                  /* kernel id; -1: not one node */
    uint8_t spread;            /* enum spread */
    _Atomic(uint8_t) placing;  /* enum placing */
    int mode;                  /* mbind mode, of SPREAD_ONE, _KERNEL and of each stripe */
    struct rotation *rotation; /* of several nodes: whose turn the next stripe is, or whose helper
                                  touches which piece; NULL for one node, or without memory */
    size_t stripe_mappings;    /* as many mappings as stripes may take more of */
    _Atomic(unsigned long *) helper_cpus;    /* the node's, once a helper was seen to run there */
    _Atomic(uint64_t) touch_allowance_bytes; /* helpers may touch before it is looked again ... */
    _Atomic(uint64_t) touch_resume_ms;       /* ... how much there is, but not before this */
    struct segment *paged[PAGED_KINDS];
    struct segment *spans[SPAN_LISTS];
    struct segment *unused;
    struct segment *kept;     /* freed huge blocks, the oldest first */
    struct segment *outgoing; /* of those, given up; unmapped when the pool is unlocked */
    size_t kept_bytes;
    _Atomic(unsigned) huge_mapped; /* huge blocks ever, where each begins later (huge_lead) */
    _Atomic(struct segment *) all;
    uintptr_t arena_next, arena_end;                 /* what is left to carve of the newest arena */
    size_t arena_whole_bytes, arena_stripe_mappings; /* what it was, and of its pages' stripes */
    bool arena_reserved_pages;                       /* it is of NUMA_ALLOC_PAGES=2M or 1G */
    size_t reserved_arena_bytes; /* how large the next such arena shall be; 0: the smallest */
    _Atomic(uint64_t) huge_pages_resume_ms; /* huge blocks do without reserved pages until then */
    _Atomic(uint64_t) full_look_ms; /* when it may be looked again whether the node is full */
    uint64_t purge_due_ms;          /* 0: nothing to purge */
    struct segment *purge_next;     /* where the pass under way goes on; NULL: at the start */
    bool purge_again;               /* the pass under way leaves memory for the next */
    _Atomic(bool) collected;        /* freed blocks were searched for since the last carving */
    /* Counters, read without the lock by the statistics. */
    uint64_t arenas, arena_bytes, segments;
    uint64_t slices_used, slices_used_peak, slices_purged;
    uint64_t huge_blocks, huge_bytes, huge_bytes_peak;
    _Atomic(uint64_t) policy_refusals;
    _Atomic(int) policy_errno;        /* of the last refusal */
    _Atomic(uint64_t) pages_refusals; /* arenas and blocks without the huge pages asked for */
    _Atomic(int) pages_errno;         /* of the last such */
    _Atomic(uint64_t) reserved_bytes; /* in pages of NUMA_ALLOC_PAGES=2M or 1G */
    _Atomic(uint64_t) full_demands;   /* demands for more than a bound node had free, of those that
                                         were looked at: ten a second at most */
    _Atomic(uint64_t) touched_bytes;  /* by helpers, while PLACING_TOUCHED */
    _Atomic(uint64_t) touch_failures; /* pages' runs and blocks that a helper could not touch */
    _Atomic(int) touch_errno; /* of the last such; ENOMEM also: it would have been too much */
};

/* At most one page of a bin is empty, the kept one: without it, a program that allocates and frees
 * around the end of a page would take one from the pool and give it back each time. */
struct bin {
    struct page *first; /* malloc serves from this one */
    struct page *last;
    struct page *kept; /* one of them, or NULL */
};

/* `direct[(size + 15) / 16]` is the first page of that size's bin, or the empty page that never has
 * a free block: malloc's fast path needs neither a class nor a null check. */
#define DIRECT_MAX 1024

struct heap {
    struct page *direct[DIRECT_MAX / BLOCK_ALIGNMENT + 1];
    struct bin bins[SIZE_CLASSES];
    struct thread *thread;
    struct pool *pool;         /* of blocks the policy does not apply to */
    bool follows_policy;       /* others are placed as the policy says; false: they too are here */
    bool names_node;           /* its blocks were asked for on the pool's node by name */
    struct rotation *rotation; /* whose turn the next page is, where the policy has several nodes */
};

/* Blocks that a thread frees for another one, by their distance from `window`. */
#define LETTER_BLOCKS       120
#define LETTER_WINDOW_BYTES ((uintptr_t)BLOCK_ALIGNMENT << 32)
struct letter {
    struct letter *next;
    struct thread *from; /* whom it is returned to, empty */
    uintptr_t window;
    unsigned count;
    uint32_t blocks[LETTER_BLOCKS]; /* in units of BLOCK_ALIGNMENT */
};

/* Letters a thread may have begun, found by whom they are for. */
#define OPEN_LETTERS 32
struct open_letter {
    struct thread *to;
    struct letter *letter; /* NULL: none */
};

/* What a running thread owns. Never unmapped: a thread that frees may hold a pointer to an owner
 * that has just ended. */
struct thread {
    struct thread *next_all;
    struct thread *next_orphan;
    unsigned heap_index;      /* where new blocks come from */
    unsigned node_mismatches; /* in a row: running on another node than that heap's */
    unsigned refills;
    unsigned pops_to_look; /* while pages have blocks to give, until the node is looked up */
    _Atomic(uint64_t) remote_frees; /* one writer, but for threads that have ended */
    uint64_t node_switches;
    struct letter *letters; /* empty ones */
    struct open_letter open_letters[OPEN_LETTERS];
    /* What other threads push, and the owner takes whole. */
    _Alignas(CACHE_LINE) _Atomic(struct page *) ready; /* announced pages */
    _Atomic(struct letter *) mailbox;                  /* blocks of its pages that they freed */
    _Atomic(unsigned) mailbox_letters;
    _Atomic(struct letter *) returned; /* its letters, empty again */
    /* One a node and then one or more for the policy, made when first needed. */
    _Alignas(CACHE_LINE) struct heap *heaps[];
};
