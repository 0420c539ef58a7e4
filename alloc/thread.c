/* Threads: set-up of each at its first malloc, moves between nodes, hand-over when it ends. What a
 * thread owned is adopted whole by the next thread that starts, so that a block is always freed to
 * its own page, and a new thread walks nothing. */
#pragma once

#include "mail.c"
#include "huge.c"

#include <pthread.h>
#include <stdlib.h>

/* A thread moves to another node's heap only after this many slow paths in a row on that node: the
 * scheduler moves threads for a moment more often than for good. */
#define NODE_SWITCH_MISMATCHES 4

/* A thread that follows its node looks where it is when a page has no block ready, and at every
 * this many of the times it takes over what it has freed. */
#define POPS_TO_LOOK 16

static struct thread no_thread;
static struct heap empty_heap = {
    .direct = {[0 ... DIRECT_MAX / BLOCK_ALIGNMENT] = (struct page *)&empty_page},
    .thread = &no_thread,
};

/* What malloc and free find their way by. initial-exec: it must work in the first malloc of a
 * thread, where the lazy kind would call malloc. */
static __thread struct {
    struct heap *heap; /* where malloc takes from, and whose pages free knows at once; never NULL */
    struct heap *own;  /* the same; with checks on `heap` stays the empty one, so that the fast
                          paths never succeed */
    bool ended;        /* its exit destructor has run: heaps are borrowed for one call at a time */
} tls __attribute__((tls_model("initial-exec"))) = {&empty_heap, &empty_heap, false};

static struct {
    struct lock lock;
    _Atomic(struct thread *) all;
    struct thread *orphans;
    pthread_key_t exit_key;
    bool exit_key_valid;
} threads;

static void runtime_set_up(void);

/* --- one thread ---------------------------------------------------------------------------- */

/* Without memory for a rotation of its own the heap's pages are all in one pool. */
static void heap_follow_policy(struct heap *heap) {
    static _Atomic(unsigned) heaps_made;
    heap->follows_policy = na.policy_pool != NULL;
    if (na.rotation != NULL)
        heap->rotation = rotation_copy(na.rotation, atomic_fetch_add(&heaps_made, 1));
}

/* The thread's heap of that index, or NULL without memory for one. */
static struct heap *thread_heap(struct thread *thread, unsigned heap_index) {
    struct heap *heap = thread->heaps[heap_index];
    if (heap != NULL)
        return heap;
    heap = meta_allocate(sizeof *heap);
    if (heap == NULL)
        return NULL;
    memcpy(heap->direct, empty_heap.direct, sizeof heap->direct);
    heap->thread = thread;
    heap->pool = &na.pools[heap_index < na.node_count ? heap_index : heap_index - na.node_count];
    heap->names_node = heap_index < na.node_count;
    if (!heap->names_node)
        heap_follow_policy(heap);
    thread->heaps[heap_index] = heap;
    return heap;
}

/* The pool of blocks placed local, by its index. */
static unsigned pool_index_here(void) {
    static _Atomic(uint16_t) known[CPU_IDS_MAX]; /* by CPU, one more than the index; 0: not yet */
    unsigned noted = (unsigned)sys_noted_cpu(), cpu, node;
    if (likely(noted < CPU_IDS_MAX)) {
        unsigned index = atomic_load_explicit(&known[noted], memory_order_relaxed);
        if (likely(index != 0))
            return index - 1;
    }
    if (!sys_current_cpu(&cpu, &node) || node >= NODE_IDS_MAX)
        return 0;
    if (cpu < CPU_IDS_MAX)
        atomic_store_explicit(&known[cpu], (uint16_t)(na.pool_of_node[node] + 1),
                              memory_order_relaxed);
    return na.pool_of_node[node];
}

/* The heap malloc takes from in a thread that runs here. */
static unsigned heap_index_here(void) {
    return na.node_count + (na.follows_node ? pool_index_here() : 0);
}

