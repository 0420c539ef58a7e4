/* The process: its set-up from the machine and the environment, once, and fork. */
#pragma once

#include "thread.c"

/* --- fork ---------------------------------------------------------------------------------- */

/* glibc's fork takes its lock on the list of streams after all handlers. Who holds that, in
 * fflush(NULL), waits for a stream whose user may wait for a lock of ours: it comes before ours. */
__attribute__((weak)) void _IO_list_lock(void);
__attribute__((weak)) void _IO_list_unlock(void);
__attribute__((weak)) void _IO_list_resetlock(void);

/* glibc 2.32; a thread that has ended may still count. */
extern char __libc_single_threaded __attribute__((weak));

static bool streams_have_lock(void) {
    return _IO_list_lock != NULL && _IO_list_unlock != NULL && _IO_list_resetlock != NULL;
}

/* Forks of this thread that take no lock and have not returned yet: a signal's handler may fork
 * while another fork is under way. */
static __thread unsigned unlocked_forks __attribute__((tls_model("initial-exec")));

/* Without other threads nobody is amidst what a lock guards but who may be interrupted for this
 * fork, by a signal that came in malloc: that would be waited for in vain. glibc's own malloc does
 * so too (its bug 19431). */
static bool fork_needs_locks(void) {
    bool alone = &__libc_single_threaded != NULL && __libc_single_threaded;
    return !alone && !lock_holds_all;
}

/* Every lock is held across a fork, so that what they guard is whole in the child. */
static void fork_prepare(void) {
    if (!fork_needs_locks()) {
        unlocked_forks++;
        return;
    }
    if (streams_have_lock())
        _IO_list_lock();
    lock_take(&threads.lock);
    lock_take(&span_turns.lock);
    for (unsigned i = 0; i < na.pool_count; i++)
        lock_take(&na.pools[i].lock);
    lock_take(&huge.lock);
    lock_take(&meta.lock);
    lock_holds_all = true;
}

static bool fork_was_unlocked(void) {
    if (unlocked_forks == 0)
        return false;
    unlocked_forks--;
    return true;
}

static void fork_in_parent(void) {
    if (fork_was_unlocked())
        return;
    lock_holds_all = false;
    lock_release(&meta.lock);
    lock_release(&huge.lock);
    for (unsigned i = na.pool_count; i-- > 0;)
        lock_release(&na.pools[i].lock);
    lock_release(&span_turns.lock);
    lock_release(&threads.lock);
    if (streams_have_lock())
        _IO_list_unlock();
}

/* The parent's other threads do not exist here and were stopped anywhere: what they own is not
 * adopted. Blocks in it stay valid and can be freed; the memory is not used again. */
static void fork_in_child(void) {
    if (fork_was_unlocked())
        return;
    lock_holds_all = false;
    lock_reset(&meta.lock);
    lock_reset(&huge.lock);
    for (unsigned i = 0; i < na.pool_count; i++)
        lock_reset(&na.pools[i].lock);
    lock_reset(&span_turns.lock);
    lock_reset(&threads.lock);
    if (streams_have_lock())
        _IO_list_resetlock();
}

/* --- set-up --------------------------------------------------------------------------- */

/* The variables, also where malloc is called before libc has set `environ`; NULL in a set-user-id
 * program, which obeys none. */
static char **environment(void) {
    if (getauxval(AT_SECURE) != 0)
        return NULL;
    return environ != NULL ? environ : sys_initial_environment();
}

