/* Promises to a process that is interrupted, forked and refused: signals at any time and at every
 * instruction, storms of forks, no more threads, no more mappings. */
#include "promises.h"

#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/time.h>
#include <sys/user.h>

/* --- Work whose blocks are checked ------------------------------------------------------------ */

/* A host that is busy delivers few signals in one lap. */
enum { WORK_BLOCKS = 64, STORM_ROUNDS = 400, STORM_SIGNALS = 100, STORM_LAPS_MAX = 10000 };

/* Takes, resizes and frees blocks of every kind; returns how many were not as written. */
static size_t work(uint64_t seed, size_t rounds) {
    static const size_t sizes[] = {24, 700, 9000, 70 * KIB, 3 * MIB, 33 * MIB};
    char *blocks[WORK_BLOCKS] = {NULL};
    size_t bytes[WORK_BLOCKS] = {0}, failures = 0;
    for (size_t i = 0; i < rounds; i++) {
        uint64_t draw = random_next(&seed) >> 20;
        size_t at = draw % WORK_BLOCKS, kind = draw / WORK_BLOCKS % 64;
        size_t wanted = sizes[kind == 0 ? 5 : kind < 4 ? 4 : kind % 4] + draw % 16;
        if (blocks[at] != NULL)
            failures += !pattern_prefix_holds(blocks[at], bytes[at] < KIB ? bytes[at] : KIB, at);
        char *block = i % 3 == 0 ? realloc(blocks[at], wanted) : malloc(wanted);
        if (block == NULL)
            return failures + 1;
        if (i % 3 != 0)
            free(blocks[at]);
        blocks[at] = block;
        bytes[at] = wanted;
        pattern_write(block, wanted < KIB ? wanted : KIB, at);
    }
    for (size_t i = 0; i < WORK_BLOCKS; i++)
        free(blocks[i]);
    return failures;
}

static void *work_in_thread(void *rounds) {
    static _Atomic(uint64_t) seeds = 1;
    return (void *)work(++seeds, (size_t)rounds);
}

/* --- Signals ---------------------------------------------------------------------------------- */

static _Atomic(unsigned) interruptions;

static void count_interruption(int signal_number) {
    (void)signal_number;
    interruptions++;
}

static void interrupt_with(void (*handler)(int), int signal_number) {
    struct sigaction action = {.sa_handler = handler}; /* without SA_RESTART: calls are cut short */
    sigaction(signal_number, &action, NULL);
}

static int work_in_a_storm(void *unused) {
    (void)unused;
    struct itimerval storm = {{0, 100}, {0, 100}};
    interrupt_with(count_interruption, SIGALRM);
    if (setitimer(ITIMER_REAL, &storm, NULL) != 0)
        return 2;
    size_t failures = 0;
    for (int lap = 0; lap < STORM_LAPS_MAX && interruptions < STORM_SIGNALS; lap++)
        failures += run_threads(3, work_in_thread, (void *)(size_t)STORM_ROUNDS);
    malloc_trim(0);
    return failures != 0 || interruptions < STORM_SIGNALS;
}

static void a_storm_of_signals_changes_nothing(void **state) {
    (void)state;
    assert_int_equal(in_child(work_in_a_storm, NULL), 0);
}

#if defined(__x86_64__)
/* A signal before every instruction of malloc, realloc and free. Its handler asks
 * malloc_usable_size, forks now and then, returns, and must have disturbed nothing; the calls are
 * those of the slow paths too. */

enum { STEPS_MAX = 30000, SIGNALS_A_FORK = 8 };

static void *asked_block;
static volatile size_t asked_bytes, failed_forks;

static void ask(int signal_number) {
    static unsigned asked;
    (void)signal_number;
    asked_bytes = malloc_usable_size(asked_block);
    if (++asked % SIGNALS_A_FORK == 0) {
        int status = 1;
        pid_t child = fork();
        if (child == 0)
            _exit(0);
        failed_forks += waitpid(child, &status, 0) != child || status != 0;
    }
    __asm__ volatile("int3"); /* for the tracer: the handler is done */
}

