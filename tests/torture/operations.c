#include "operations.h"

#include "calls.h"
#include "ways.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct slot shared_slots[SHARED_SLOTS];

/* --- slots ----------------------------------------------------------------------------------- */

/* The largest size for a block of that slot: few are large. */
static size_t slot_size_max(size_t index) {
    if (index < 2)
        return 80 * MIB;
    if (index < 12)
        return 2 * MIB;
    return index < 100 ? 64 * KIB : 8 * KIB;
}

struct choice {
    struct slot *slot; /* held; NULL: another thread holds it */
    size_t size_max;
};

static struct choice slot_take(struct slot *slots, size_t index) {
    struct slot *slot = &slots[index];
    if (atomic_flag_test_and_set_explicit(&slot->busy, memory_order_acquire))
        return (struct choice){NULL, 0};
    return (struct choice){slot, slot_size_max(index)};
}

static void slot_put(struct slot *slot) {
    atomic_flag_clear_explicit(&slot->busy, memory_order_release);
}

/* The large slots come up a hundredth of the time. */
static size_t draw_index(struct chance *chance, size_t slots) {
    return draw(chance, 100) == 0 ? draw(chance, 100) : draw(chance, slots);
}

static struct choice draw_slot(struct worker *worker, struct chance *chance) {
    if (draw(chance, 4) == 0)
        return slot_take(shared_slots, draw_index(chance, SHARED_SLOTS));
    return slot_take(worker->slots, draw_index(chance, PRIVATE_SLOTS));
}

/* --- blocks in slots -------------------------------------------------------------------------- */

static uint64_t next_key(struct worker *worker) {
    return chance_of(settings.seed ^ UINT64_C(0x6b657973), worker->number, worker->keys++).state;
}

static void note_maker(struct worker *worker, struct block *block, const char *call) {
    block->key = next_key(worker);
    block->worker = worker->number;
    block->operation = doing.operation;
    block->call = call;
}

static void fill_slot(struct worker *worker, struct chance *chance, struct choice choice) {
    struct block *block = &choice.slot->block;
    size_t size = draw_size(chance, choice.size_max);
    const char *call = allocate(chance, size, block);
    note_maker(worker, block, call);
    block_begin(block, strcmp(call, "calloc") == 0 ? size : 0);
}

static void empty_slot(struct chance *chance, struct slot *slot) {
    struct block *block = &slot->block;
    block_end(block);
    doing.block = block;
    release(chance, block);
    doing.block = NULL;
    block->start = NULL;
}

/* Resizes to that size and checks what must have stayed. */
static void resize_slot(struct worker *worker, struct chance *chance, struct slot *slot,
                        size_t size) {
    struct block *block = &slot->block;
    struct block before = *block;
    size_t kept_bytes = size < before.size_bytes ? size : before.size_bytes;
    block_end(&before);
    const char *call = resize(chance, block, size);
    if (block->start == NULL) { /* of no bytes: freed */
        if (size != 0)
            fail("resizing %zu bytes to %zu was refused", before.size_bytes, size);
        return;
    }
    doing.block = block;
    block_check_prefix(block, kept_bytes);
    note_maker(worker, block, call);
    block_begin(block, 0);
}

/* --- operations: each takes what slots it needs ------------------------------------------------
 */

static void turn_over(struct worker *worker, struct chance *chance) {
    struct choice choice = draw_slot(worker, chance);
    if (choice.slot == NULL)
        return;
    if (choice.slot->block.start == NULL)
        fill_slot(worker, chance, choice);
    else
        empty_slot(chance, choice.slot);
    slot_put(choice.slot);
}

static void replace_in(struct worker *worker, struct chance *chance, struct choice choice) {
    if (choice.slot == NULL)
        return;
    if (choice.slot->block.start != NULL)
        empty_slot(chance, choice.slot);
    fill_slot(worker, chance, choice);
    slot_put(choice.slot);
}

static void replace(struct worker *worker, struct chance *chance) {
    replace_in(worker, chance, draw_slot(worker, chance));
}

void replace_shared(struct worker *worker, struct chance *chance) {
    replace_in(worker, chance, slot_take(shared_slots, 100 + draw(chance, SHARED_SLOTS - 100)));
}

static void resize_once(struct worker *worker, struct chance *chance) {
    struct choice choice = draw_slot(worker, chance);
    if (choice.slot == NULL)
        return;
    if (choice.slot->block.start == NULL || !can_resize(&choice.slot->block))
        replace_in(worker, chance, choice);
    else {
        resize_slot(worker, chance, choice.slot, draw_size(chance, choice.size_max));
        slot_put(choice.slot);
    }
}

