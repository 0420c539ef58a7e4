/* Every variable's good and bad values, without an environment. */
#pragma GCC diagnostic ignored "-Wunused-function"
#include "alloc/config.c"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

static const char *set_variable, *set_value;

static const char *lookup_one(const char *variable) {
    return set_variable != NULL && strcmp(variable, set_variable) == 0 ? set_value : NULL;
}

/* A machine with memory on 0 and 2, only CPUs on 1, and 3 outside the cpuset. */
static struct topology machine(void) {
    struct topology topology;
    memset(&topology, 0, sizeof topology);
    (void)node_set_parse("0-3", &topology.online);
    (void)node_set_parse("0,2", &topology.has_memory);
    (void)node_set_parse("3", &topology.forbidden);
    return topology;
}

static bool read_one(struct config *config, struct config_problem *problem, const char *variable,
                     const char *value) {
    struct topology topology = machine();
    set_variable = variable;
    set_value = value;
    return config_read(config, &topology, lookup_one, problem);
}

static void defaults_bind_to_the_lowest_node_with_memory(void **state) {
    (void)state;
    static struct config config;
    struct config_problem problem;
    assert_true(read_one(&config, &problem, NULL, NULL));
    assert_int_equal(config.policy, POLICY_BIND);
    assert_int_equal(config.node, 0);
    assert_int_equal(config.on_error, ON_ERROR_WARN);
    assert_false(config.stats);
    struct topology late = machine();
    (void)node_set_parse("5,9", &late.has_memory);
    set_variable = NULL;
    assert_true(config_read(&config, &late, lookup_one, &problem));
    assert_int_equal(config.node, 5);
}

static void policies_are_read(void **state) {
    (void)state;
    static const struct {
        const char *value;
        enum policy_kind policy;
        unsigned node;
    } good[] = {{"bind:0", POLICY_BIND, 0},
                {"bind:2", POLICY_BIND, 2},
                {"preferred:2", POLICY_PREFERRED, 2},
                {"local", POLICY_LOCAL, 0},
                {"none", POLICY_NONE, 0}};
    static struct config config;
    struct config_problem problem;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(read_one(&config, &problem, "NUMA_ALLOC_POLICY", good[i].value));
        assert_int_equal(config.policy, good[i].policy);
        assert_int_equal(config.node, good[i].node);
    }
}

/* One refusal: what the user wrote, what must be said of it. */
struct refusal {
    const char *variable, *value, *reason;
};

static void values_that_cannot_be_obeyed_are_refused_with_the_reason(void **state) {
    (void)state;
    static const struct refusal bad[] = {
        {"NUMA_ALLOC_POLICY", "", "not a policy"},
        {"NUMA_ALLOC_POLICY", "bind", "not a policy"},
        {"NUMA_ALLOC_POLICY", "Bind:0", "not a policy"},
        {"NUMA_ALLOC_POLICY", "local ", "not a policy"},
        {"NUMA_ALLOC_POLICY", "bind:", "not a node number"},
        {"NUMA_ALLOC_POLICY", "bind:-1", "not a node number"},
        {"NUMA_ALLOC_POLICY", "bind: 0", "not a node number"},
        {"NUMA_ALLOC_POLICY", "bind:0,2", "not a node number"},
        {"NUMA_ALLOC_POLICY", "bind:99999999999999999999", "not a node number"},
        {"NUMA_ALLOC_POLICY", "bind:4", "there is no such node"},
        {"NUMA_ALLOC_POLICY", "preferred:1024", "there is no such node"},
        {"NUMA_ALLOC_POLICY", "bind:1", "that node has no memory"},
        {"NUMA_ALLOC_POLICY", "bind:3", "this process's cpuset does not allow that node"},
        {"NUMA_ALLOC_POLICY", "interleave:all", "this version does not interleave"},
        {"NUMA_ALLOC_POLICY", "weighted:0=1,2=1", "this version does not interleave"},
        {"NUMA_ALLOC_MIN_SIZE", "64K", "this version applies the policy to every size"},
        {"NUMA_ALLOC_MIN_SIZE", "-1", "not a size"},
        {"NUMA_ALLOC_MIN_SIZE", "1T", "not a size"},
        {"NUMA_ALLOC_PAGES", "2M", "this version leaves the page size to the kernel"},
        {"NUMA_ALLOC_PAGES", "4K", "not a page size"},
        {"NUMA_ALLOC_ON_ERROR", "ignore", "not a reaction"},
        {"NUMA_ALLOC_STATS", "", "an empty path"},
        {"NUMA_ALLOC_STATS_SIGNAL", "yes", "neither 0 nor 1"},
        {"NUMA_ALLOC_CHECKS", "on", "this version has no hardened mode"},
        {"NUMA_ALLOC_CHECKS", "1", "neither off nor on"},
    };
    static struct config config;
    struct config_problem problem;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(read_one(&config, &problem, bad[i].variable, bad[i].value));
        assert_string_equal(problem.variable, bad[i].variable);
        assert_string_equal(problem.value, bad[i].value);
        assert_string_equal(problem.reason, bad[i].reason);
        assert_true(strlen(problem.accepted) > 0);
    }
}

