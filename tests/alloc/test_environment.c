/*
 * NUMA_ALLOC_* variables: what cannot be read stops the program before main, in one clear line.
 * Each case is a program started anew, mostly this one with `child`, so that the library reads them
 * afresh.
 */
#include "promises.h"

#include <grp.h>
#include <sys/stat.h>

static void set_variable(const void *settings) {
    const char *const *variable_and_value = settings;
    if (variable_and_value[0] != NULL)
        setenv(variable_and_value[0], variable_and_value[1], 1);
}

/* Starts this program anew with one more variable; its main writes "main ran". */
static void run_with(struct run *run, const char *variable, const char *value) {
    const char *const variable_and_value[] = {variable, value};
    run_self(run, "child", NULL, set_variable, variable_and_value);
}

static int child_main(void) {
    enum { COUNT = 1000 };
    static void *blocks[COUNT];
    size_t failures = 0;
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = malloc(i * 20);
        pattern_write(blocks[i], i * 20, i);
    }
    for (size_t i = 0; i < COUNT; i++) {
        failures += !pattern_holds(blocks[i], i * 20, i);
        free(blocks[i]);
    }
    puts("main ran");
    return failures != 0;
}

/* The longest value shown whole; a longer one may be cut. */
enum { SHOWN_WHOLE = 60 };

static void assert_refused(const char *variable, const char *value, const char *accepted) {
    struct run run;
    run_with(&run, variable, value);
    if (run.status != 2 || run.out[0] != '\0')
        fail_msg("%s=%s: exit status %d, stdout \"%s\"", variable, value, run.status, run.out);
    const char *end = strchr(run.err, '\n');
    if (end == NULL || end[1] != '\0')
        fail_msg("%s=%s: not one line on stderr: \"%s\"", variable, value, run.err);
    if (strstr(run.err, variable) == NULL || strstr(run.err, accepted) == NULL ||
        (strlen(value) <= SHOWN_WHOLE && strstr(run.err, value) == NULL))
        fail_msg("%s=%s: variable, value or \"%s\" not named: %s", variable, value, accepted,
                 run.err);
}

static void assert_runs(const char *variable, const char *value) {
    struct run run;
    run_with(&run, variable, value);
    if (run.status != 0 || strcmp(run.out, "main ran\n") != 0)
        fail_msg("%s=%s: exit status %d, stdout \"%s\", stderr \"%s\"", variable ? variable : "-",
                 value ? value : "-", run.status, run.out, run.err);
}

static void a_program_without_variables_runs(void **state) {
    (void)state;
    assert_runs(NULL, NULL);
}

static void policies_that_can_be_had_run(void **state) {
    (void)state;
    char policy[32];
    snprintf(policy, sizeof policy, "bind:%d", lowest_node());
    assert_runs("NUMA_ALLOC_POLICY", policy);
    snprintf(policy, sizeof policy, "preferred:%d", lowest_node());
    assert_runs("NUMA_ALLOC_POLICY", policy);
    snprintf(policy, sizeof policy, "interleave:%d", lowest_node());
    assert_runs("NUMA_ALLOC_POLICY", policy);
    snprintf(policy, sizeof policy, "weighted:%d=3", lowest_node());
    assert_runs("NUMA_ALLOC_POLICY", policy);
    assert_runs("NUMA_ALLOC_POLICY", "preferred:all");
    assert_runs("NUMA_ALLOC_POLICY", "interleave:all");
    assert_runs("NUMA_ALLOC_POLICY", "local");
    assert_runs("NUMA_ALLOC_POLICY", "none");
}

static void a_policy_without_a_node_is_refused(void **state) {
    (void)state;
    assert_refused("NUMA_ALLOC_POLICY", "bind:", "bind:");
    assert_refused("NUMA_ALLOC_POLICY", "bind", "bind:");
    assert_refused("NUMA_ALLOC_POLICY", "preferred:", "preferred:");
    assert_refused("NUMA_ALLOC_POLICY", "preferred", "preferred:");
}

static void a_node_that_is_no_number_is_refused(void **state) {
    (void)state;
    const char *const values[] = {"bind:x",
                                  "bind:-1",
                                  "bind:+0",
                                  "bind: 0",
                                  "bind:0 ",
                                  "bind:0x0",
                                  "bind:0,1",
                                  "bind:0-1",
                                  "bind:0;",
                                  "bind:all",
                                  "bind::0",
                                  "bind:0.5",
                                  "bind:18446744073709551616",
                                  "preferred:y",
                                  "preferred:-3",
                                  "bind:4294967296"};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        assert_refused("NUMA_ALLOC_POLICY", values[i], "bind:");
}