static struct thread *thread_adopt_or_make(void) {
    lock_take(&threads.lock);
    struct thread *thread = threads.orphans;
    if (thread != NULL) {
        threads.orphans = thread->next_orphan;
        lock_release(&threads.lock);
        return thread;
    }
    thread = meta_allocate(sizeof *thread + heap_count() * sizeof thread->heaps[0]);
    if (thread != NULL) {
        thread->next_all = atomic_load_explicit(&threads.all, memory_order_relaxed);
        atomic_store_explicit(&threads.all, thread, memory_order_release);
    }
    lock_release(&threads.lock);
    return thread;
}

static void thread_orphan(struct thread *thread) {
    lock_take(&threads.lock);
    thread->next_orphan = threads.orphans;
    threads.orphans = thread;
    lock_release(&threads.lock);
}

static void thread_take_from(struct heap *heap) {
    tls.own = heap;
    tls.heap = na.config.checks ? &empty_heap : heap;
}

/* Gives the calling thread its heaps. Returns the one to allocate from, or NULL without memory. */
static slow_path struct heap *thread_attach(void) {
    runtime_set_up();
    if (tls.own != &empty_heap)
        return tls.own; /* set-up has allocated */
    struct thread *thread = thread_adopt_or_make();
    if (thread == NULL)
        return NULL;
    thread->heap_index = heap_index_here();
    thread->node_mismatches = 0;
    thread->pops_to_look = POPS_TO_LOOK;
    struct heap *heap = thread_heap(thread, thread->heap_index);
    if (heap == NULL) {
        thread_orphan(thread);
        return NULL;
    }
    thread_take_from(heap);
    /* May call calloc, which by now works. */
    if (threads.exit_key_valid && !tls.ended)
        (void)pthread_setspecific(threads.exit_key, thread);
    return heap;
}

/* Leaves the thread's heaps to the next one. */
static void thread_detach(void) {
    struct thread *thread = tls.own->thread;
    thread_take_from(&empty_heap);
    thread_orphan(thread);
}

/* Runs when a thread ends, perhaps before other libraries' destructors: those may still allocate,
 * with borrowed heaps, and free. Staying attached for them instead would have to end in a
 * destructor that POSIX need not call: it promises a number of rounds, not that a key set late is
 * seen. */
static void thread_exit_destructor(void *value) {
    struct thread *thread = value;
    if (thread != tls.own->thread)
        return;
    memcheck_ignores();
    tls.ended = true;
    thread_post_mail(thread);
    thread_collect(thread, UINT_MAX);
    thread_detach();
    memcheck_looks();
}

/* Follows the thread to the node it now runs on. Returns the heap to allocate from. */
static struct heap *thread_follow_node(struct heap *heap) {
    struct thread *thread = heap->thread;
    unsigned here = heap_index_here();
    thread->pops_to_look = POPS_TO_LOOK;
    if (likely(here == thread->heap_index)) {
        thread->node_mismatches = 0;
        return heap;
    }
    if (++thread->node_mismatches < NODE_SWITCH_MISMATCHES)
        return heap;
    struct heap *there = thread_heap(thread, here);
    if (there == NULL)
        return heap;
    thread->heap_index = here;
    thread->node_mismatches = 0;
    thread->node_switches++;
    thread_take_from(there);
    return there;
}

/* Gives back what has been freed in the pages of threads that have ended. One after the other, so
 * that threads that start meanwhile find the rest to adopt. */
static void threads_collect_orphans(unsigned pages_a_bin) {
    struct thread *done = NULL, *thread;
    for (;;) {
        lock_take(&threads.lock);
        thread = threads.orphans;
        if (thread != NULL)
            threads.orphans = thread->next_orphan;
        lock_release(&threads.lock);
        if (thread == NULL)
            break;
        thread_collect(thread, pages_a_bin);
        thread->next_orphan = done;
        done = thread;
    }
    while ((thread = done) != NULL) {
        done = thread->next_orphan;
        thread_orphan(thread);
    }
}