static void a_refused_policy_names_the_usable_nodes(void **state) {
    (void)state;
    static struct config config;
    struct config_problem problem;
    assert_false(read_one(&config, &problem, "NUMA_ALLOC_POLICY", "bind:1"));
    assert_string_equal(problem.accepted, "bind:N, preferred:N, local or none, with N one of 0,2");
}

static void default_values_may_be_spelled_out(void **state) {
    (void)state;
    static const char *const good[][2] = {
        {"NUMA_ALLOC_MIN_SIZE", "0"},     {"NUMA_ALLOC_MIN_SIZE", "0K"},
        {"NUMA_ALLOC_PAGES", "default"},  {"NUMA_ALLOC_ON_ERROR", "warn"},
        {"NUMA_ALLOC_STATS_SIGNAL", "0"}, {"NUMA_ALLOC_CHECKS", "off"}};
    static struct config config;
    struct config_problem problem;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(read_one(&config, &problem, good[i][0], good[i][1]));
}

static void statistics_go_to_stderr_or_a_path(void **state) {
    (void)state;
    static struct config config;
    static char path[PATH_MAX + 8];
    struct config_problem problem;
    assert_true(read_one(&config, &problem, "NUMA_ALLOC_STATS", "stderr"));
    assert_true(config.stats && config.stats_path[0] == '\0');
    assert_true(read_one(&config, &problem, "NUMA_ALLOC_STATS", "/tmp/x-%p.json"));
    assert_string_equal(config.stats_path, "/tmp/x-%p.json");
    memset(path, 'a', sizeof path - 1);
    assert_false(read_one(&config, &problem, "NUMA_ALLOC_STATS", path));
    path[PATH_MAX - 1] = '\0';
    assert_true(read_one(&config, &problem, "NUMA_ALLOC_STATS", path));
}

static void a_value_is_quoted_on_one_short_line(void **state) {
    (void)state;
    char chars[128], value[200];
    struct text text = {chars, 0, sizeof chars - 1};
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    value[3] = '\n';
    value[4] = '\x1b';
    text_add_quoted(&text, value);
    chars[text.length] = '\0';
    assert_int_equal(text.length, 83);
    assert_null(strpbrk(chars, "\n\x1b"));
    assert_string_equal(chars + 80, "...");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_bind_to_the_lowest_node_with_memory),
        cmocka_unit_test(policies_are_read),
        cmocka_unit_test(values_that_cannot_be_obeyed_are_refused_with_the_reason),
        cmocka_unit_test(a_refused_policy_names_the_usable_nodes),
        cmocka_unit_test(default_values_may_be_spelled_out),
        cmocka_unit_test(statistics_go_to_stderr_or_a_path),
        cmocka_unit_test(a_value_is_quoted_on_one_short_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
