/*
 * A kernel that refuses memory policies, as default containers do: blocks are as good as ever, one
 * line says so, and NUMA_ALLOC_ON_ERROR decides. Each case is this program started again behind
 * build/tests/refuse, a seccomp filter.
 */
#include "promises.h"

#include <limits.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>

/* How the program is started again. */
struct settings {
    const char *error;    /* what the kernel answers: "EPERM" or "ENOSYS" */
    const char *also[2];  /* what else it refuses: "+populate", "+sched_setaffinity" */
    const char *policy;   /* NULL: none given */
    const char *on_error; /* likewise */
};

/* The filter's program, beside this one's folder. */
static void path_of_refuse(char path[4096]) {
    ssize_t length = readlink("/proc/self/exe", path, 4000);
    if (length < 0)
        _exit(98);
    path[length] = '\0';
    for (int i = 0; i < 2; i++) {
        char *slash = strrchr(path, '/');
        if (slash == NULL)
            _exit(98);
        *slash = '\0';
    }
    strcat(path, "/refuse");
}

/* run_self's `prepare`, which never returns: becomes the filter's program, and that this one. */
static void start_refused(const void *settings_pointer, const char *role) {
    const struct settings *settings = settings_pointer;
    char refuse[4096], self[4096];
    const char *arguments[8] = {"refuse", settings->error};
    size_t count = 2;
    path_of_refuse(refuse);
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    self[length] = '\0';
    for (size_t i = 0; i < 2 && settings->also[i] != NULL; i++)
        arguments[count++] = settings->also[i];
    arguments[count++] = self;
    arguments[count++] = role;
    if (settings->policy != NULL)
        setenv("NUMA_ALLOC_POLICY", settings->policy, 1);
    if (settings->on_error != NULL)
        setenv("NUMA_ALLOC_ON_ERROR", settings->on_error, 1);
    execv(refuse, (char *const *)(uintptr_t)arguments);
    _exit(97);
}

static void start_work(const void *settings) {
    start_refused(settings, "work");
}

static void start_first_touch(const void *settings) {
    start_refused(settings, "first_touch");
}

static void start_little_work(const void *settings) {
    start_refused(settings, "little_work");
}

/* --- what the program does there ------------------------------------------------------------- */

/* Checks everything of a block's contract that a placement by first touch could spoil. */
static size_t failures_of_size(size_t size_bytes) {
    size_t failures = 0;
    char *block = malloc(size_bytes), *zeroed = calloc(1, size_bytes);
    if (block == NULL || zeroed == NULL)
        return 1;
    pattern_write(block, size_bytes, size_bytes);
    for (size_t offset = 0; offset < size_bytes; offset = pattern_next(offset))
        failures += zeroed[offset] != 0;
    char *grown = realloc(block, size_bytes * 2);
    if (grown == NULL)
        return failures + 1;
    failures += !pattern_prefix_holds(grown, size_bytes, size_bytes);
    pattern_write(grown, size_bytes * 2, size_bytes + 1);
    failures += !pattern_holds(grown, size_bytes * 2, size_bytes + 1);
    free(zeroed);
    free(grown);
    return failures;
}

/* Up to `largest_bytes`, and all alignments up to it. */
static size_t failures_up_to(size_t largest_bytes) {
    size_t failures = 0;
    for (size_t size = 16; size <= largest_bytes; size = size * 5 / 2)
        failures += failures_of_size(size);
    for (size_t alignment = 16; alignment <= largest_bytes; alignment *= 16) {
        char *block = aligned_alloc(alignment, alignment);
        failures += block == NULL || !is_aligned(block, alignment);
        if (block != NULL)
            block[alignment - 1] = 1;
        free(block);
    }
    return failures;
}

static void *failures_of_thread(void *unused) {
    (void)unused;
    return (void *)failures_up_to(MIB);
}

static int failures_of_child(void *unused) {
    (void)unused;
    return failures_up_to(MIB) != 0;
}

static size_t count_of_threads(void) {
    char text[4096];
    if (!read_beginning("/proc/self/status", text, sizeof text))
        return 0;
    const char *threads = strstr(text, "Threads:");
    return threads == NULL ? 0 : strtoul(threads + strlen("Threads:"), NULL, 10);
}

static _Atomic(int) child_signals;