static void a_node_that_this_machine_lacks_is_refused(void **state) {
    (void)state;
    const char *const values[] = {"bind:999",       "bind:1023",      "bind:1024",
                                  "preferred:1023", "preferred:1024", "bind:65536"};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        assert_refused("NUMA_ALLOC_POLICY", values[i], "");
}

static void an_unknown_policy_is_refused(void **state) {
    (void)state;
    const char *const values[] = {"nonsense", "Bind:0", "BIND:0", "bindx:0", "local:0", "none:1",
                                  "localx",   "0",      ":",      " local",  "local "};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        assert_refused("NUMA_ALLOC_POLICY", values[i], "bind:");
}

static void an_empty_policy_is_refused(void **state) {
    (void)state;
    assert_refused("NUMA_ALLOC_POLICY", "", "bind:");
}

/* One line stays one line, and a terminal is left alone, whatever bytes the value has. */
static void a_value_with_control_characters_is_refused_in_one_line(void **state) {
    (void)state;
    struct run run;
    run_with(&run, "NUMA_ALLOC_POLICY", "bind:\n\033[31m0");
    assert_int_equal(run.status, 2);
    assert_string_equal(run.out, "");
    assert_non_null(strchr(run.err, '\n'));
    assert_string_equal(strchr(run.err, '\n'), "\n");
    assert_null(strchr(run.err, '\033'));
}

static void a_bad_list_of_nodes_is_refused(void **state) {
    (void)state;
    const char *const values[] = {
        "interleave",      "interleave:",    "interleave:x",       "interleave:0,",
        "interleave:0-",   "interleave:-1",  "interleave:,0",      "interleave:1-0",
        "interleave:1023", "interleave: ",   "interleave:0, 0",    "interleave:0 ",
        "interleave:0;",   "interleave:All", "interleave:0-65536", "interleave:0,0",
        "preferred:0,",    "preferred:0-",   "preferred:0:0"};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        assert_refused("NUMA_ALLOC_POLICY", values[i], "usable nodes: ");
}

static void bad_weights_are_refused(void **state) {
    (void)state;
    const char *const values[] = {
        "weighted",       "weighted:",       "weighted:=1",        "weighted:N=1",
        "weighted:N",     "weighted:N=",     "weighted:N=x",       "weighted:N=0",
        "weighted:N=256", "weighted:N=-1",   "weighted:N=1,",      "weighted:N=1,N=1",
        "weighted:N=1 ",  "weighted: N=1",   "weighted:N=1.5",     "weighted:N=1;",
        "weighted:all=1", "weighted:1023=1", "weighted:N=1,1024=1"};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        /* N stands for a node that is there, except in the one value where it is the mistake. */
        char value[64];
        size_t length = 0;
        for (const char *at = values[i]; *at != '\0' && length < sizeof value - 8; at++)
            length +=
                (size_t)(*at == 'N' && i != 3 ? snprintf(value + length, 8, "%d", lowest_node())
                                              : snprintf(value + length, 8, "%c", *at));
        assert_refused("NUMA_ALLOC_POLICY", value, "from 1 to 255");
    }
}

static void the_reason_and_the_usable_nodes_are_named(void **state) {
    (void)state;
    struct run run;
    run_with(&run, "NUMA_ALLOC_POLICY", "interleave:");
    assert_non_null(strstr(run.err, "the list of nodes is empty; accepted: bind:N, "));
    run_with(&run, "NUMA_ALLOC_POLICY", "bind:1023");
    assert_non_null(strstr(run.err, ": there is no node 1023; accepted: "));
    char usable[32];
    snprintf(usable, sizeof usable, "; usable nodes: %d", lowest_node());
    assert_non_null(strstr(run.err, usable));
    run_with(&run, "NUMA_ALLOC_CHECKS", "yes");
    assert_non_null(strstr(run.err, ": neither off nor on; accepted: off or on\n"));
}

static void an_overlong_value_is_refused_whatever_the_variable(void **state) {
    (void)state;
    static char value[20001];
    const char *const variables[] = {
        "NUMA_ALLOC_POLICY", "NUMA_ALLOC_MIN_SIZE",     "NUMA_ALLOC_PAGES", "NUMA_ALLOC_ON_ERROR",
        "NUMA_ALLOC_STATS",  "NUMA_ALLOC_STATS_SIGNAL", "NUMA_ALLOC_CHECKS"};
    memset(value, '0', sizeof value - 1);
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        assert_refused(variables[i], value, "longer than 4095 characters");
    memcpy(value, "preferred:", 10); /* would be good, were it shorter */
    assert_refused("NUMA_ALLOC_POLICY", value, "longer than 4095 characters");
}