/* Grows a block step by step, and shrinks it again. */
static void climb(struct worker *worker, struct chance *chance) {
    struct choice choice = slot_take(worker->slots, draw_index(chance, PRIVATE_SLOTS));
    if (choice.slot == NULL)
        return;
    struct block *block = &choice.slot->block;
    if (block->start == NULL || !can_resize(block)) {
        replace_in(worker, chance, choice);
        return;
    }
    size_t step = 1 + draw(chance, 4), size = block->size_bytes + 1;
    size_t top = draw_size(chance, choice.size_max);
    for (; size < top; size += size * step / 4 + 1)
        resize_slot(worker, chance, choice.slot, size);
    for (; size > 16; size -= size * step / 8 + 1)
        if (size <= choice.size_max)
            resize_slot(worker, chance, choice.slot, size);
    slot_put(choice.slot);
}

static void check_one(struct worker *worker, struct chance *chance) {
    struct choice choice = draw_slot(worker, chance);
    if (choice.slot == NULL)
        return;
    if (choice.slot->block.start != NULL) {
        block_check(&choice.slot->block);
        if (draw(chance, 64) == 0)
            block_check_pages(&choice.slot->block);
    }
    slot_put(choice.slot);
}

/* A program's phase: many blocks of one size and one way, here or for others. */
static void fill_many(struct worker *worker, struct chance *chance) {
    bool shared = draw(chance, 3) == 0;
    struct slot *slots = shared ? shared_slots : worker->slots;
    size_t count = shared ? SHARED_SLOTS : PRIVATE_SLOTS, at = draw(chance, count);
    size_t size = draw_size(chance, 8 * KIB), wanted = draw(chance, 600);
    for (size_t seen = 0; seen < wanted; seen++, at = (at + 1) % count) {
        struct choice choice = slot_take(slots, at);
        if (choice.slot == NULL)
            continue;
        struct block *block = &choice.slot->block;
        if (block->start == NULL) {
            allocate_by_malloc(size, block);
            note_maker(worker, block, "malloc");
            block_begin(block, 0);
        }
        slot_put(choice.slot);
    }
}

static void empty_many(struct worker *worker, struct chance *chance) {
    bool shared = draw(chance, 3) == 0;
    struct slot *slots = shared ? shared_slots : worker->slots;
    size_t count = shared ? SHARED_SLOTS : PRIVATE_SLOTS, at = draw(chance, count);
    size_t stride = draw(chance, 2) == 0 ? 1 : 1 + draw(chance, count - 1);
    size_t wanted = draw(chance, count);
    for (size_t seen = 0; seen < wanted; seen++, at = (at + stride) % count) {
        struct choice choice = slot_take(slots, at);
        if (choice.slot == NULL)
            continue;
        if (choice.slot->block.start != NULL)
            empty_slot(chance, choice.slot);
        slot_put(choice.slot);
    }
}

/* malloc and free in turns, where the fast paths are. */
static void churn(struct worker *worker, struct chance *chance) {
    size_t size = draw_size(chance, 64 * KIB);
    for (size_t round = 1 + draw(chance, 60); round > 0; round--) {
        struct block block = {0};
        allocate_by_malloc(size, &block);
        note_maker(worker, &block, "malloc");
        block_begin(&block, 0);
        block_end(&block);
        release(chance, &block);
    }
}

/* What cannot be had is refused, and a block that cannot grow stays as it is. */
static void ask_too_much(struct worker *worker, struct chance *chance) {
    ask_absurd(chance);
    struct choice choice = draw_slot(worker, chance);
    if (choice.slot == NULL)
        return;
    if (choice.slot->block.start != NULL && can_resize(&choice.slot->block)) {
        resize_absurd(&choice.slot->block);
        block_check(&choice.slot->block);
    }
    slot_put(choice.slot);
}

static void trim(struct worker *worker, struct chance *chance) {
    (void)worker;
    if (draw(chance, 2) == 0 && calls.na_purge != NULL)
        (void)calls.na_purge();
    else
        (void)calls.malloc_trim(draw(chance, 1000));
}