static void count_child_signal(int signal_number) {
    (void)signal_number;
    child_signals++;
}

/* The next child to end is the one that this program started, whatever others touch memory. */
static void *wait_for_child(void *child_pointer) {
    return (void *)(size_t)(waitpid(-1, NULL, 0) != *(pid_t *)child_pointer);
}

static size_t failures_beside_a_child(void) {
    pthread_t waiter;
    void *failed = NULL;
    pid_t child = fork();
    if (child < 0)
        return 1;
    if (child == 0) {
        usleep(20000); /* for the waiter to wait while memory is touched */
        _exit(0);
    }
    if (pthread_create(&waiter, NULL, wait_for_child, &child) != 0)
        return 1;
    size_t failures = failures_up_to(4 * MIB);
    pthread_join(waiter, &failed);
    return failures + (size_t)failed;
}

/* Placing must not take more stack than the smallest thread has. */
static size_t failures_on_a_small_stack(void) {
    pthread_attr_t attributes;
    pthread_t thread;
    void *failed = NULL;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, (size_t)PTHREAD_STACK_MIN);
    int error = pthread_create(&thread, &attributes, failures_of_thread, NULL);
    pthread_attr_destroy(&attributes);
    if (error != 0)
        return 1;
    pthread_join(thread, &failed);
    return (size_t)failed;
}

static bool same_signal_mask(const sigset_t *before) {
    sigset_t now;
    sigprocmask(SIG_BLOCK, NULL, &now);
    for (int signal_number = 1; signal_number < NSIG; signal_number++)
        if (sigismember(before, signal_number) != sigismember(&now, signal_number))
            return false;
    return true;
}

static bool same_affinity(const cpu_set_t *before) {
    cpu_set_t now;
    return sched_getaffinity(0, sizeof now, &now) == 0 && memcmp(before, &now, sizeof now) == 0;
}

/* Says which promise does not hold. */
static void expect(bool holds, const char *promise) {
    if (!holds)
        puts(promise);
}

static int work(void) {
    cpu_set_t affinity;
    sigset_t signal_mask;
    signal(SIGCHLD, count_child_signal);
    sigprocmask(SIG_BLOCK, NULL, &signal_mask);
    expect(sched_getaffinity(0, sizeof affinity, &affinity) == 0, "affinity is known");
    expect(syscall(SYS_mbind, 0, 0, 0, 0, 0, 0) != 0, "the filter is in force");
    errno = 77;
    expect(failures_up_to(40 * MIB) == 0, "blocks are good");
    expect(errno == 77, "errno stays");
    expect(run_threads(4, failures_of_thread, NULL) == 0, "threads' blocks are good");
    expect(failures_on_a_small_stack() == 0, "blocks are good on a small stack");
    expect(child_signals == 0, "no signal comes of it");
    expect(in_child(failures_of_child, NULL) == 0, "a forked child's blocks are good");
    malloc_trim(0);
    expect(failures_up_to(4 * MIB) == 0, "blocks are good after malloc_trim");
    expect(failures_beside_a_child() == 0, "wait returns the program's own child");
    expect(child_signals == 2, "each child of the program sends its signal");
    expect(same_signal_mask(&signal_mask), "the signal mask stays");
    expect(same_affinity(&affinity), "the affinity stays");
    expect(count_of_threads() == 1, "no thread stays");
    expect(waitpid(-1, NULL, WNOHANG | __WALL) == -1 && errno == ECHILD, "no child stays");
    puts("done");
    return 0;
}

/* True when all of a block's kernel pages but those of its ends are in memory. */
static bool is_resident(const char *block, size_t size_bytes) {
    static unsigned char in_memory[64 * MIB / PAGE_BYTES];
    uintptr_t start = ((uintptr_t)block + PAGE_BYTES - 1) & ~(uintptr_t)(PAGE_BYTES - 1);
    size_t pages = size_bytes / PAGE_BYTES - 1;
    if (mincore((void *)start, pages * PAGE_BYTES, in_memory) != 0)
        return false;
    for (size_t i = 0; i < pages; i++)
        if ((in_memory[i] & 1) == 0)
            return false;
    return true;
}

/* Says of three large blocks (a span, the span again after its memory went back to the kernel, a
 * mapping of its own) and of one grown in place whether they were in memory before their use. */
