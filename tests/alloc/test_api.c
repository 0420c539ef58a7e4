/* numa_alloc.h's functions, found by dlsym as a program that does not link with the library must.
 * On a machine of several nodes every one of them is tried. */
#include "promises.h"

#include "../../alloc/numa_alloc.h"

#include <limits.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>

enum { NODE_IDS = 1024 };

static struct {
    __typeof__(na_malloc_on) *malloc_on;
    __typeof__(na_aligned_alloc_on) *aligned_alloc_on;
    __typeof__(na_node_of) *node_of;
    __typeof__(na_resident) *resident;
    __typeof__(na_stats) *stats;
    __typeof__(na_stats_json) *stats_json;
    __typeof__(na_purge) *purge;
} na;

static void find_api(void) {
    na.malloc_on = (__typeof__(na.malloc_on))entry_point("na_malloc_on");
    na.aligned_alloc_on = (__typeof__(na.aligned_alloc_on))entry_point("na_aligned_alloc_on");
    na.node_of = (__typeof__(na.node_of))entry_point("na_node_of");
    na.resident = (__typeof__(na.resident))entry_point("na_resident");
    na.stats = (__typeof__(na.stats))entry_point("na_stats");
    na.stats_json = (__typeof__(na.stats_json))entry_point("na_stats_json");
    na.purge = (__typeof__(na.purge))entry_point("na_purge");
}

static void every_function_is_found_by_name(void **state) {
    (void)state;
    assert_true(na.malloc_on != NULL && na.aligned_alloc_on != NULL && na.node_of != NULL);
    assert_true(na.resident != NULL && na.stats != NULL && na.stats_json != NULL);
    assert_non_null(na.purge);
}

/* Memory nodes, -1 after the last. */
static const int *memory_nodes(void) {
    static int nodes[NODE_IDS + 1];
    size_t count = 0;
    int first, last;
    char after = ',';
    FILE *file = fopen("/sys/devices/system/node/has_memory", "r");
    while (file != NULL && after == ',' && fscanf(file, "%d", &first) == 1) {
        last = first;
        if (fscanf(file, "%c", &after) == 1 && after == '-' &&
            fscanf(file, "%d%c", &last, &after) < 1)
            break;
        for (; first <= last && count < NODE_IDS; first++)
            nodes[count++] = first;
    }
    if (file != NULL)
        fclose(file);
    if (count == 0)
        nodes[count++] = 0;
    nodes[count] = -1;
    return nodes;
}

static const size_t sizes[] = {0, 1, 100, 1024, 5000, 60000, 70000, 3 * MIB, 40 * MIB};
enum { SIZES = sizeof sizes / sizeof *sizes };

/* Whether all pages of a block, which is written first, are on the node; true also where the kernel
 * will not say. */
static bool lies_on(void *block, size_t size_bytes, int node) {
    size_t counts[NODE_IDS], pages = 0;
    pattern_write(block, size_bytes, 5);
    for (size_t offset = 0; offset < size_bytes; offset += PAGE_BYTES)
        ((volatile char *)block)[offset] = ((char *)block)[offset];
    enum na_resident_status status = na.resident(block, size_bytes, counts, NODE_IDS);
    for (size_t i = 0; i < NODE_IDS; i++)
        pages += counts[i];
    if (status == NA_RESIDENT_REFUSED)
        return pages == 0;
    return status == NA_RESIDENT_OK && counts[node] == pages &&
           pages >= (size_bytes + PAGE_BYTES - 1) / PAGE_BYTES &&
           pattern_holds(block, size_bytes, 5);
}

/* --- na_malloc_on ----------------------------------------------------------------------------- */

static void *count_blocks_not_on_their_node(void *unused) {
    (void)unused;
    size_t failures = 0;
    for (const int *node = memory_nodes(); *node >= 0; node++)
        for (size_t i = 0; i < SIZES; i++) {
            errno = 77;
            void *block = na.malloc_on(*node, sizes[i]);
            if (block == NULL)
                return (void *)1;
            failures += errno != 77;
            failures += na.node_of(block) != *node;
            failures += malloc_usable_size(block) < sizes[i];
            failures += !is_aligned(block, 16);
            failures += !lies_on(block, sizes[i], *node);
            free(block);
        }
    return (void *)failures;
}

