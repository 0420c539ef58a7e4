/*
 * Blocks have the policy that was asked for and lie where it says, as the kernel answers. On a
 * machine of one node the policy still shows; the two-node machine of `make check-vm` shows more.
 */
#include "promises.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/mempolicy.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

enum { NODE_IDS = 1024, MASK_WORDS = NODE_IDS / 64 };

/* The policy of the mapping an address lies in, -1 if the kernel would not say. */
static int policy_at(const void *address, unsigned long mask[MASK_WORDS]) {
    int mode = -1;
    memset(mask, 0, NODE_IDS / 8);
    if (syscall(SYS_get_mempolicy, &mode, mask, (unsigned long)NODE_IDS, address, MPOL_F_ADDR) != 0)
        return -1;
    return mode & ~MPOL_MODE_FLAGS;
}

/* Node of the page at an address, or a negative errno. */
static int node_of_page(void *page) {
    int status = -1;
    if (syscall(SYS_move_pages, 0, 1UL, &page, NULL, &status, 0) != 0)
        return -errno;
    return status;
}

static bool is_bound_to(const void *address, int node) {
    unsigned long mask[MASK_WORDS];
    if (policy_at(address, mask) != MPOL_BIND)
        return false;
    for (int word = 0; word < MASK_WORDS; word++)
        if (mask[word] != (word == node / 64 ? 1UL << node % 64 : 0))
            return false;
    return true;
}

/* First, middle and last byte: a block may not reach over into a mapping with another policy. */
static bool is_bound_throughout(const void *block, size_t size_bytes, int node) {
    const char *bytes = block;
    return block != NULL && is_bound_to(bytes, node) && is_bound_to(bytes + size_bytes / 2, node) &&
           is_bound_to(bytes + size_bytes - 1, node);
}

static void blocks_of_every_size_are_bound_to_the_lowest_node(void **state) {
    (void)state;
    int node = lowest_node();
    for (size_t size = 1; size <= 512 * MIB; size = size * 5 / 4 + 1) {
        void *block = malloc(size), *zeroed = calloc(1, size);
        assert_true(is_bound_throughout(block, size, node));
        assert_true(is_bound_throughout(zeroed, size, node));
        free(block);
        free(zeroed);
    }
}

static void aligned_blocks_are_bound(void **state) {
    (void)state;
    int node = lowest_node();
    for (size_t alignment = 16; alignment <= (size_t)1 << 30; alignment *= 2) {
        void *block = memalign(alignment, 3 * PAGE_BYTES);
        assert_true(is_bound_throughout(block, 3 * PAGE_BYTES, node));
        free(block);
    }
}

/* mremap moves a mapping with its policy, but what it grows into must have it too. */
static void blocks_grown_and_shrunk_by_realloc_stay_bound(void **state) {
    (void)state;
    int node = lowest_node();
    void *block = NULL;
    for (size_t size = 16; size <= 256 * MIB; size *= 2) {
        block = realloc(block, size);
        assert_true(is_bound_throughout(block, size, node));
    }
    for (size_t size = 256 * MIB; size >= 16; size /= 4) {
        block = realloc(block, size);
        assert_true(is_bound_throughout(block, size, node));
    }
    free(block);
}

static void blocks_reused_after_malloc_trim_are_bound(void **state) {
    (void)state;
    enum { COUNT = 400 };
    static void *blocks[COUNT];
    int node = lowest_node();
    for (size_t round = 0; round < 3; round++) {
        for (size_t i = 0; i < COUNT; i++) {
            blocks[i] = malloc(100 + i * 1000);
            assert_true(is_bound_throughout(blocks[i], 100 + i * 1000, node));
            memset(blocks[i], 1, 100 + i * 1000);
        }
        for (size_t i = 0; i < COUNT; i++)
            free(blocks[i]);
        malloc_trim(0);
    }
}

static void *count_unbound_blocks(void *unused) {
    (void)unused;
    size_t unbound = 0;
    for (size_t size = 1; size < 32 * MIB; size *= 2) {
        void *block = malloc(size);
        unbound += !is_bound_throughout(block, size, lowest_node());
        free(block);
    }
    return (void *)unbound;
}

static int count_unbound_blocks_of_child(void *unused) {
    return (int)(size_t)count_unbound_blocks(unused);
}

static void blocks_of_other_threads_and_processes_are_bound(void **state) {
    (void)state;
    assert_int_equal(run_threads(8, count_unbound_blocks, NULL), 0);
    assert_int_equal(in_child(count_unbound_blocks_of_child, NULL), 0);
}

static void every_page_of_a_block_lies_on_the_bound_node(void **state) {
    (void)state;
    int node = lowest_node();
    const size_t sizes[] = {100, 5000, 60000, MIB, 20 * MIB};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char *block = malloc(sizes[i]);
        assert_non_null(block);
        for (size_t offset = 0; offset < sizes[i]; offset += PAGE_BYTES) {
            block[offset] = 1;
            assert_int_equal(node_of_page(block + offset), node);
        }
        free(block);
    }
}

static size_t count_of_mappings(void) {
    size_t lines = 0;
    char text[4096];
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    ssize_t length;
    while ((length = read(fd, text, sizeof text)) > 0)
        for (ssize_t i = 0; i < length; i++)
            lines += text[i] == '\n';
    close(fd);
    return lines;
}

/* The kernel stops at vm.max_map_count, 65,530 by default: a mapping a block would end there. */
static void blocks_share_mappings(void **state) {
    (void)state;
    enum { COUNT = 20000 };
    static void *blocks[COUNT];
    size_t before = count_of_mappings();
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = malloc(i % 100 == 0 ? 2 * MIB : 100 * KIB);
        assert_non_null(blocks[i]);
    }
    assert_true(count_of_mappings() < before + 500);
    for (size_t i = 0; i < COUNT; i += 2)
        free(blocks[i]);
    assert_true(count_of_mappings() < before + 1000);
    for (size_t i = 1; i < COUNT; i += 2)
        free(blocks[i]);
}