static int first_touch(void) {
    const size_t sizes[] = {3 * MIB, 3 * MIB, 50 * MIB};
    for (size_t i = 0; i < 3; i++) {
        char *block = malloc(sizes[i]);
        printf("%d ", is_resident(block, sizes[i]));
        if (i == 2)
            block = realloc(block, 60 * MIB);
        if (i == 2)
            printf("%d\n", is_resident(block, 60 * MIB));
        free(block);
        malloc_trim(0);
    }
    return 0;
}

/* What a small program may be made to hold: much more than it uses, much less than an arena. */
enum { LITTLE_BYTES_MAX = 48 * MIB };

static int little_work(void) {
    for (size_t i = 0; i < 100; i++)
        *(volatile char *)malloc(100 + i * 10) = 1;
    if (resident_bytes() > LITTLE_BYTES_MAX)
        printf("%zu bytes are resident\n", resident_bytes());
    puts("done");
    return 0;
}

/* --- promises -------------------------------------------------------------------------------- */

static size_t lines_of(const char *text) {
    size_t lines = 0;
    for (; *text != '\0'; text++)
        lines += *text == '\n';
    return lines;
}

/* The nodes a file of sysfs lists, as text; empty where that cannot be read. */
static void nodes_in(const char *file, char text[256]) {
    char path[64];
    snprintf(path, sizeof path, "/sys/devices/system/node/%s", file);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? 0 : read(fd, text, 255);
    if (fd >= 0)
        close(fd);
    text[length > 0 ? length : 0] = '\0';
}

/* All policies that this machine can be asked for, of nodes where a helper can run; `none` asks the
 * kernel nothing. */
static const char *policy_of(size_t index) {
    static char text[32];
    static const char *const of_a_node[] = {"bind:%d", "preferred:%d", "weighted:%d=7",
                                            "interleave:%d"};
    char with_memory[256], with_cpus[256];
    nodes_in("has_memory", with_memory);
    nodes_in("has_cpu", with_cpus);
    if (index == 3 && strcmp(with_memory, with_cpus) == 0)
        return "interleave:all";
    if (index == 4)
        return "local";
    if (index > 4)
        return NULL;
    snprintf(text, sizeof text, of_a_node[index], lowest_node());
    return text;
}

static void assert_works(struct run *run, const struct settings *settings) {
    run_self(run, "unused", NULL, start_work, settings);
    if (run->status != 0 || strcmp(run->out, "done\n") != 0)
        fail_msg("%s %s %s: exit status %d, stdout \"%s\", stderr \"%s\"", settings->error,
                 settings->also[0] ? settings->also[0] : "",
                 settings->policy ? settings->policy : "", run->status, run->out, run->err);
}

static void assert_one_line(const struct run *run, const char *policy) {
    if (lines_of(run->err) != 1 || strncmp(run->err, "numa_alloc: ", 12) != 0)
        fail_msg("%s: not one line on stderr: \"%s\"", policy, run->err);
}

static void blocks_are_good_under_every_policy_and_one_line_warns(void **state) {
    (void)state;
    static const char *const errors[] = {"EPERM", "ENOSYS"};
    for (size_t e = 0; e < 2; e++)
        for (size_t i = 0; policy_of(i) != NULL; i++) {
            struct run run;
            assert_works(&run, &(struct settings){.error = errors[e], .policy = policy_of(i)});
            assert_one_line(&run, policy_of(i));
        }
}

static void the_warning_names_the_refusal(void **state) {
    (void)state;
    struct run run;
    assert_works(&run, &(struct settings){.error = "EPERM"});
    assert_non_null(strstr(run.err, "(mbind: errno 1, EPERM)"));
    assert_works(&run, &(struct settings){.error = "ENOSYS"});
    assert_non_null(strstr(run.err, "(mbind: errno 38, ENOSYS)"));
}