static void ask_statistics(struct worker *worker, struct chance *chance) {
    (void)worker, (void)chance;
    (void)calls.mallinfo2();
    if (calls.na_stats == NULL)
        return;
    struct na_node_stats nodes[64];
    struct na_stats stats = {.struct_bytes = sizeof stats, .nodes = nodes, .node_capacity = 64};
    bool alone = settings.threads == 1; /* else the numbers may be a moment apart */
    if (calls.na_stats(&stats) != 0 || (alone && stats.live_bytes > stats.committed_bytes))
        fail("na_stats: %zu bytes live, %zu committed", (size_t)stats.live_bytes,
             (size_t)stats.committed_bytes);
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (calls.na_stats_json(fd) != 0 && errno != EBUSY)
        fail("na_stats_json: errno %d", errno);
    close(fd);
}

/* To another CPU, so perhaps another node. */
static void move_thread(struct worker *worker, struct chance *chance) {
    (void)worker;
    cpu_set_t set;
    long cpus = sysconf(_SC_NPROCESSORS_CONF);
    CPU_ZERO(&set);
    CPU_SET(draw(chance, cpus > 0 ? (uint64_t)cpus : 1), &set);
    (void)sched_setaffinity(0, sizeof set, &set); /* refused outside the cpuset */
    sched_yield();
}

/* --- fork ------------------------------------------------------------------------------------- */

/* In the child: what it inherited from this thread and from the shared slots is whole and can be
 * resized and freed, and there is new memory. Other threads' own slots were in use. */
static void use_all_in_child(struct worker *worker, struct chance *chance) {
    for (size_t i = 2; i < PRIVATE_SLOTS + SHARED_SLOTS; i++) {
        struct slot *slots = i < PRIVATE_SLOTS ? worker->slots : shared_slots;
        size_t index = i < PRIVATE_SLOTS ? i : i - PRIVATE_SLOTS;
        struct choice choice = slot_take(slots, index);
        if (choice.slot == NULL || index < 2)
            continue;
        struct block *block = &choice.slot->block;
        if (block->start == NULL)
            fill_slot(worker, chance, choice);
        else if (draw(chance, 4) == 0 && can_resize(block))
            resize_slot(worker, chance, choice.slot, draw_size(chance, choice.size_max));
        else if (draw(chance, 8) != 0)
            empty_slot(chance, choice.slot);
        if (block->start != NULL && draw(chance, 2) == 0)
            empty_slot(chance, choice.slot);
    }
}

static void fork_and_use(struct worker *worker, struct chance *chance) {
    if (!settings.forks)
        return;
    worker->forks++;
    pid_t child = fork();
    if (child < 0)
        return; /* no process to be had: nothing of the allocator's */
    if (child == 0) {
        signal(SIGALRM, SIG_DFL);
        alarm(settings.stuck_seconds);
        use_all_in_child(worker, chance);
        _exit(0);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail("the child of a fork ended with wait status %#x", (unsigned)status);
}

/* --- the choice ------------------------------------------------------------------------------- */

static const struct operation {
    const char *name;
    unsigned weight;
    void (*operate)(struct worker *worker, struct chance *chance);
} operations[] = {
    {"turn over", 60000, turn_over},     {"replace", 15000, replace},
    {"resize", 12000, resize_once},      {"climb", 100, climb},
    {"check", 8000, check_one},          {"fill many", 150, fill_many},
    {"empty many", 100, empty_many},     {"churn", 500, churn},
    {"ask too much", 300, ask_too_much}, {"trim", 20, trim},
    {"statistics", 20, ask_statistics},  {"move", 40, move_thread},
    {"fork", 4, fork_and_use},
};

#define OPERATIONS (sizeof operations / sizeof *operations)

void operate(struct worker *worker, struct chance *chance) {
    unsigned sum = 0;
    for (size_t i = 0; i < OPERATIONS; i++)
        sum += operations[i].weight;
    uint64_t drawn = draw(chance, sum);
    const struct operation *operation = operations;
    while (drawn >= operation->weight)
        drawn -= (operation++)->weight;
    doing.worker = worker->number;
    doing.operation = atomic_load_explicit(&worker->operation, memory_order_relaxed);
    doing.what = operation->name;
    doing.block = NULL;
    operation->operate(worker, chance);
    atomic_store_explicit(&worker->operation, doing.operation + 1, memory_order_relaxed);
}

static void free_slots(struct slot *slots, size_t count, struct chance *chance) {
    for (size_t i = 0; i < count; i++)
        if (slots[i].block.start != NULL)
            empty_slot(chance, &slots[i]);
}

void free_all(struct worker *workers, unsigned count) {
    struct chance chance = chance_of(settings.seed, count, 0);
    doing.what = "the end";
    for (unsigned i = 0; i < count; i++)
        free_slots(workers[i].slots, PRIVATE_SLOTS, &chance);
    free_slots(shared_slots, SHARED_SLOTS, &chance);
}