static void blocks_of_every_size_are_on_the_node_named(void **state) {
    (void)state;
    assert_int_equal(count_blocks_not_on_their_node(NULL), 0);
    assert_int_equal(run_threads(4, count_blocks_not_on_their_node, NULL), 0);
}

static void blocks_are_distinct_and_keep_their_contents(void **state) {
    (void)state;
    enum { COUNT = 3000 };
    static void *blocks[COUNT];
    const int *nodes = memory_nodes();
    size_t node = 0;
    for (size_t i = 0; i < COUNT; i++) {
        node = nodes[node + 1] < 0 ? 0 : node + 1;
        size_t size = i % 50 == 0 ? 100 * KIB : i % 700;
        blocks[i] = i % 2 == 0 ? na.malloc_on(nodes[node], size) : malloc(size);
        assert_non_null(blocks[i]);
        pattern_write(blocks[i], size, i);
    }
    for (size_t i = 0; i < COUNT; i++) {
        assert_true(pattern_holds(blocks[i], i % 50 == 0 ? 100 * KIB : i % 700, i));
        free(blocks[i]);
    }
}

static void alignments_are_kept_and_bad_ones_refused(void **state) {
    (void)state;
    int node = lowest_node();
    for (size_t alignment = 1; alignment <= 64 * MIB; alignment *= 2)
        for (size_t size = 0; size <= MIB; size = size * 7 + 1) {
            void *block = na.aligned_alloc_on(node, alignment, size);
            assert_non_null(block);
            assert_true(is_aligned(block, alignment));
            assert_int_equal(na.node_of(block), node);
            free(block);
        }
    const size_t bad[] = {0, 3, 24, SIZE_MAX, SIZE_MAX / 2};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        errno = 0;
        assert_null(na.aligned_alloc_on(node, opaque(bad[i]), 100));
        assert_int_equal(errno, EINVAL);
    }
}

static void unknown_nodes_are_refused(void **state) {
    (void)state;
    const int *nodes = memory_nodes();
    int after_the_last = 0;
    for (size_t i = 0; nodes[i] >= 0; i++)
        after_the_last = nodes[i] + 1;
    const int unknown[] = {-1, after_the_last, NODE_IDS, INT_MAX, INT_MIN};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        errno = 0;
        assert_null(na.malloc_on(unknown[i], 100));
        assert_int_equal(errno, EINVAL);
        errno = 0;
        assert_null(na.aligned_alloc_on(unknown[i], 64, 100));
        assert_int_equal(errno, EINVAL);
    }
}

static void sizes_without_memory_are_refused(void **state) {
    (void)state;
    const size_t too_large[] = {SIZE_MAX, SIZE_MAX - 4096, (size_t)PTRDIFF_MAX + 1, PTRDIFF_MAX};
    for (size_t i = 0; i < sizeof too_large / sizeof *too_large; i++) {
        errno = 0;
        assert_null(na.malloc_on(lowest_node(), opaque(too_large[i])));
        assert_int_equal(errno, ENOMEM);
        errno = 0;
        assert_null(na.aligned_alloc_on(lowest_node(), 4096, opaque(too_large[i])));
        assert_int_equal(errno, ENOMEM);
    }
}

static void *allocate_and_hand_over(void *node) {
    for (size_t i = 0; i < 2000; i++)
        free(na.malloc_on((int)(intptr_t)node, i * 37));
    return na.malloc_on((int)(intptr_t)node, 500);
}

static void blocks_outlive_their_thread_and_are_freed_by_another(void **state) {
    (void)state;
    for (const int *node = memory_nodes(); *node >= 0; node++)
        for (size_t i = 0; i < 50; i++) {
            pthread_t thread;
            void *block;
            assert_int_equal(
                pthread_create(&thread, NULL, allocate_and_hand_over, (void *)(intptr_t)*node), 0);
            pthread_join(thread, &block);
            assert_non_null(block);
            assert_int_equal(na.node_of(block), *node);
            free(block);
        }
}

/* Rounds of destructors go on after the allocator's own has given the thread's heaps away. */
static pthread_key_t late_key;
static _Atomic(size_t) late_failures, late_calls;