/* --- This program again, with another policy or another kernel -------------------------------- */

/* Forbids system calls from here on, as a container's filter does: they fail with EPERM. */
static void forbid_memory_policies(void) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mbind, 4, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_set_mempolicy, 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_get_mempolicy, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_move_pages, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
    };
    struct sock_fprog filter = {.len = sizeof code / sizeof *code, .filter = code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
        _exit(98);
}

struct settings {
    bool forbidden; /* whether the kernel refuses memory policies */
    const char *policy, *on_error;
};

static void set_up(const void *settings_pointer) {
    const struct settings *settings = settings_pointer;
    if (settings->policy != NULL)
        setenv("NUMA_ALLOC_POLICY", settings->policy, 1);
    if (settings->on_error != NULL)
        setenv("NUMA_ALLOC_ON_ERROR", settings->on_error, 1);
    if (settings->forbidden)
        forbid_memory_policies();
}

static void run_again(struct run *run, struct settings settings) {
    run_self(run, "child", NULL, set_up, &settings);
}

/* Says the mode of small and large blocks' mappings. */
static int child_main(void) {
    unsigned long mask[MASK_WORDS];
    char *small = malloc(100), *large = malloc(50 * MIB);
    if (small == NULL || large == NULL)
        return 1;
    memset(small, 1, 100);
    memset(large, 1, 2 * MIB);
    printf("%d %d\n", policy_at(small, mask), policy_at(large + MIB, mask));
    free(small);
    free(large);
    return 0;
}

static void assert_modes(const char *policy, const char *modes) {
    struct run run;
    run_again(&run, (struct settings){.policy = policy});
    assert_string_equal(run.err, "");
    assert_int_equal(run.status, 0);
    assert_string_equal(run.out, modes);
}

static void the_policy_asked_for_is_the_policy_of_the_blocks(void **state) {
    (void)state;
    char policy[32], modes[32];
    snprintf(policy, sizeof policy, "bind:%d", lowest_node());
    snprintf(modes, sizeof modes, "%d %d\n", MPOL_BIND, MPOL_BIND);
    assert_modes(policy, modes);
    snprintf(policy, sizeof policy, "preferred:%d", lowest_node());
    snprintf(modes, sizeof modes, "%d %d\n", MPOL_PREFERRED, MPOL_PREFERRED);
    assert_modes(policy, modes);
    snprintf(modes, sizeof modes, "%d %d\n", MPOL_DEFAULT, MPOL_DEFAULT);
    assert_modes("none", modes);
}

static void a_kernel_that_refuses_policies_is_warned_of_once(void **state) {
    (void)state;
    const char *const policies[] = {NULL, "preferred:0"};
    for (size_t i = 0; i < 2; i++) {
        struct run run;
        run_again(&run, (struct settings){true, policies[i], i == 0 ? NULL : "warn"});
        assert_int_equal(run.status, 0);
        assert_string_equal(run.out, "-1 -1\n");
        assert_non_null(strchr(run.err, '\n'));
        assert_string_equal(strchr(run.err, '\n'), "\n");
        assert_non_null(strstr(run.err, "mbind"));
    }
}

static void a_kernel_that_refuses_policies_is_passed_over_when_silent(void **state) {
    (void)state;
    struct run run;
    run_again(&run, (struct settings){true, NULL, "silent"});
    assert_int_equal(run.status, 0);
    assert_string_equal(run.out, "-1 -1\n");
    assert_string_equal(run.err, "");
}

static void a_kernel_that_refuses_policies_ends_the_program_when_abort(void **state) {
    (void)state;
    struct run run;
    run_again(&run, (struct settings){true, NULL, "abort"});
    assert_true(run.status != 0);
    assert_string_equal(run.out, "");
    assert_non_null(strstr(run.err, "numa_alloc"));
}

static void policy_none_asks_nothing_of_the_kernel(void **state) {
    (void)state;
    struct run run;
    run_again(&run, (struct settings){true, "none", "abort"});
    assert_int_equal(run.status, 0);
    assert_string_equal(run.err, "");
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "child") == 0)
        return child_main();
    int on_stack = 0;
    unsigned long mask[MASK_WORDS];
    if (policy_at(&on_stack, mask) < 0 || node_of_page(&on_stack) < 0) {
        printf("1..1\nok 1 - placement # SKIP this kernel or container refuses to say where pages "
               "are (%s)\n",
               strerror(errno));
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_of_every_size_are_bound_to_the_lowest_node),
        cmocka_unit_test(aligned_blocks_are_bound),
        cmocka_unit_test(blocks_grown_and_shrunk_by_realloc_stay_bound),
        cmocka_unit_test(blocks_reused_after_malloc_trim_are_bound),
        cmocka_unit_test(blocks_of_other_threads_and_processes_are_bound),
        cmocka_unit_test(every_page_of_a_block_lies_on_the_bound_node),
        cmocka_unit_test(blocks_share_mappings),
        cmocka_unit_test(the_policy_asked_for_is_the_policy_of_the_blocks),
        cmocka_unit_test(a_kernel_that_refuses_policies_is_warned_of_once),
        cmocka_unit_test(a_kernel_that_refuses_policies_is_passed_over_when_silent),
        cmocka_unit_test(a_kernel_that_refuses_policies_ends_the_program_when_abort),
        cmocka_unit_test(policy_none_asks_nothing_of_the_kernel),
    };
    return cmocka_run_group_tests(tests, require_numa_alloc, NULL);
}