static int stepped_work(void) {
    asked_block = malloc(100);
    interrupt_with(ask, SIGUSR1);
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGSTOP);
    size_t failures = 0;
    static const size_t sizes[] = {40, 40, 5000, 20 * KIB, 100 * KIB, 40 * MIB};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *block = malloc(sizes[i]);
        failures += block == NULL;
        pattern_write(block, 16, i);
        block = realloc(block, sizes[i] * 2);
        failures += block == NULL || !pattern_prefix_holds(block, 16, i);
        free(block);
    }
    return failures != 0 || failed_forks != 0 || asked_bytes < 100;
}

/* Where the library's code is, in this process and so in its forked child. */
static void find_code(uintptr_t *start, uintptr_t *end) {
    char line[512];
    FILE *file = fopen("/proc/self/maps", "r");
    *start = *end = 0;
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strstr(line, "numa_alloc.so") != NULL && strstr(line, "r-xp") != NULL)
            sscanf(line, "%lx-%lx", start, end);
    if (file != NULL)
        fclose(file);
}

/* Lets the child go one stop further; false when it has ended. */
static bool go_on(pid_t child, int request, int signal_number, int *status) {
    return ptrace((enum __ptrace_request)request, child, 0, (long)signal_number) == 0 &&
           waitpid(child, status, 0) == child && WIFSTOPPED(*status);
}

static void a_signal_may_come_at_every_instruction(void **state) {
    (void)state;
    uintptr_t start, end;
    size_t delivered = 0, steps = 0;
    int status;
    if (any_allocator())
        skip();
    find_code(&start, &end);
    assert_true(end != 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        become_child();
        _exit(stepped_work());
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSTOPPED(status)) {
        printf("# processes cannot be traced here\n");
        skip();
    }
    bool alive = go_on(child, PTRACE_SINGLESTEP, 0, &status);
    while (alive && delivered < STEPS_MAX) {
        steps++;
        struct user_regs_struct registers;
        if (WSTOPSIG(status) != SIGTRAP) { /* its own end, such as SIGSEGV */
            alive = go_on(child, PTRACE_CONT, WSTOPSIG(status), &status);
            continue;
        }
        ptrace(PTRACE_GETREGS, child, 0, &registers);
        bool inside = registers.rip >= start && registers.rip < end;
        if (inside) {
            delivered++;
            /* Into the handler, to its int3, and back by the steps that follow. */
            alive = go_on(child, PTRACE_CONT, SIGUSR1, &status);
            for (int back = 0; alive && back < 400; back++) {
                alive = go_on(child, PTRACE_SINGLESTEP, 0, &status);
                struct user_regs_struct now;
                if (!alive || ptrace(PTRACE_GETREGS, child, 0, &now) != 0 ||
                    now.rip == registers.rip)
                    break;
            }
            if (!alive)
                break;
        }
        alive = go_on(child, PTRACE_SINGLESTEP, 0, &status);
    }
    if (alive) { /* enough: the rest without signals */
        ptrace(PTRACE_CONT, child, 0, 0);
        while (waitpid(child, &status, 0) == child && WIFSTOPPED(status))
            ptrace(PTRACE_CONT, child, 0, WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status));
    }
    printf("# %zu signals\n", delivered);
    assert_true(delivered > 1000);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}
#endif

/* --- Forks ------------------------------------------------------------------------------------ */

enum { FORKING_THREADS = 3, FORKS = 25 };

static int grandchild(void *unused) {
    (void)unused;
    return work(9, 20) != 0;
}

static int child_with_a_child(void *unused) {
    (void)unused;
    return work(5, 20) != 0 || run_threads(2, work_in_thread, (void *)(size_t)20) != 0 ||
           in_child(grandchild, NULL) != 0;
}

static void *fork_again_and_again(void *unused) {
    (void)unused;
    size_t failures = 0;
    for (size_t i = 0; i < FORKS; i++)
        failures += work(i + 1, 10) + (size_t)(in_child(child_with_a_child, NULL) != 0);
    return (void *)failures;
}

