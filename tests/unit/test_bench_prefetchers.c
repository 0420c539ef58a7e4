/* The prefetchers' switch, on a file made up as a CPU's registers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/lib/prefetchers.h"

#define INTEL_REGISTER 0x1A4
#define AMD_REGISTER   0xC0000108
#define CPU            3

static const struct processor skylake = {.vendor = "GenuineIntel", .family = 6, .model = 0x55};
static const struct processor zen4 = {
    .vendor = "AuthenticAMD", .family = 25, .model = 0x11, .prefetch_control = true};

/* <root>/3/msr, sparse like the real one: register N at offset N. */
struct made_up {
    char root[64], path[128];
};

static uint64_t value_of(const struct made_up *made_up, off_t address) {
    uint64_t value;
    int file = open(made_up->path, O_RDONLY | O_CLOEXEC);
    assert_true(file >= 0);
    assert_int_equal(pread(file, &value, sizeof value, address), sizeof value);
    close(file);
    return value;
}

static void set_value(const struct made_up *made_up, off_t address, uint64_t value) {
    int file = open(made_up->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    assert_int_equal(pwrite(file, &value, sizeof value, address), sizeof value);
    close(file);
}

static void make_up(struct made_up *made_up) {
    char folder[100];
    strcpy(made_up->root, "/tmp/numa_alloc_msr_XXXXXX");
    assert_non_null(mkdtemp(made_up->root));
    snprintf(folder, sizeof folder, "%s/%d", made_up->root, CPU);
    assert_int_equal(mkdir(folder, 0755), 0);
    snprintf(made_up->path, sizeof made_up->path, "%s/msr", folder);
}

static void forget(const struct made_up *made_up) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", made_up->root);
    assert_int_equal(system(command), 0);
}

/* Waits, some seconds at most, until the guardian has put the value back. */
static void assert_becomes(const struct made_up *made_up, off_t address, uint64_t value) {
    for (int tries = 0; tries < 1000 && value_of(made_up, address) != value; tries++)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    assert_int_equal(value_of(made_up, address), value);
}

static void intel_bits_are_set_and_restored_and_others_kept(void **state) {
    struct made_up made_up;
    struct prefetchers prefetchers;
    (void)state;
    make_up(&made_up);
    set_value(&made_up, INTEL_REGISTER, 0x8000000000000802);
    assert_true(prefetchers_guard(&prefetchers, made_up.root, CPU, &skylake));
    assert_int_equal(value_of(&made_up, INTEL_REGISTER), 0x8000000000000802);
    assert_true(prefetchers_off(&prefetchers));
    assert_int_equal(value_of(&made_up, INTEL_REGISTER), 0x800000000000080F);
    assert_true(prefetchers_restore(&prefetchers));
    assert_int_equal(value_of(&made_up, INTEL_REGISTER), 0x8000000000000802);
    forget(&made_up);
}

static void amd_bits_are_set_and_restored_and_others_kept(void **state) {
    struct made_up made_up;
    struct prefetchers prefetchers;
    (void)state;
    make_up(&made_up);
    set_value(&made_up, AMD_REGISTER, 0x3C0);
    assert_true(prefetchers_guard(&prefetchers, made_up.root, CPU, &zen4));
    assert_true(prefetchers_off(&prefetchers));
    assert_int_equal(value_of(&made_up, AMD_REGISTER), 0x3EF);
    assert_true(prefetchers_restore(&prefetchers));
    assert_int_equal(value_of(&made_up, AMD_REGISTER), 0x3C0);
    forget(&made_up);
}

static void what_others_change_meanwhile_is_kept(void **state) {
    struct made_up made_up;
    struct prefetchers prefetchers;
    (void)state;
    make_up(&made_up);
    set_value(&made_up, INTEL_REGISTER, 0);
    assert_true(prefetchers_guard(&prefetchers, made_up.root, CPU, &skylake));
    assert_true(prefetchers_off(&prefetchers));
    set_value(&made_up, INTEL_REGISTER, 0x80F);
    assert_true(prefetchers_restore(&prefetchers));
    assert_int_equal(value_of(&made_up, INTEL_REGISTER), 0x800);
    forget(&made_up);
}

