/*
 * NUMA_ALLOC_* variables: what cannot be read stops the program before main, in one clear line.
 * Each case is this program started again with `child`, so that the library reads it afresh.
 */
#include "promises.h"

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

static void an_overlong_policy_is_refused(void **state) {
    (void)state;
    static char value[20001];
    memset(value, '7', sizeof value - 1);
    memcpy(value, "bind:", 5);
    assert_refused("NUMA_ALLOC_POLICY", value, "");
    memset(value, 'n', sizeof value - 1);
    assert_refused("NUMA_ALLOC_POLICY", value, "bind:");
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

static void interleave_with_a_bad_list_is_refused(void **state) {
    (void)state;
    const char *const values[] = {
        "interleave",    "interleave:",     "interleave:x", "interleave:0,", "interleave:0-",
        "interleave:-1", "interleave:1023", "weighted:0",   "weighted:0=",   "weighted:0=x",
        "weighted:0=0",  "weighted:=1",     "weighted:"};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        assert_refused("NUMA_ALLOC_POLICY", values[i], "");
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
    assert_runs("NUMA_ALLOC_STATS_SIGNAL", "1");
}

static void an_unreadable_size_is_refused(void **state) {
    (void)state;
    const char *const values[] = {"x", "64KK", "-1", "1.5M",
                                  "K", "64 K", "",   "99999999999999999999"};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        assert_refused("NUMA_ALLOC_MIN_SIZE", values[i], "");
    assert_runs("NUMA_ALLOC_MIN_SIZE", "0");
}

static void unknown_pages_are_refused(void **state) {
    (void)state;
    const char *const values[] = {"4K", "huge", "2m", "2MB", "", "THP"};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        assert_refused("NUMA_ALLOC_PAGES", values[i], "default");
    assert_runs("NUMA_ALLOC_PAGES", "default");
}

static void unknown_checks_are_refused(void **state) {
    (void)state;
    const char *const values[] = {"yes", "1", "ON", "", "offf"};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        assert_refused("NUMA_ALLOC_CHECKS", values[i], "off");
    assert_runs("NUMA_ALLOC_CHECKS", "off");
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

static void similar_variables_are_not_ours(void **state) {
    (void)state;
    assert_runs("NUMA_ALLOC_POLICY_X", "nonsense");
    assert_runs("XNUMA_ALLOC_POLICY", "nonsense");
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
        cmocka_unit_test(an_overlong_policy_is_refused),
        cmocka_unit_test(a_value_with_control_characters_is_refused_in_one_line),
        cmocka_unit_test(interleave_with_a_bad_list_is_refused),
        cmocka_unit_test(an_unknown_reaction_to_errors_is_refused),
        cmocka_unit_test(every_reaction_to_errors_runs),
        cmocka_unit_test(an_unreadable_stats_signal_is_refused),
        cmocka_unit_test(an_unreadable_size_is_refused),
        cmocka_unit_test(unknown_pages_are_refused),
        cmocka_unit_test(unknown_checks_are_refused),
        cmocka_unit_test(a_bad_value_stops_a_program_without_stderr_too),
        cmocka_unit_test(similar_variables_are_not_ours),
    };
    return cmocka_run_group_tests(tests, require_numa_alloc, NULL);
}