static void allocate_late(void *value) {
    int node = lowest_node();
    for (size_t i = 0; i < SIZES - 1; i++) {
        void *block = na.malloc_on(node, sizes[i]), *more = realloc(block, sizes[i] + 3000);
        late_failures += more == NULL || na.node_of(more) != node;
        free(more);
    }
    static __thread unsigned rounds;
    late_calls++;
    if (++rounds < 3)
        pthread_setspecific(late_key, value);
}

static void *set_late_key(void *unused) {
    (void)unused;
    return (void *)(size_t)(pthread_setspecific(late_key, &late_key) != 0);
}

static void threads_that_end_or_never_allocated_have_nodes_too(void **state) {
    (void)state;
    assert_int_equal(pthread_key_create(&late_key, allocate_late), 0);
    assert_int_equal(run_threads(8, set_late_key, NULL), 0);
    assert_int_equal(late_calls, 8 * 3);
    assert_int_equal(late_failures, 0);
}

/* --- na_node_of ------------------------------------------------------------------------------- */

static bool is_no_block(const void *pointer) {
    errno = 0;
    return na.node_of(pointer) == -1 && errno == EINVAL;
}

static void what_is_no_block_has_no_node(void **state) {
    (void)state;
    char on_stack[64];
    char *block = malloc(100), *large = malloc(200 * KIB), *huge = malloc(40 * MIB);
    void *mapped = mmap(NULL, MIB, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(mapped != MAP_FAILED);
    assert_true(is_no_block(NULL));
    assert_true(is_no_block(on_stack));
    assert_true(is_no_block("literal"));
    assert_true(is_no_block(mapped));
    assert_true(is_no_block((void *)1));
    assert_true(is_no_block((void *)UINTPTR_MAX));
    assert_true(is_no_block((void *)((uintptr_t)1 << 62)));
    assert_true(is_no_block(block + 1));
    assert_true(is_no_block(large + 64 * KIB));
    assert_true(is_no_block(huge + 16));
    free(block);
    free(large);
    free(huge);
    assert_true(is_no_block(opaque_pointer(large)));
    assert_true(is_no_block(opaque_pointer(huge)));
    munmap(mapped, MIB);
}

/* --- this program again, under another policy ------------------------------------------------- */

static void set_policy(const void *policy) {
    setenv("NUMA_ALLOC_POLICY", policy, 1);
    setenv("NUMA_ALLOC_ON_ERROR", "silent", 1);
}

static void assert_plays(const char *role, const char *policy) {
    struct run run;
    run_self(&run, role, policy, set_policy, policy);
    assert_string_equal(run.err, "");
    assert_int_equal(run.status, 0);
}

/* Grows and shrinks a block through every kind; with `none` a block that leaves its node shows. */
static int play_realloc(void) {
    for (const int *node = memory_nodes(); *node >= 0; node++) {
        char *block = na.malloc_on(*node, 10);
        size_t before = 10;
        const size_t steps[] = {100,      1000,     30000, 100000, 5 * MIB, 40 * MIB,
                                90 * MIB, 50 * MIB, MIB,   70000,  8000,    20};
        for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
            pattern_write(block, before, i);
            block = realloc(block, steps[i]);
            if (block == NULL || na.node_of(block) != *node)
                return 10 + (int)i;
            if (!pattern_prefix_holds(block, before < steps[i] ? before : steps[i], i))
                return 30 + (int)i;
            before = steps[i];
        }
        free(block);
    }
    return 0;
}

static void realloc_keeps_blocks_on_the_node_named(void **state) {
    (void)state;
    char interleave[] = "interleave:all";
    assert_plays("realloc", "none");
    assert_plays("realloc", "local");
    assert_plays("realloc", interleave);
}

/* Whether malloc's blocks of every size have node -1 for that reason. */
static bool malloc_has_no_node(int reason, size_t from) {
    for (size_t i = from; i < SIZES; i++) {
        void *block = malloc(sizes[i]);
        errno = 0;
        if (block == NULL || na.node_of(block) != -1 || errno != reason)
            return false;
        free(block);
    }
    return true;
}

static int play_none(void) {
    return malloc_has_no_node(ENODATA, 0) ? 0 : 1;
}

static int play_interleave(void) {
    return malloc_has_no_node(EXDEV, SIZES - 1) ? 0 : 1;
}

