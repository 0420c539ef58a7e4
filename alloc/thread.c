/* Threads: set-up of the process, of each thread at its first malloc, hand-over when a thread ends,
 * and fork. What a thread owned is adopted whole by the next thread that starts, so that a block is
 * always freed to its own page, and a new thread walks nothing. */
#pragma once

#include "heap.c"
#include "huge.c"

#include <pthread.h>
#include <stdlib.h>

/* A thread moves to another node's heap only after this many slow paths in a row on that node: the
 * scheduler moves threads for a moment more often than for good. */
#define NODE_SWITCH_MISMATCHES 4

static struct heap empty_heap = {
    .direct = {[0 ... DIRECT_MAX / BLOCK_ALIGNMENT] = (struct page *)&empty_page},
};
static struct thread no_thread;

/* What malloc and free find their way by. initial-exec: it must work in the first malloc of a
 * thread, where the lazy kind would call malloc. */
static __thread struct {
    struct heap *heap;     /* where malloc takes from; never NULL */
    struct thread *thread; /* whose pages free recognises as its own; never NULL */
    bool ended; /* its exit destructor has run: heaps are borrowed for one call at a time */
} tls __attribute__((tls_model("initial-exec"))) = {&empty_heap, &no_thread, false};

static struct {
    struct lock lock;
    _Atomic(struct thread *) all;
    struct thread *orphans;
    pthread_key_t exit_key;
    bool exit_key_valid;
} threads;

static void runtime_set_up(void);

/* --- one thread ---------------------------------------------------------------------------- */

/* The thread's heap on a pool, or NULL without memory for one. */
static struct heap *thread_heap(struct thread *thread, unsigned pool_index) {
    struct heap *heap = thread->heaps[pool_index];
    if (heap != NULL)
        return heap;
    heap = meta_allocate(sizeof *heap);
    if (heap == NULL)
        return NULL;
    memcpy(heap->direct, empty_heap.direct, sizeof heap->direct);
    heap->thread = thread;
    heap->pool = &na.pools[pool_index];
    thread->heaps[pool_index] = heap;
    return heap;
}

static unsigned pool_index_here(void) {
    if (na.config.policy != POLICY_LOCAL)
        return 0;
    int node = sys_current_node();
    return node < 0 || node >= NODE_IDS_MAX ? 0 : na.pool_of_node[node];
}