static int fork_storm(void *unused) {
    (void)unused;
    pthread_t busy[2];
    for (size_t i = 0; i < 2; i++)
        if (pthread_create(&busy[i], NULL, work_in_thread, (void *)(size_t)STORM_ROUNDS) != 0)
            return 2;
    size_t failures = run_threads(FORKING_THREADS, fork_again_and_again, NULL);
    for (size_t i = 0; i < 2; i++) {
        void *failed = NULL;
        pthread_join(busy[i], &failed);
        failures += (size_t)failed;
    }
    return failures != 0;
}

static void threads_that_fork_while_others_allocate_have_good_children(void **state) {
    (void)state;
    assert_int_equal(in_child(fork_storm, NULL), 0);
}

/* --- No more threads, no more mappings ---------------------------------------------------------
 */

static int work_without_threads(void *unused) {
    (void)unused;
    pthread_t thread;
    size_t failures = work(3, 50);
    if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0)) /* root has no such limit */
        return 3;
    setrlimit(RLIMIT_NPROC, &(struct rlimit){0, 0});
    if (pthread_create(&thread, NULL, work_in_thread, (void *)(size_t)1) != EAGAIN)
        return 2;
    return failures + work(4, 200) != 0;
}

static void a_process_out_of_threads_allocates(void **state) {
    (void)state;
    assert_int_equal(in_child(work_without_threads, NULL), 0);
}

enum { FILLERS_MAX = 70000 };
static char *fillers[FILLERS_MAX];

/* Takes mappings, no two of which merge, until there are no more. */
static size_t use_up_mappings(void) {
    size_t count = 0;
    for (; count < FILLERS_MAX; count++) {
        fillers[count] = mmap(NULL, PAGE_BYTES, count % 2 ? PROT_READ : PROT_NONE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (fillers[count] == MAP_FAILED)
            break;
    }
    return count;
}

static int work_without_mappings(void *unused) {
    (void)unused;
    static const size_t sizes[] = {100, 5000, 40 * KIB, 900 * KIB, 20 * MIB, 40 * MIB};
    enum { KINDS = sizeof sizes / sizeof sizes[0], EACH = 12 };
    char *held[KINDS], *more[KINDS][EACH];
    for (size_t i = 0; i < KINDS; i++) {
        held[i] = malloc(sizes[i]);
        pattern_write(held[i], sizes[i], i);
    }
    size_t count = use_up_mappings(), refused = 0, failures = 0;
    if (count == FILLERS_MAX) {
        printf("# more than %d mappings are allowed here\n", FILLERS_MAX);
        return 77;
    }
    for (size_t i = 0; i < KINDS; i++)
        for (size_t j = 0; j < EACH; j++) {
            errno = 0;
            more[i][j] = malloc(sizes[i]);
            failures += more[i][j] == NULL && errno != ENOMEM;
            refused += more[i][j] == NULL;
        }
    errno = 0;
    char *grown = realloc(held[5], 400 * (size_t)MIB);
    failures += grown == NULL && errno != ENOMEM;
    held[5] = grown != NULL ? grown : held[5];
    for (size_t i = 0; i < KINDS; i++) {
        failures += !pattern_prefix_holds(held[i], sizes[i], i);
        for (size_t j = 0; j < EACH; j++)
            free(more[i][j]);
    }
    for (size_t i = 0; i < count; i++)
        munmap(fillers[i], PAGE_BYTES);
    failures += refused == 0;
    for (size_t i = 0; i < KINDS; i++) {
        char *again = malloc(sizes[i]);
        failures += again == NULL;
        free(again);
        free(held[i]);
    }
    malloc_trim(0);
    return failures != 0 ? 1 : resident_bytes() > 64 * MIB ? 2 : 0;
}

static void a_process_out_of_mappings_keeps_its_blocks_and_recovers(void **state) {
    (void)state;
    int status = in_child(work_without_mappings, NULL);
    if (status == 77)
        skip();
    assert_int_equal(status, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_storm_of_signals_changes_nothing),
#if defined(__x86_64__)
        cmocka_unit_test(a_signal_may_come_at_every_instruction),
#endif
        cmocka_unit_test(threads_that_fork_while_others_allocate_have_good_children),
        cmocka_unit_test(a_process_out_of_threads_allocates),
        cmocka_unit_test(a_process_out_of_mappings_keeps_its_blocks_and_recovers),
    };
    return cmocka_run_group_tests(tests, require_numa_alloc, NULL);
}