enum what { WAIT, FORK_AND_WAIT, END };

/* How long the fork of FORK_AND_WAIT lives at most: longer than assert_becomes waits. */
#define FORK_SECONDS 20

/* A pipe that keeps that fork alive until the test closes it. */
static int life[2];

static void fork_something(void) {
    char byte;
    if (fork() == 0) {
        close(life[1]);
        alarm(FORK_SECONDS);
        _exit((int)read(life[0], &byte, 1));
    }
}

/* Starts a process that switches them off and then waits for ever or ends. Returns it once they are
 * off. */
static pid_t start_measuring(const struct made_up *made_up, enum what what) {
    int ready[2];
    char byte;
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct prefetchers prefetchers;
        signal(SIGSEGV, SIG_DFL); /* cmocka's own handler would go on */
        if (!prefetchers_guard(&prefetchers, made_up->root, CPU, &skylake) ||
            !prefetchers_off(&prefetchers))
            _exit(1);
        if (what == FORK_AND_WAIT)
            fork_something();
        (void)!write(ready[1], "", 1);
        while (what != END)
            pause();
        _exit(0);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return child;
}

static void restored_after(enum what what, int signal_number) {
    struct made_up made_up;
    int status;
    make_up(&made_up);
    set_value(&made_up, INTEL_REGISTER, 0x801);
    pid_t child = start_measuring(&made_up, what);
    if (signal_number != 0) {
        assert_int_equal(value_of(&made_up, INTEL_REGISTER), 0x80F);
        assert_int_equal(kill(child, signal_number), 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_becomes(&made_up, INTEL_REGISTER, 0x801);
    forget(&made_up);
}

static void killed_processes_leave_them_restored(void **state) {
    (void)state;
    restored_after(WAIT, SIGKILL);
    restored_after(WAIT, SIGTERM);
    restored_after(WAIT, SIGSEGV);
}

static void a_process_that_forgets_leaves_them_restored(void **state) {
    (void)state;
    restored_after(END, 0);
}

static void a_fork_that_outlives_the_killed_process_does_not_delay_it(void **state) {
    (void)state;
    assert_int_equal(pipe2(life, O_CLOEXEC), 0);
    restored_after(FORK_AND_WAIT, SIGKILL);
    close(life[0]);
    close(life[1]);
}

static void a_killed_process_group_leaves_them_restored(void **state) {
    struct made_up made_up;
    int status;
    (void)state;
    make_up(&made_up);
    set_value(&made_up, INTEL_REGISTER, 0);
    pid_t leader = fork();
    assert_true(leader >= 0);
    if (leader == 0) {
        setpgid(0, 0);
        start_measuring(&made_up, WAIT);
        kill(0, SIGKILL);
        _exit(1);
    }
    assert_int_equal(waitpid(leader, &status, 0), leader);
    assert_true(WIFSIGNALED(status));
    assert_becomes(&made_up, INTEL_REGISTER, 0);
    forget(&made_up);
}

static void the_guardian_does_not_end_by_signals(void **state) {
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGQUIT, SIGUSR1};
    struct made_up made_up;
    struct prefetchers prefetchers;
    (void)state;
    make_up(&made_up);
    set_value(&made_up, INTEL_REGISTER, 0);
    assert_true(prefetchers_guard(&prefetchers, made_up.root, CPU, &skylake));
    assert_true(prefetchers_off(&prefetchers));
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        assert_int_equal(kill(prefetchers.guardian, signals[i]), 0);
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    assert_int_equal(waitpid(prefetchers.guardian, NULL, WNOHANG), 0);
    assert_int_equal(value_of(&made_up, INTEL_REGISTER), 0xF);
    assert_true(prefetchers_restore(&prefetchers));
    forget(&made_up);
}

static void a_killed_guardian_does_not_keep_them_off(void **state) {
    struct made_up made_up;
    struct prefetchers prefetchers;
    (void)state;
    make_up(&made_up);
    set_value(&made_up, INTEL_REGISTER, 0);
    assert_true(prefetchers_guard(&prefetchers, made_up.root, CPU, &skylake));
    assert_true(prefetchers_off(&prefetchers));
    assert_int_equal(kill(prefetchers.guardian, SIGKILL), 0);
    assert_true(prefetchers_restore(&prefetchers));
    assert_int_equal(value_of(&made_up, INTEL_REGISTER), 0);
    forget(&made_up);
}

static void assert_refused(const char *root, const struct processor *processor, const char *words) {
    struct prefetchers prefetchers;
    assert_false(prefetchers_guard(&prefetchers, root, CPU, processor));
    if (strstr(prefetchers.why, words) == NULL)
        fail_msg("'%s' lacks '%s'", prefetchers.why, words);
    assert_null(strchr(prefetchers.why, '\n'));
}

static void two_processes_cannot_hold_one_register(void **state) {
    struct made_up made_up;
    struct prefetchers prefetchers;
    (void)state;
    make_up(&made_up);
    set_value(&made_up, INTEL_REGISTER, 0);
    assert_true(prefetchers_guard(&prefetchers, made_up.root, CPU, &skylake));
    assert_refused(made_up.root, &skylake, "another process");
    assert_true(prefetchers_restore(&prefetchers));
    assert_true(prefetchers_guard(&prefetchers, made_up.root, CPU, &skylake));
    assert_true(prefetchers_restore(&prefetchers));
    forget(&made_up);
}

static void refusals_name_what_is_missing(void **state) {
    static const struct processor arm = {0};
    static const struct processor old_amd = {.vendor = "AuthenticAMD", .family = 23};
    static const struct processor new_intel = {
        .vendor = "GenuineIntel", .family = 6, .model = 0xFE};
    struct made_up made_up;
    (void)state;
    make_up(&made_up);
    assert_refused(made_up.root, &skylake, "module msr");
    set_value(&made_up, 0, 0);
    assert_refused(made_up.root, &skylake, "cannot be read");
    assert_refused(made_up.root, &arm, "architecture");
    assert_refused(made_up.root, &old_amd, "not known");
    assert_refused(made_up.root, &new_intel, "model 0xFE");
    forget(&made_up);
}

static void bits_follow_the_kind_of_core(void **state) {
    static const struct {
        unsigned model;
        bool atom_core;
        uint64_t off_bits;
    } expected[] = {{0x4F, false, 0xF},  {0x97, false, 0x2F}, {0x97, true, 0x2D},
                    {0x8F, false, 0x2F}, {0xAD, false, 0xFF}, {0x5C, false, 0x5},
                    {0x57, false, 0x3},  {0x17, false, 0},    {0x4F, true, 0}};
    (void)state;
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        struct processor processor = {.vendor = "GenuineIntel", .family = 6};
        processor.model = expected[i].model;
        processor.atom_core = expected[i].atom_core;
        struct prefetchers_switch found = prefetchers_find(&processor);
        assert_int_equal(found.off_bits, expected[i].off_bits);
        assert_int_equal(found.address, expected[i].off_bits != 0 ? INTEL_REGISTER : 0);
    }
}

static void this_processor_can_be_asked(void **state) {
    struct processor processor;
    (void)state;
    processor_identify(&processor);
#if defined(__x86_64__)
    assert_int_equal(strlen(processor.vendor), 12);
    assert_true(processor.family > 0);
#else
    assert_string_equal(processor.vendor, "");
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(intel_bits_are_set_and_restored_and_others_kept),
        cmocka_unit_test(amd_bits_are_set_and_restored_and_others_kept),
        cmocka_unit_test(what_others_change_meanwhile_is_kept),
        cmocka_unit_test(killed_processes_leave_them_restored),
        cmocka_unit_test(a_process_that_forgets_leaves_them_restored),
        cmocka_unit_test(a_fork_that_outlives_the_killed_process_does_not_delay_it),
        cmocka_unit_test(a_killed_process_group_leaves_them_restored),
        cmocka_unit_test(the_guardian_does_not_end_by_signals),
        cmocka_unit_test(a_killed_guardian_does_not_keep_them_off),
        cmocka_unit_test(two_processes_cannot_hold_one_register),
        cmocka_unit_test(refusals_name_what_is_missing),
        cmocka_unit_test(bits_follow_the_kind_of_core),
        cmocka_unit_test(this_processor_can_be_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