static struct thread *thread_adopt_or_make(void) {
    lock_take(&threads.lock);
    struct thread *thread = threads.orphans;
    if (thread != NULL) {
        threads.orphans = thread->next_orphan;
        lock_release(&threads.lock);
        return thread;
    }
    thread = meta_allocate(sizeof *thread + na.pool_count * sizeof thread->heaps[0]);
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

/* Gives the calling thread its heaps. Returns the one to allocate from, or NULL without memory. */
static slow_path struct heap *thread_attach(void) {
    runtime_set_up();
    if (tls.heap != &empty_heap)
        return tls.heap; /* set-up has allocated */
    struct thread *thread = thread_adopt_or_make();
    if (thread == NULL)
        return NULL;
    thread->pool_index = pool_index_here();
    thread->node_mismatches = 0;
    struct heap *heap = thread_heap(thread, thread->pool_index);
    if (heap == NULL) {
        thread_orphan(thread);
        return NULL;
    }
    tls.thread = thread;
    tls.heap = heap;
    /* May call calloc, which by now works. */
    if (threads.exit_key_valid && !tls.ended)
        (void)pthread_setspecific(threads.exit_key, thread);
    return heap;
}

/* Leaves the thread's heaps to the next one. */
static void thread_detach(void) {
    struct thread *thread = tls.thread;
    tls.heap = &empty_heap;
    tls.thread = &no_thread;
    thread_orphan(thread);
}

/* Runs when a thread ends, perhaps before other libraries' destructors: those may still allocate,
 * with borrowed heaps, and free. Staying attached for them instead would have to end in a
 * destructor that POSIX need not call: it promises a number of rounds, not that a key set late is
 * seen. */
static void thread_exit_destructor(void *value) {
    struct thread *thread = value;
    if (thread != tls.thread)
        return;
    tls.ended = true;
    thread_collect(thread, UINT_MAX);
    thread_detach();
}

/* Policy local: follows the thread to the node it now runs on. Returns the heap to allocate from.
 */
static struct heap *thread_follow_node(struct heap *heap) {
    struct thread *thread = heap->thread;
    unsigned here = pool_index_here();
    if (likely(here == thread->pool_index)) {
        thread->node_mismatches = 0;
        return heap;
    }
    if (++thread->node_mismatches < NODE_SWITCH_MISMATCHES)
        return heap;
    struct heap *there = thread_heap(thread, here);
    if (there == NULL)
        return heap;
    thread->pool_index = here;
    thread->node_mismatches = 0;
    thread->node_switches++;
    tls.heap = there;
    return there;
}

/* Gives back what has been freed in the pages of threads that have ended. One after the other, so
 * that threads that start meanwhile find the rest to adopt. */
static void threads_collect_orphans(void) {
    struct thread *done = NULL, *thread;
    for (;;) {
        lock_take(&threads.lock);
        thread = threads.orphans;
        if (thread != NULL)
            threads.orphans = thread->next_orphan;
        lock_release(&threads.lock);
        if (thread == NULL)
            break;
        thread_collect(thread, COLLECT_PAGES_A_BIN);
        thread->next_orphan = done;
        done = thread;
    }
    while ((thread = done) != NULL) {
        done = thread->next_orphan;
        thread_orphan(thread);
    }
}

/* --- fork ---------------------------------------------------------------------------------- */

/* Every lock is held across a fork, so that what they guard is whole in the child. */
static void fork_prepare(void) {
    lock_take(&threads.lock);
    for (unsigned i = 0; i < na.pool_count; i++)
        lock_take(&na.pools[i].lock);
    lock_take(&huge.lock);
    lock_take(&meta.lock);
    lock_holds_all = true;
}

static void fork_in_parent(void) {
    lock_holds_all = false;
    lock_release(&meta.lock);
    lock_release(&huge.lock);
    for (unsigned i = na.pool_count; i-- > 0;)
        lock_release(&na.pools[i].lock);
    lock_release(&threads.lock);
}

/* The parent's other threads do not exist here and were stopped anywhere: what they own is not
 * adopted. Blocks in it stay valid and can be freed; the memory is not used again. */
static void fork_in_child(void) {
    lock_holds_all = false;
    lock_reset(&meta.lock);
    lock_reset(&huge.lock);
    for (unsigned i = 0; i < na.pool_count; i++)
        lock_reset(&na.pools[i].lock);
    lock_reset(&threads.lock);
}

/* --- the process --------------------------------------------------------------------------- */

/* secure_getenv, also where malloc is called before libc has set `environ`. */
static const char *lookup_environment(const char *variable) {
    if (environ != NULL)
        return secure_getenv(variable);
    char **at = sys_initial_environment();
    for (; at != NULL && *at != NULL; at++) {
        const char *rest = after_prefix(*at, variable);
        if (rest != NULL && *rest == '=')
            return rest + 1;
    }
    return NULL;
}

/* A value that cannot be obeyed ends the process before main: a program must never run with another
 * placement than the one asked for. */
static void read_config_or_exit(void) {
    struct config_problem problem;
    if (config_read(&na.config, &na.topology, lookup_environment, &problem))
        return;
    struct message message;
    message_begin(&message);
    text_add(&message.text, problem.variable);
    text_add(&message.text, "=");
    text_add_quoted(&message.text, problem.value);
    text_add(&message.text, ": ");
    text_add(&message.text, problem.reason);
    text_add(&message.text, "; accepted: ");
    text_add(&message.text, problem.accepted);
    message_send(&message);
    sys_exit_process(2);
}

static void pool_set_up(struct pool *pool, int node, int mode) {
    pool->node = node;
    pool->mode = mode;
}

/* One pool for the node asked for; one without a node for `none`; one a memory node for `local`,
 * placed as preferred so that a full node spills over rather than kills. */
static void set_up_pools(void) {
    static struct pool single_pool;
    const struct config *config = &na.config;
    na.pools = &single_pool;
    na.pool_count = 1;
    if (config->policy == POLICY_BIND)
        pool_set_up(&single_pool, (int)config->node, MPOL_BIND);
    else if (config->policy == POLICY_PREFERRED)
        pool_set_up(&single_pool, (int)config->node, MPOL_PREFERRED);
    else
        pool_set_up(&single_pool, -1, MPOL_DEFAULT);
    unsigned count = node_set_count(&na.topology.has_memory);
    if (config->policy != POLICY_LOCAL || count == 0)
        return;
    struct pool *pools = meta_allocate(count * sizeof *pools);
    if (pools == NULL)
        return;
    na.pools = pools;
    na.pool_count = 0;
    for (int node = node_set_next(&na.topology.has_memory, 0); node >= 0;
         node = node_set_next(&na.topology.has_memory, (unsigned)node + 1)) {
        na.pool_of_node[node] = (uint16_t)na.pool_count;
        pool_set_up(&pools[na.pool_count++], node, MPOL_PREFERRED);
    }
    for (int node = node_set_next(&na.topology.has_cpu, 0); node >= 0;
         node = node_set_next(&na.topology.has_cpu, (unsigned)node + 1)) {
        int nearest = topology_nearest_memory(&na.topology, (unsigned)node);
        na.pool_of_node[node] = na.pool_of_node[nearest];
    }
}

static void stats_set_up(void);

/* Reads the environment and the machine, once, whoever comes first: the constructor or a malloc of
 * a library whose constructor runs before. */
static slow_path void runtime_set_up(void) {
    static struct lock lock;
    if (atomic_load_explicit(&na.ready, memory_order_acquire))
        return;
    lock_take(&lock);
    if (atomic_load_explicit(&na.ready, memory_order_relaxed)) {
        lock_release(&lock);
        return;
    }
    topology_read(&na.topology, SYSFS_NODE_ROOT, NULL);
    read_config_or_exit();
    bool limited = sys_address_space_limit() != SIZE_MAX;
    na.arena_bytes = limited ? LIMITED_SEGMENT_BYTES : ARENA_BYTES;
    na.segment_bytes = limited ? LIMITED_SEGMENT_BYTES : SEGMENT_SIZE;
    na.span_size_max = limited ? LIMITED_SEGMENT_BYTES / 2 : SEGMENT_SIZE;
    set_up_pools();
    threads.exit_key_valid = pthread_key_create(&threads.exit_key, thread_exit_destructor) == 0;
    atomic_store_explicit(&na.ready, true, memory_order_release);
    lock_release(&lock);
    /* These may allocate. Handlers run before fork in the reverse of this order: being first here
     * (the release build asks the loader for that, -z initfirst) is being last there, when no other
     * handler can wait for a lock whose holder waits for one of ours. */
    (void)pthread_atfork(fork_prepare, fork_in_parent, fork_in_child);
    stats_set_up();
}

__attribute__((constructor(101))) static void set_up_before_main(void) {
    runtime_set_up();
}