static void a_path_for_statistics_that_is_empty_is_refused(void **state) {
    (void)state;
    assert_refused("NUMA_ALLOC_STATS", "", "stderr");
}

static void an_unknown_reaction_to_errors_is_refused(void **state) {
    (void)state;
    const char *const values[] = {"bad", "Warn", "warn ", "0", "silently", ""};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        assert_refused("NUMA_ALLOC_ON_ERROR", values[i], "silent");
}

static void every_reaction_to_errors_runs(void **state) {
    (void)state;
    assert_runs("NUMA_ALLOC_ON_ERROR", "warn");
    assert_runs("NUMA_ALLOC_ON_ERROR", "abort");
    assert_runs("NUMA_ALLOC_ON_ERROR", "silent");
}

static void an_unreadable_stats_signal_is_refused(void **state) {
    (void)state;
    assert_refused("NUMA_ALLOC_STATS_SIGNAL", "yes", "1");
    assert_refused("NUMA_ALLOC_STATS_SIGNAL", "SIGUSR2", "1");
    assert_refused("NUMA_ALLOC_STATS_SIGNAL", "2", "1");
    assert_runs("NUMA_ALLOC_STATS_SIGNAL", "0");
}

static void a_stats_signal_without_statistics_is_refused(void **state) {
    (void)state;
    assert_refused("NUMA_ALLOC_STATS_SIGNAL", "1", "needs NUMA_ALLOC_STATS");
    setenv("NUMA_ALLOC_STATS", "/dev/null", 1);
    assert_runs("NUMA_ALLOC_STATS_SIGNAL", "1");
    unsetenv("NUMA_ALLOC_STATS");
}

static void an_unreadable_size_is_refused(void **state) {
    (void)state;
    const char *const values[] = {
        "x",  "64KK", "-1", "1.5M",         "K", "64 K", "", "99999999999999999999",
        "+1", "64k",  "1T", "17179869184G", " 0"};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        assert_refused("NUMA_ALLOC_MIN_SIZE", values[i], "64K");
}

static void every_size_runs(void **state) {
    (void)state;
    const char *const values[] = {"0", "1", "64K", "1M", "17179869183G", "18446744073709551615"};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        assert_runs("NUMA_ALLOC_MIN_SIZE", values[i]);
}

static void unknown_pages_are_refused(void **state) {
    (void)state;
    const char *const values[] = {"4K", "huge", "2m", "2MB", "", "THP"};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        assert_refused("NUMA_ALLOC_PAGES", values[i], "default");
}

/* Huge pages that the machine has not got are a line and ordinary pages, never an end. */
static void every_kind_of_page_runs(void **state) {
    (void)state;
    const char *const values[] = {"default", "thp", "2M", "1G"};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        assert_runs("NUMA_ALLOC_PAGES", values[i]);
}

static void unknown_checks_are_refused(void **state) {
    (void)state;
    const char *const values[] = {"yes", "1", "ON", "", "offf", "o"};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        assert_refused("NUMA_ALLOC_CHECKS", values[i], "off or on");
    assert_runs("NUMA_ALLOC_CHECKS", "off");
    assert_runs("NUMA_ALLOC_CHECKS", "on");
}

static void set_policy_and_close_stderr(const void *policy) {
    setenv("NUMA_ALLOC_POLICY", policy, 1);
    close(2);
}

static void a_bad_value_stops_a_program_without_stderr_too(void **state) {
    (void)state;
    struct run run;
    run_self(&run, "child", NULL, set_policy_and_close_stderr, "nonsense");
    assert_int_equal(run.status, 2);
    assert_string_equal(run.out, "");
}

/* A slip in the name would leave the default in force. */
static void variables_that_there_are_not_are_refused(void **state) {
    (void)state;
    const char *const names[] = {"NUMA_ALLOC_POLICY_X", "NUMA_ALLOC_POLICIES", "NUMA_ALLOC_PAGE",
                                 "NUMA_ALLOC_",         "NUMA_ALLOC_policy",   "NUMA_ALLOC_STATS "};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_refused(names[i], "local",
                       "there is no such variable; accepted: NUMA_ALLOC_POLICY, ");
    struct run run;
    run_with(&run, "NUMA_ALLOC_\nA_NAME_THAT_IS_LONGER_THAN_WHAT_IS_SHOWN", "1");
    assert_int_equal(run.status, 2);
    assert_non_null(strstr(run.err, ": NUMA_ALLOC_?A_NAME_THAT_IS_LONGER_THAN_W...=1: "));
}