static void blocks_of_no_node_and_of_several_are_told_apart(void **state) {
    (void)state;
    assert_plays("none", "none");
    assert_plays("interleave", "interleave:all");
}

/* A thread on one node that names others goes on taking its own blocks from where it is. */
static int play_local(void) {
    for (const int *node = memory_nodes(); *node >= 0; node++)
        for (size_t i = 0; i < 5000; i++) {
            free(na.malloc_on(*node, i));
            void *block = malloc(100);
            unsigned cpu, here;
            if (getcpu(&cpu, &here) != 0 || na.node_of(block) != (int)here)
                return 1;
            free(block);
        }
    struct na_stats stats = {.struct_bytes = sizeof stats};
    return na.stats(&stats) != 0 || stats.node_switches != 0;
}

static void stay_on_one_cpu(const void *policy) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)sched_getcpu(), &set);
    sched_setaffinity(0, sizeof set, &set);
    set_policy(policy);
}

static void naming_nodes_does_not_move_a_thread(void **state) {
    (void)state;
    struct run run;
    run_self(&run, "local", NULL, stay_on_one_cpu, "local");
    assert_int_equal(run.status, 0);
}

/* --- na_resident ------------------------------------------------------------------------------ */

static size_t sum(const size_t *counts, size_t n) {
    size_t total = 0;
    for (size_t i = 0; i < n; i++)
        total += counts[i];
    return total;
}