static const char *lookup_environment(const char *variable) {
    if (environ != NULL)
        return secure_getenv(variable);
    for (char **at = environment(); at != NULL && *at != NULL; at++) {
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
    if (config_names_known(environment(), &problem) &&
        config_read(&na.config, &na.topology, lookup_environment, &problem))
        return;
    struct message message;
    message_begin(&message);
    text_add_printable(&message.text, problem.variable, CONFIG_NAME_SHOWN);
    text_add(&message.text, "=");
    text_add_quoted(&message.text, problem.value);
    text_add(&message.text, ": ");
    text_add(&message.text, problem.reason);
    text_add(&message.text, "; accepted: ");
    text_add(&message.text, problem.accepted);
    message_send(&message);
    sys_exit_process(2);
}

/* --- pools --------------------------------------------------------------------------------- */

#define MPOL_WEIGHTED_INTERLEAVE 6 /* Linux 6.9; not in Debian 12's <numaif.h> */

/* Of the mappings a process may have, stripes and guards may take these parts. */
#define STRIPE_MAPPINGS_SHARE 8
#define GUARD_MAPPINGS_SHARE  8

static size_t mappings_max(void) {
    char text[32];
    const char *cursor = text;
    uint64_t max;
    if (sys_read_file("/proc/sys/vm/max_map_count", text, sizeof text) < 0 ||
        !parse_unsigned(&cursor, SIZE_MAX, &max))
        max = 65530; /* the kernel's default */
    return max;
}

/* A rotation over the pools of `nodes`, or NULL without memory. */
static struct rotation *make_rotation(const struct node_set *nodes) {
    unsigned count = node_set_count(nodes);
    struct rotation *rotation = meta_allocate(rotation_bytes(count));
    if (rotation == NULL)
        return NULL;
    for (unsigned i = 0; i < na.node_count; i++) {
        unsigned node = (unsigned)na.pools[i].node;
        if (!node_set_has(nodes, node))
            continue;
        unsigned weight = na.config.policy == POLICY_WEIGHTED ? na.config.weights[node] : 1;
        rotation->turns[rotation->count++] = (struct turn){&na.pools[i], weight, 0};
        rotation->weight_sum += weight;
    }
    return rotation;
}

/* The kernel's own weighted interleave where its weights are the user's; else stripes keep them. */
static void set_up_weighted(struct pool *pool) {
    const struct config *config = &na.config;
    if (topology_kernel_weights_match(SYSFS_WEIGHTS_ROOT, &config->nodes, config->weights)) {
        pool->spread = SPREAD_KERNEL;
        pool->mode = MPOL_WEIGHTED_INTERLEAVE;
        return;
    }
    span_turns.rotation = make_rotation(&config->nodes);
    if (pool->rotation == NULL || span_turns.rotation == NULL)
        return;
    pool->spread = SPREAD_STRIPES;
    pool->mode = MPOL_PREFERRED;
    pool->stripe_mappings = mappings_max() / STRIPE_MAPPINGS_SHARE;
    na.turns_size_max = STRIPE_BYTES_MIN;
}

/* The pool of blocks whose policy is not one node. */
static void set_up_spread_pool(struct pool *pool) {
    const struct node_set *nodes = &na.config.nodes;
    pool->node = -1;
    pool->spread = SPREAD_NONE;
    switch (na.config.policy) {
    case POLICY_PREFERRED: {
        struct node_set lowest;
        memset(&lowest, 0, sizeof lowest);
        node_set_add(&lowest, (unsigned)node_set_next(nodes, 0));
        pool->rotation = make_rotation(&lowest);
        pool->spread = SPREAD_KERNEL;
        pool->mode = MPOL_PREFERRED_MANY;
        break;
    }
    case POLICY_INTERLEAVE:
        na.rotation = make_rotation(nodes);
        pool->rotation = make_rotation(nodes);
        pool->spread = SPREAD_KERNEL;
        pool->mode = MPOL_INTERLEAVE;
        break;
    case POLICY_WEIGHTED:
        na.rotation = make_rotation(nodes);
        pool->rotation = make_rotation(nodes);
        set_up_weighted(pool);
        break;
    default:
        break;
    }
}

/* Whether the kernel can prefer several nodes at once (Linux 5.15). Where it cannot, the lowest of
 * them alone is preferred, and that is said. An empty range: the kernel looks at the mode alone. */
static bool can_prefer_several(struct pool *lowest) {
    struct message message;
    int result = sys_mbind(0, 0, MPOL_PREFERRED_MANY, na.config.nodes.words, NODE_IDS_MAX);
    if (result != -EINVAL)
        return true;
    atomic_fetch_add_explicit(&lowest->policy_refusals, 1, memory_order_relaxed);
    atomic_store_explicit(&lowest->policy_errno, EINVAL, memory_order_relaxed);
    if (problem_begin(&message, &na.warned)) {
        text_add(&message.text, "this kernel cannot prefer several nodes");
        text_add_failed_call(&message.text, "mbind", EINVAL);
        problem_end(&message, "the lowest of them is preferred");
    }
    return false;
}

/* Where a CPU allocates locally: its own node, or the nearest that has memory. */
static void set_up_pool_of_node(void) {
    for (unsigned i = 0; i < na.node_count; i++)
        na.pool_of_node[na.pools[i].node] = (uint16_t)i;
    for (int node = node_set_next(&na.topology.has_cpu, 0); node >= 0;
         node = node_set_next(&na.topology.has_cpu, (unsigned)node + 1)) {
        int nearest = topology_nearest_memory(&na.topology, (unsigned)node);
        if (nearest >= 0)
            na.pool_of_node[node] = na.pool_of_node[nearest];
    }
}

/* What set-up takes for as many nodes as there may be: the pools, and up to four rotations. */
_Static_assert((NODE_IDS_MAX + 1) * sizeof(struct pool) +
                       4 * (sizeof(struct rotation) + NODE_IDS_MAX * sizeof(struct turn)) <=
                   META_CHUNK_BYTES,
               "the first chunk is enough for set-up");

/* One pool a memory node, placed as preferred, so that a full node spills over rather than kills,
 * but for the one that `bind` names; and one more for a policy that is not one node. */
static void set_up_pools(void) {
    struct config *config = &na.config;
    unsigned count = node_set_count(&na.topology.has_memory);
    struct pool *pools = meta_allocate((count + 1) * sizeof *pools);
    na.pools = pools;
    na.node_count = count;
    int node = -1;
    for (unsigned i = 0; i < count; i++) {
        node = node_set_next(&na.topology.has_memory, (unsigned)(node + 1));
        bool bound = config->policy == POLICY_BIND && node_set_has(&config->nodes, (unsigned)node);
        pools[i].node = node;
        pools[i].mode = bound ? MPOL_BIND : MPOL_PREFERRED;
        if (policy_has_nodes(config->policy) && node_set_has(&config->nodes, (unsigned)node))
            na.policy_pool = &pools[i];
    }
    if (count == 0)
        config->policy = POLICY_NONE;
    set_up_pool_of_node();
    na.pool_count = count;
    na.follows_node = config->policy == POLICY_LOCAL || config->min_size_bytes != 0;
    if (config->policy == POLICY_BIND || config->policy == POLICY_LOCAL)
        return;
    if (config->policy == POLICY_PREFERRED) {
        na.policy_pool = &pools[na.pool_of_node[node_set_next(&config->nodes, 0)]];
        if (node_set_count(&config->nodes) == 1 || !can_prefer_several(na.policy_pool))
            return;
    }
    na.policy_pool = &pools[na.pool_count++];
    set_up_spread_pool(na.policy_pool);
}

/* The size of the huge pages to take out of the kernel's reserve; 0 for none. Where address space
 * is limited, segments are smaller than what such pages are worth. */
static size_t reserved_page_bytes(bool limited) {
    struct message message;
    enum page_kind pages = na.config.pages;
    if (pages != PAGES_2M && pages != PAGES_1G)
        return 0;
    if (!limited)
        return pages == PAGES_2M ? 2 * MIB : GIB;
    if (problem_begin(&message, &na.warned_pages)) {
        text_add(&message.text, "huge pages are not used under a limit on address space: ");
        problem_end(&message, "default pages are used instead");
    }
    return 0;
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
    bool limited = sys_address_space_limit() < ADDRESS_SPACE_SMALL;
    na.huge_page_bytes = reserved_page_bytes(limited);
    na.arena_bytes = limited ? LIMITED_SEGMENT_BYTES : ARENA_BYTES;
    na.segment_bytes = limited ? LIMITED_SEGMENT_BYTES : SEGMENT_SIZE;
    na.span_size_max = limited ? LIMITED_SEGMENT_BYTES / 2 : SEGMENT_SIZE;
    if (na.config.checks) {
        marks_set_up();
        records_set_up();
        guards_set_up(mappings_max() / GUARD_MAPPINGS_SHARE);
    }
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