static void variables_of_others_are_not_ours(void **state) {
    (void)state;
    assert_runs("XNUMA_ALLOC_POLICY", "nonsense");
    assert_runs("NUMA_ALLOC", "nonsense");
    assert_runs("NUMA_LAB_KERNEL", "/boot/vmlinuz");
}

/* --- set-user-id programs --------------------------------------------------------------------- */

/* A folder of its own for a program that loads the library itself: the loader preloads nothing into
 * a set-user-id program. A linked library is set up before libc knows the environment, one that is
 * opened later is not: both ways to read a variable are tried. */
struct loading {
    char folder[32], program[64], stats[64];
    bool opens; /* by dlopen, in main; else it is linked */
    const char *library;
};

static const char loading_source[] = "#include <dlfcn.h>\n"
                                     "#include <stdio.h>\n"
                                     "#include <sys/auxv.h>\n"
                                     "int main(int argc, char **argv) {\n"
                                     "    if (argc > 1 && dlopen(argv[1], RTLD_NOW) == NULL)\n"
                                     "        return 97;\n"
                                     "    printf(\"secure %lu\\n\", getauxval(AT_SECURE));\n"
                                     "    return 0;\n"
                                     "}\n";

static void loading_begin(struct loading *loading, bool opens) {
    char source[64], command[8192];
    Dl_info library;
    assert_true(dladdr((const void *)malloc, &library) != 0);
    loading->library = library.dli_fname;
    loading->opens = opens;
    strcpy(loading->folder, "/tmp/numa_alloc_loading_XXXXXX");
    assert_non_null(mkdtemp(loading->folder));
    assert_int_equal(chmod(loading->folder, 0755), 0);
    snprintf(loading->program, sizeof loading->program, "%s/program", loading->folder);
    snprintf(loading->stats, sizeof loading->stats, "%s/stats", loading->folder);
    snprintf(source, sizeof source, "%s.c", loading->program);
    FILE *file = fopen(source, "w");
    assert_non_null(file);
    assert_true(fputs(loading_source, file) >= 0);
    assert_int_equal(fclose(file), 0);
    snprintf(command, sizeof command,
             "env -u LD_PRELOAD gcc -o '%s' '%s' -Wl,--no-as-needed -ldl '%s'", loading->program,
             source, opens ? "-ldl" : loading->library);
    assert_int_equal(system(command), 0);
    assert_int_equal(unlink(source), 0);
}

static void loading_end(const struct loading *loading) {
    (void)unlink(loading->stats);
    assert_int_equal(unlink(loading->program), 0);
    assert_int_equal(rmdir(loading->folder), 0);
}

enum { NOBODY = 65534 };

/* Runs the program with one variable set, as nobody if asked to. Returns its exit status, and in
 * `secure` what it said of itself (-1: it said nothing). */
static int loading_run(const struct loading *loading, const char *variable, const char *value,
                       bool as_nobody, int *secure) {
    int ends[2];
    char said[64];
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        become_child();
        dup2(ends[1], 1);
        unsetenv("LD_PRELOAD");
        setenv(variable, value, 1);
        dup2(open("/dev/null", O_WRONLY), 2);
        if (as_nobody && (setgroups(0, NULL) != 0 || setgid(NOBODY) != 0 || setuid(NOBODY) != 0))
            _exit(98);
        execl(loading->program, loading->program, loading->opens ? loading->library : NULL,
              (char *)NULL);
        _exit(99);
    }
    close(ends[1]);
    size_t length = 0;
    ssize_t got;
    while ((got = read(ends[0], said + length, sizeof said - 1 - length)) > 0)
        length += (size_t)got;
    said[length] = '\0';
    close(ends[0]);
    *secure = -1;
    (void)sscanf(said, "secure %d", secure);
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* Lends the program rights that who runs it has not: root's, or else those of one of our groups
 * that is not our first. False when we have nothing to lend. */