static void pages_are_counted_only_when_they_are_there(void **state) {
    (void)state;
    size_t counts[NODE_IDS];
    char *memory = mmap(NULL, 1000 * PAGE_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_true(memory != MAP_FAILED);
    madvise(memory, 1000 * PAGE_BYTES, MADV_NOHUGEPAGE);
    if (na.resident(memory, 1, counts, NODE_IDS) == NA_RESIDENT_REFUSED) {
        print_message("# this kernel or container will not say where pages are: %s\n",
                      strerror(errno));
        return;
    }
    for (size_t i = 0; i < 700; i++)
        memory[i * PAGE_BYTES] = 1;
    assert_int_equal(na.resident(memory, 700 * PAGE_BYTES, counts, NODE_IDS), NA_RESIDENT_OK);
    assert_int_equal(sum(counts, NODE_IDS), 700);
    assert_int_equal(na.resident(memory, 1000 * PAGE_BYTES, counts, NODE_IDS), NA_RESIDENT_PARTLY);
    assert_int_equal(sum(counts, NODE_IDS), 700);
    /* Two bytes on either side of a page's end are two pages. */
    assert_int_equal(na.resident(memory + PAGE_BYTES - 1, 2, counts, NODE_IDS), NA_RESIDENT_OK);
    assert_int_equal(sum(counts, NODE_IDS), 2);
    assert_int_equal(na.resident(memory, 10, counts, 0), NA_RESIDENT_MORE_NODES);
    munmap(memory, 1000 * PAGE_BYTES);
    assert_int_equal(na.resident(memory, 10, counts, NODE_IDS), NA_RESIDENT_PARTLY);
    assert_int_equal(sum(counts, NODE_IDS), 0);
}

static void questions_that_make_no_sense_are_refused(void **state) {
    (void)state;
    size_t counts[2] = {9, 9};
    assert_int_equal(na.resident(counts, 0, counts, 2), NA_RESIDENT_OK);
    assert_true(counts[0] == 0 && counts[1] == 0);
    errno = 0;
    assert_int_equal(na.resident(counts, 8, NULL, 2), NA_RESIDENT_INVALID);
    assert_int_equal(errno, EINVAL);
    errno = 0;
    assert_int_equal(na.resident((void *)(UINTPTR_MAX - 10), 100, counts, 2), NA_RESIDENT_INVALID);
    assert_int_equal(errno, EINVAL);
}

/* Becomes build/tests/refuse, which starts this program again in a kernel that will not say. */
static void refuse_with(const void *error) {
    char refuse[4096], self[4096];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    self[length] = '\0';
    strcpy(refuse, self);
    for (int i = 0; i < 2; i++)
        *strrchr(refuse, '/') = '\0';
    strcat(refuse, "/refuse");
    setenv("NUMA_ALLOC_ON_ERROR", "silent", 1);
    execl(refuse, "refuse", error, self, "refused", error, (char *)NULL);
    _exit(97);
}

static int play_refused(const char *error) {
    size_t counts[NODE_IDS];
    int expected = strcmp(error, "EPERM") == 0 ? EPERM : ENOSYS, node = lowest_node();
    void *block = na.malloc_on(node, 100000);
    if (block == NULL || na.node_of(block) != node)
        return 1;
    memset(block, 1, 100000);
    errno = 0;
    if (na.resident(block, 100000, counts, NODE_IDS) != NA_RESIDENT_REFUSED || errno != expected)
        return 2;
    if (sum(counts, NODE_IDS) != 0)
        return 3;
    struct na_node_stats nodes[4];
    struct na_stats stats = {.struct_bytes = sizeof stats, .nodes = nodes, .node_capacity = 4};
    if (na.stats(&stats) != 0 || stats.node_count == 0)
        return 4;
    free(block);
    return nodes[0].refusals > 0 && nodes[0].refusal_errno == expected &&
                   nodes[0].placing != NA_PLACING_ASKED
               ? 0
               : 5;
}

static void a_kernel_that_refuses_is_reported_with_its_reason(void **state) {
    (void)state;
    const char *const errors[] = {"EPERM", "ENOSYS"};
    for (size_t i = 0; i < 2; i++) {
        struct run run;
        run_self(&run, "", NULL, refuse_with, errors[i]);
        if (run.status == 125) {
            print_message("# no filter of system calls here: %s", run.err);
            return;
        }
        assert_int_equal(run.status, 0);
        assert_string_equal(run.err, "");
    }
}

/* --- na_stats, na_stats_json, na_purge -------------------------------------------------------- */

static struct na_stats stats_now(void) {
    struct na_stats stats = {.struct_bytes = sizeof stats};
    assert_int_equal(na.stats(&stats), 0);
    assert_int_equal(stats.struct_bytes, sizeof stats);
    return stats;
}

static void *free_all(void *blocks) {
    for (void **block = blocks; *block != NULL; block++)
        free(*block);
    return NULL;
}

static void counters_follow_what_is_done(void **state) {
    (void)state;
    enum { SMALL = 1000, COUNT = SMALL + 11 };
    static void *blocks[COUNT + 1];
    struct na_stats before = stats_now();
    for (size_t i = 0; i < SMALL; i++)
        blocks[i] = malloc(1000);
    for (size_t i = SMALL; i < COUNT - 1; i++)
        blocks[i] = na.malloc_on(lowest_node(), MIB);
    blocks[COUNT - 1] = malloc(40 * MIB);
    struct na_stats between = stats_now();
    assert_int_equal(between.live_blocks - before.live_blocks, COUNT);
    assert_true(between.live_bytes - before.live_bytes >= SMALL * 1000 + 50 * (size_t)MIB);
    assert_true(between.committed_bytes >= between.live_bytes);
    assert_true(between.threads >= 1 && between.metadata_bytes > 0);
    assert_int_equal(in_thread(free_all, blocks), 0);
    struct na_stats after = stats_now();
    assert_int_equal(after.remote_frees - before.remote_frees, SMALL);
}

static void nodes_are_told_as_far_as_there_is_room(void **state) {
    (void)state;
    struct na_node_stats nodes[NODE_IDS + 1];
    memset(nodes, 0x55, sizeof nodes);
    struct na_stats stats = {.struct_bytes = sizeof stats, .nodes = nodes, .node_capacity = 1};
    free(na.malloc_on(lowest_node(), 100));
    assert_int_equal(na.stats(&stats), 0);
    assert_true(stats.node_count >= 1);
    assert_int_equal(nodes[0].node, lowest_node());
    assert_true(nodes[0].arenas >= 1);
    assert_true(nodes[0].committed_bytes_peak >= nodes[0].committed_bytes);
    assert_int_equal(nodes[1].node, 0x55555555);
    stats.node_capacity = NODE_IDS + 1;
    assert_int_equal(na.stats(&stats), 0);
    uint64_t committed_bytes = 0;
    for (size_t i = 0; i < stats.node_count; i++)
        committed_bytes += nodes[i].committed_bytes + nodes[i].huge_bytes;
    assert_int_equal(committed_bytes, stats.committed_bytes);
}

static void a_structure_of_another_version_is_filled_as_far_as_it_goes(void **state) {
    (void)state;
    struct {
        struct na_stats stats;
        char later_fields[64];
    } longer = {.stats = {.struct_bytes = sizeof longer}};
    memset(longer.later_fields, 0x55, sizeof longer.later_fields);
    assert_int_equal(na.stats(&longer.stats), 0);
    assert_int_equal(longer.stats.struct_bytes, sizeof(struct na_stats));
    assert_int_equal(longer.later_fields[0], 0x55);
    struct na_stats bad = {.struct_bytes = 16};
    errno = 0;
    assert_int_equal(na.stats(&bad), -1);
    assert_int_equal(errno, EINVAL);
    bad = (struct na_stats){.struct_bytes = sizeof bad, .node_capacity = 1};
    assert_int_equal(na.stats(&bad), -1);
    assert_int_equal(na.stats(NULL), -1);
}

static void json_is_written_whole_or_refused(void **state) {
    (void)state;
    char path[] = "/tmp/numa_alloc_api_XXXXXX", command[256];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(na.stats_json(fd), 0);
    close(fd);
    snprintf(command, sizeof command,
             "env -u LD_PRELOAD /usr/bin/python3 -c 'import json, sys; "
             "assert json.load(open(sys.argv[1]))[\"pid\"] == %d' %s",
             (int)getpid(), path);
    assert_int_equal(system(command), 0);
    unlink(path);
    errno = 0;
    assert_int_equal(na.stats_json(-1), -1);
    assert_int_equal(errno, EBADF);
}

static void purging_gives_free_memory_back(void **state) {
    (void)state;
    enum { COUNT = 16 };
    void *blocks[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = malloc(4 * MIB);
        assert_non_null(blocks[i]);
        memset(blocks[i], 1, 4 * MIB);
    }
    for (size_t i = 0; i < COUNT; i++)
        free(blocks[i]);
    size_t before = resident_bytes();
    assert_true(na.purge() >= 60 * MIB);
    assert_true(resident_bytes() + 60 * MIB <= before);
    assert_int_equal(na.purge(), 0);
}

int main(int argc, char **argv) {
    find_api();
    const char *role = argc > 1 ? argv[1] : "";
    if (strcmp(role, "realloc") == 0)
        return play_realloc();
    if (strcmp(role, "none") == 0)
        return play_none();
    if (strcmp(role, "interleave") == 0)
        return play_interleave();
    if (strcmp(role, "local") == 0)
        return play_local();
    if (strcmp(role, "refused") == 0)
        return play_refused(argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_function_is_found_by_name),
        cmocka_unit_test(blocks_of_every_size_are_on_the_node_named),
        cmocka_unit_test(blocks_are_distinct_and_keep_their_contents),
        cmocka_unit_test(alignments_are_kept_and_bad_ones_refused),
        cmocka_unit_test(unknown_nodes_are_refused),
        cmocka_unit_test(sizes_without_memory_are_refused),
        cmocka_unit_test(blocks_outlive_their_thread_and_are_freed_by_another),
        cmocka_unit_test(threads_that_end_or_never_allocated_have_nodes_too),
        cmocka_unit_test(what_is_no_block_has_no_node),
        cmocka_unit_test(realloc_keeps_blocks_on_the_node_named),
        cmocka_unit_test(blocks_of_no_node_and_of_several_are_told_apart),
        cmocka_unit_test(naming_nodes_does_not_move_a_thread),
        cmocka_unit_test(pages_are_counted_only_when_they_are_there),
        cmocka_unit_test(questions_that_make_no_sense_are_refused),
        cmocka_unit_test(a_kernel_that_refuses_is_reported_with_its_reason),
        cmocka_unit_test(counters_follow_what_is_done),
        cmocka_unit_test(nodes_are_told_as_far_as_there_is_room),
        cmocka_unit_test(a_structure_of_another_version_is_filled_as_far_as_it_goes),
        cmocka_unit_test(json_is_written_whole_or_refused),
        cmocka_unit_test(purging_gives_free_memory_back),
    };
    return cmocka_run_group_tests(tests, require_numa_alloc, NULL);
}