static void blocks_are_good_where_no_helper_can_touch_them(void **state) {
    (void)state;
    for (size_t i = 0; policy_of(i) != NULL; i++) {
        struct run run;
        assert_works(&run, &(struct settings){
                               .error = "EPERM", .also = {"+populate"}, .policy = policy_of(i)});
        assert_one_line(&run, policy_of(i));
        assert_works(&run, &(struct settings){.error = "EPERM",
                                              .also = {"+populate", "+sched_setaffinity"},
                                              .policy = policy_of(i)});
        assert_one_line(&run, policy_of(i));
        assert_works(&run, &(struct settings){.error = "EPERM",
                                              .also = {"+sched_setaffinity"},
                                              .policy = policy_of(i)});
        assert_one_line(&run, policy_of(i));
    }
}

static void a_small_program_stays_small(void **state) {
    (void)state;
    for (size_t i = 0; policy_of(i) != NULL; i++) {
        struct run run;
        run_self(&run, "unused", NULL, start_little_work,
                 &(struct settings){.error = "EPERM", .policy = policy_of(i)});
        assert_int_equal(run.status, 0);
        assert_string_equal(run.out, "done\n");
    }
}

/* The node's helper has touched memory before the program can, or, where none can, nobody has. */
static void a_helper_touches_memory_first_where_it_can(void **state) {
    (void)state;
    struct run run;
    for (size_t i = 0; policy_of(i) != NULL; i++) {
        run_self(&run, "unused", NULL, start_first_touch,
                 &(struct settings){.error = "EPERM", .policy = policy_of(i)});
        if (strcmp(run.out, "1 1 1 1\n") != 0)
            fail_msg("%s: %s", policy_of(i), run.out);
        assert_non_null(strstr(run.err, "a helper"));
    }
    static const char *const cannot[] = {"+populate", "+sched_setaffinity"};
    for (size_t i = 0; i < 2; i++) {
        run_self(&run, "unused", NULL, start_first_touch,
                 &(struct settings){.error = "EPERM", .also = {cannot[i]}});
        assert_string_equal(run.out, "0 0 0 0\n");
        assert_null(strstr(run.err, "a helper"));
    }
    run_self(&run, "unused", NULL, start_first_touch,
             &(struct settings){.error = "EPERM", .policy = "none"});
    assert_string_equal(run.out, "0 0 0 0\n");
}

static void nothing_is_said_when_silent(void **state) {
    (void)state;
    for (size_t i = 0; policy_of(i) != NULL; i++) {
        struct run run;
        assert_works(&run, &(struct settings){
                               .error = "EPERM", .policy = policy_of(i), .on_error = "silent"});
        assert_string_equal(run.err, "");
    }
}

static void the_program_is_aborted_when_asked(void **state) {
    (void)state;
    for (size_t i = 0; policy_of(i) != NULL; i++) {
        struct run run;
        run_self(&run, "unused", NULL, start_work,
                 &(struct settings){.error = "EPERM", .policy = policy_of(i), .on_error = "abort"});
        assert_int_equal(run.status, -SIGABRT);
        assert_string_equal(run.out, "");
        assert_one_line(&run, policy_of(i));
    }
}

static void policy_none_is_not_refused(void **state) {
    (void)state;
    struct run run;
    assert_works(&run, &(struct settings){.error = "EPERM", .policy = "none", .on_error = "abort"});
    assert_string_equal(run.err, "");
}

static int try_filter(void *unused) {
    char refuse[4096];
    (void)unused;
    path_of_refuse(refuse);
    execl(refuse, "refuse", "EPERM", "/bin/true", (char *)NULL);
    return 97;
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "work") == 0)
        return work();
    if (argc > 1 && strcmp(argv[1], "first_touch") == 0)
        return first_touch();
    if (argc > 1 && strcmp(argv[1], "little_work") == 0)
        return little_work();
    if (in_child(try_filter, NULL) == 125) {
        printf("1..1\nok 1 - refused # SKIP system calls cannot be filtered here (seccomp)\n");
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_good_under_every_policy_and_one_line_warns),
        cmocka_unit_test(the_warning_names_the_refusal),
        cmocka_unit_test(blocks_are_good_where_no_helper_can_touch_them),
        cmocka_unit_test(a_small_program_stays_small),
        cmocka_unit_test(a_helper_touches_memory_first_where_it_can),
        cmocka_unit_test(nothing_is_said_when_silent),
        cmocka_unit_test(the_program_is_aborted_when_asked),
        cmocka_unit_test(policy_none_is_not_refused),
    };
    return cmocka_run_group_tests(tests, require_numa_alloc, NULL);
}