static bool lend_rights(const char *program) {
    if (geteuid() == 0)
        return chown(program, 0, 0) == 0 && chmod(program, 04755) == 0;
    gid_t groups[256];
    int count = getgroups(256, groups);
    for (int i = 0; i < count; i++)
        if (groups[i] != getgid())
            return chown(program, (uid_t)-1, groups[i]) == 0 && chmod(program, 02755) == 0;
    return false;
}

static void assert_obeys_unless_set_user_id(bool opens) {
    struct loading loading;
    bool root = geteuid() == 0;
    int secure;
    loading_begin(&loading, opens);
    /* First as it is: what is ignored below is obeyed here. */
    assert_int_equal(loading_run(&loading, "NUMA_ALLOC_POLICY", "nonsense", false, &secure), 2);
    assert_int_equal(secure, -1);
    assert_int_equal(loading_run(&loading, "NUMA_ALLOC_PAGE", "2M", false, &secure), 2);
    assert_int_equal(loading_run(&loading, "NUMA_ALLOC_STATS", loading.stats, false, &secure), 0);
    assert_int_equal(secure, 0);
    assert_int_equal(unlink(loading.stats), 0);

    bool lent = lend_rights(loading.program);
    int status = loading_run(&loading, "UNRELATED", "", lent && root, &secure);
    if (!lent || secure == 0) {
        print_message("# SKIP no set-user-id program: %s\n",
                      lent ? "the kernel ignores the bit here (nosuid, no_new_privs)"
                           : "making one needs root or a second group");
        loading_end(&loading);
        skip();
    }
    assert_int_equal(status, 0);
    assert_int_equal(secure, 1);
    status = loading_run(&loading, "NUMA_ALLOC_POLICY", "nonsense", root, &secure);
    assert_int_equal(status, 0);
    assert_int_equal(secure, 1);
    status = loading_run(&loading, "NUMA_ALLOC_PAGE", "2M", root, &secure);
    assert_int_equal(status, 0);
    /* The one that would do harm: a file written with another's rights. */
    status = loading_run(&loading, "NUMA_ALLOC_STATS", loading.stats, root, &secure);
    assert_int_equal(status, 0);
    assert_int_equal(access(loading.stats, F_OK), -1);
    loading_end(&loading);
}

static void a_set_user_id_program_linked_with_it_ignores_the_variables(void **state) {
    (void)state;
    assert_obeys_unless_set_user_id(false);
}

static void a_set_user_id_program_that_opens_it_ignores_the_variables(void **state) {
    (void)state;
    assert_obeys_unless_set_user_id(true);
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "child") == 0)
        return child_main();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program_without_variables_runs),
        cmocka_unit_test(policies_that_can_be_had_run),
        cmocka_unit_test(a_policy_without_a_node_is_refused),
        cmocka_unit_test(a_node_that_is_no_number_is_refused),
        cmocka_unit_test(a_node_that_this_machine_lacks_is_refused),
        cmocka_unit_test(an_unknown_policy_is_refused),
        cmocka_unit_test(an_empty_policy_is_refused),
        cmocka_unit_test(a_value_with_control_characters_is_refused_in_one_line),
        cmocka_unit_test(a_bad_list_of_nodes_is_refused),
        cmocka_unit_test(bad_weights_are_refused),
        cmocka_unit_test(the_reason_and_the_usable_nodes_are_named),
        cmocka_unit_test(an_overlong_value_is_refused_whatever_the_variable),
        cmocka_unit_test(a_path_for_statistics_that_is_empty_is_refused),
        cmocka_unit_test(an_unknown_reaction_to_errors_is_refused),
        cmocka_unit_test(every_reaction_to_errors_runs),
        cmocka_unit_test(an_unreadable_stats_signal_is_refused),
        cmocka_unit_test(a_stats_signal_without_statistics_is_refused),
        cmocka_unit_test(an_unreadable_size_is_refused),
        cmocka_unit_test(every_size_runs),
        cmocka_unit_test(unknown_pages_are_refused),
        cmocka_unit_test(every_kind_of_page_runs),
        cmocka_unit_test(unknown_checks_are_refused),
        cmocka_unit_test(a_bad_value_stops_a_program_without_stderr_too),
        cmocka_unit_test(variables_that_there_are_not_are_refused),
        cmocka_unit_test(variables_of_others_are_not_ours),
        cmocka_unit_test(a_set_user_id_program_linked_with_it_ignores_the_variables),
        cmocka_unit_test(a_set_user_id_program_that_opens_it_ignores_the_variables),
    };
    return cmocka_run_group_tests(tests, require_numa_alloc, NULL);
}
