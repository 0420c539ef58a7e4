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

/* A machine with gaps: memory on 0, 2, 4 to 6 and 1023, only CPUs on 1, 3 outside the cpuset. */
static struct topology machine(void) {
    struct topology topology;
    memset(&topology, 0, sizeof topology);
    (void)node_set_parse("0-6,1023", &topology.online);
    (void)node_set_parse("0,2,4-6,1023", &topology.has_memory);
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

static void assert_policy(const struct config *config, const char *written) {
    static char chars[4096];
    struct text text = {chars, 0, sizeof chars - 1};
    config_format_policy(config, &text);
    chars[text.length] = '\0';
    assert_string_equal(chars, written);
}

static void defaults_bind_to_the_lowest_node_with_memory(void **state) {
    (void)state;
    static struct config config;
    struct config_problem problem;
    assert_true(read_one(&config, &problem, NULL, NULL));
    assert_policy(&config, "bind:0");
    assert_int_equal(config.min_size_bytes, 0);
    assert_int_equal(config.pages, PAGES_DEFAULT);
    assert_int_equal(config.on_error, ON_ERROR_WARN);
    assert_false(config.stats);
    struct topology late = machine();
    (void)node_set_parse("5,9", &late.has_memory);
    set_variable = NULL;
    assert_true(config_read(&config, &late, lookup_one, &problem));
    assert_policy(&config, "bind:5");
}

/* Each as it is written, the kind it is, and as it is written back: empty for the same. */
static void policies_are_read_and_written_back(void **state) {
    (void)state;
    static const struct {
        const char *value;
        enum policy_kind policy;
        const char *written;
    } good[] = {
        {"bind:0", POLICY_BIND, ""},
        {"bind:2", POLICY_BIND, ""},
        {"bind:002", POLICY_BIND, "bind:2"},
        {"preferred:4", POLICY_PREFERRED, ""},
        {"preferred:0,2", POLICY_PREFERRED, ""},
        {"preferred:all", POLICY_PREFERRED, "preferred:0,2,4-6,1023"},
        {"interleave:0", POLICY_INTERLEAVE, ""},
        {"interleave:all", POLICY_INTERLEAVE, "interleave:0,2,4-6,1023"},
        {"interleave:4-6", POLICY_INTERLEAVE, ""},
        {"interleave:6,0-0,4-5", POLICY_INTERLEAVE, "interleave:0,4-6"},
        {"interleave:1023,2", POLICY_INTERLEAVE, "interleave:2,1023"},
        {"weighted:0=3,2=1", POLICY_WEIGHTED, ""},
        {"weighted:1023=255", POLICY_WEIGHTED, ""},
        {"weighted:5=1,0=007", POLICY_WEIGHTED, "weighted:0=7,5=1"},
        {"local", POLICY_LOCAL, ""},
        {"none", POLICY_NONE, ""},
    };
    static struct config config;
    struct config_problem problem;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(read_one(&config, &problem, "NUMA_ALLOC_POLICY", good[i].value));
        assert_int_equal(config.policy, good[i].policy);
        assert_policy(&config, good[i].written[0] == '\0' ? good[i].value : good[i].written);
        /* Weights stand with weighted's nodes and nowhere else. */
        for (unsigned node = 0; node < NODE_IDS_MAX; node++)
            assert_int_equal(config.weights[node] != 0,
                             config.policy == POLICY_WEIGHTED && node_set_has(&config.nodes, node));
    }
}

static void policies_without_nodes_have_none(void **state) {
    (void)state;
    static struct config config;
    struct config_problem problem;
    assert_true(read_one(&config, &problem, "NUMA_ALLOC_POLICY", "local"));
    assert_true(node_set_empty(&config.nodes));
    assert_true(read_one(&config, &problem, "NUMA_ALLOC_POLICY", "none"));
    assert_true(node_set_empty(&config.nodes));
}

static void policy_names_follow_the_kinds(void **state) {
    (void)state;
    assert_string_equal(policy_name(POLICY_BIND), "bind");
    assert_string_equal(policy_name(POLICY_PREFERRED), "preferred");
    assert_string_equal(policy_name(POLICY_INTERLEAVE), "interleave");
    assert_string_equal(policy_name(POLICY_WEIGHTED), "weighted");
    assert_string_equal(policy_name(POLICY_LOCAL), "local");
    assert_string_equal(policy_name(POLICY_NONE), "none");
}

static void sizes_are_read_in_powers_of_1024(void **state) {
    (void)state;
    static const struct {
        const char *value;
        size_t size_bytes;
    } good[] = {
        {"0", 0},
        {"0K", 0},
        {"1", 1},
        {"4096", 4096},
        {"64K", 64 * KIB},
        {"0064K", 64 * KIB},
        {"1M", MIB},
        {"3G", 3 * GIB},
        {"18446744073709551615", SIZE_MAX},
        {"18014398509481983K", SIZE_MAX - 1023},
        {"17592186044415M", SIZE_MAX - MIB + 1},
        {"17179869183G", SIZE_MAX - GIB + 1},
    };
    static struct config config;
    struct config_problem problem;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(read_one(&config, &problem, "NUMA_ALLOC_MIN_SIZE", good[i].value));
        assert_int_equal(config.min_size_bytes, good[i].size_bytes);
    }
}

static void every_kind_of_page_is_read(void **state) {
    (void)state;
    static const struct {
        const char *value;
        enum page_kind pages;
    } good[] = {{"default", PAGES_DEFAULT}, {"thp", PAGES_THP}, {"2M", PAGES_2M}, {"1G", PAGES_1G}};
    static struct config config;
    struct config_problem problem;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(read_one(&config, &problem, "NUMA_ALLOC_PAGES", good[i].value));
        assert_int_equal(config.pages, good[i].pages);
    }
}

static void every_reaction_to_errors_is_read(void **state) {
    (void)state;
    static const struct {
        const char *value;
        enum on_error on_error;
    } good[] = {{"warn", ON_ERROR_WARN}, {"abort", ON_ERROR_ABORT}, {"silent", ON_ERROR_SILENT}};
    static struct config config;
    struct config_problem problem;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(read_one(&config, &problem, "NUMA_ALLOC_ON_ERROR", good[i].value));
        assert_int_equal(config.on_error, good[i].on_error);
    }
}

static void switches_are_read(void **state) {
    (void)state;
    static struct config config;
    struct config_problem problem;
    assert_true(read_one(&config, &problem, "NUMA_ALLOC_STATS_SIGNAL", "0"));
    assert_false(config.stats_on_signal);
    assert_true(read_one(&config, &problem, "NUMA_ALLOC_CHECKS", "off"));
}

static const char *lookup_statistics_on_signal(const char *variable) {
    if (strcmp(variable, "NUMA_ALLOC_STATS") == 0)
        return "stderr";
    return strcmp(variable, "NUMA_ALLOC_STATS_SIGNAL") == 0 ? "1" : NULL;
}

/* Alone it would leave SIGUSR2 to kill the program. */
static void statistics_on_a_signal_need_statistics(void **state) {
    (void)state;
    static struct config config;
    struct config_problem problem;
    struct topology topology = machine();
    assert_true(config_read(&config, &topology, lookup_statistics_on_signal, &problem));
    assert_true(config.stats && config.stats_on_signal);
    assert_false(read_one(&config, &problem, "NUMA_ALLOC_STATS_SIGNAL", "1"));
    assert_string_equal(problem.reason, "needs NUMA_ALLOC_STATS");
}

/* What the user wrote, and what must be said of it. */
struct refusal {
    const char *value, *reason;
};

static void assert_refused(const char *variable, const struct refusal *refusals, size_t count) {
    static struct config config;
    struct config_problem problem;
    for (size_t i = 0; i < count; i++) {
        if (read_one(&config, &problem, variable, refusals[i].value))
            fail_msg("%s=\"%s\" is taken", variable, refusals[i].value);
        if (strcmp(problem.reason, refusals[i].reason) != 0)
            fail_msg("%s=\"%s\": %s, not: %s", variable, refusals[i].value, problem.reason,
                     refusals[i].reason);
        assert_string_equal(problem.variable, variable);
        assert_ptr_equal(problem.value, refusals[i].value);
        assert_true(strlen(problem.accepted) > 0);
    }
}

#define ASSERT_REFUSED(variable, refusals)                                                         \
    assert_refused(variable, refusals, sizeof(refusals) / sizeof(refusals)[0])

static void what_is_no_policy_is_refused(void **state) {
    (void)state;
    static const struct refusal bad[] = {
        {"", "not a policy"},
        {" ", "not a policy"},
        {":", "not a policy"},
        {"0", "not a policy"},
        {"Bind:0", "not a policy"},
        {" local", "not a policy"},
        {"inter:0", "not a policy"},
        {"bin", "not a policy"},
        {"bind", "expected a colon and nodes at the end"},
        {"bindx:0", "expected a colon and nodes at \"x:0\""},
        {"bind :0", "expected a colon and nodes at \" :0\""},
        {"weighted=0=1", "expected a colon and nodes at \"=0=1\""},
        {"interleave", "expected a colon and nodes at the end"},
        {"local ", "expected nothing more at \" \""},
        {"local\n", "expected nothing more at \"?\""},
        {"localx", "expected nothing more at \"x\""},
        {"local:0", "expected nothing more at \":0\""},
        {"none,local", "expected nothing more at \",local\""},
        {"none:01234567890123456789", "expected nothing more at \":0123456789012345678...\""},
    };
    ASSERT_REFUSED("NUMA_ALLOC_POLICY", bad);
}

static void bind_takes_exactly_one_node(void **state) {
    (void)state;
    static const struct refusal bad[] = {
        {"bind:", "expected a node's number at the end"},
        {"bind:x", "expected a node's number at \"x\""},
        {"bind:all", "expected a node's number at \"all\""},
        {"bind:-1", "expected a node's number at \"-1\""},
        {"bind:+0", "expected a node's number at \"+0\""},
        {"bind: 0", "expected a node's number at \" 0\""},
        {"bind:\t0", "expected a node's number at \"?0\""},
        {"bind::0", "expected a node's number at \":0\""},
        {"bind:,0", "expected a node's number at \",0\""},
        {"bind:0 ", "expected nothing more at \" \""},
        {"bind:0\n", "expected nothing more at \"?\""},
        {"bind:0x0", "expected nothing more at \"x0\""},
        {"bind:0.5", "expected nothing more at \".5\""},
        {"bind:0=1", "expected nothing more at \"=1\""},
        {"bind:0,2", "bind takes one node; preferred and interleave take several"},
        {"bind:0-2", "bind takes one node; preferred and interleave take several"},
        {"bind:0-", "bind takes one node; preferred and interleave take several"},
    };
    ASSERT_REFUSED("NUMA_ALLOC_POLICY", bad);
}

static void nodes_that_cannot_be_had_are_refused_by_name(void **state) {
    (void)state;
    static const struct refusal bad[] = {
        {"bind:1", "node 1 has no memory"},
        {"bind:3", "this process's cpuset does not allow node 3"},
        {"bind:7", "there is no node 7"},
        {"bind:1022", "there is no node 1022"},
        {"bind:1024", "node numbers end at 1023"},
        {"bind:4294967296", "node numbers end at 1023"},
        {"bind:18446744073709551616", "node numbers end at 1023"},
        {"preferred:1", "node 1 has no memory"},
        {"preferred:0,3", "this process's cpuset does not allow node 3"},
        {"interleave:0,2,7", "there is no node 7"},
        {"interleave:0-2", "node 1 has no memory"},
        {"interleave:2-4", "this process's cpuset does not allow node 3"},
        {"interleave:4-7", "there is no node 7"},
        {"interleave:0-1023", "node 1 has no memory"},
        {"interleave:4-1024", "node numbers end at 1023"},
        {"interleave:0,99999999999999999999999", "node numbers end at 1023"},
        {"weighted:1=1", "node 1 has no memory"},
        {"weighted:0=1,3=1", "this process's cpuset does not allow node 3"},
        {"weighted:7=1", "there is no node 7"},
        {"weighted:1024=1", "node numbers end at 1023"},
    };
    ASSERT_REFUSED("NUMA_ALLOC_POLICY", bad);
}

static void lists_are_read_strictly(void **state) {
    (void)state;
    static const struct refusal bad[] = {
        {"preferred:", "the list of nodes is empty"},
        {"interleave:", "the list of nodes is empty"},
        {"interleave: ", "expected a node's number at \" \""},
        {"interleave:\n", "expected a node's number at \"?\""},
        {"interleave:x", "expected a node's number at \"x\""},
        {"interleave:All", "expected a node's number at \"All\""},
        {"interleave:all,0", "expected a node's number at \"all,0\""},
        {"interleave:0,all", "expected a node's number at \"all\""},
        {"interleave:-1", "expected a node's number at \"-1\""},
        {"interleave:0,-1", "expected a node's number at \"-1\""},
        {"interleave:,0", "expected a node's number at \",0\""},
        {"interleave:0,", "expected a node's number at the end"},
        {"interleave:0,,2", "expected a node's number at \",2\""},
        {"interleave:4-", "expected a node's number at the end"},
        {"interleave:4--6", "expected a node's number at \"-6\""},
        {"interleave:4-x", "expected a node's number at \"x\""},
        {"interleave:6-4", "the range from 6 ends below its start"},
        {"interleave:4-5-6", "expected a comma at \"-6\""},
        {"interleave:0 2", "expected a comma at \" 2\""},
        {"interleave:0, 2", "expected a node's number at \" 2\""},
        {"interleave:0;2", "expected a comma at \";2\""},
        {"interleave:0\n", "expected a comma at \"?\""},
        {"interleave:0x2", "expected a comma at \"x2\""},
        {"interleave:0=1", "expected a comma at \"=1\""},
        {"interleave:0,0", "node 0 is given twice"},
        {"interleave:0,2,00", "node 0 is given twice"},
        {"interleave:4-6,2,5", "node 5 is given twice"},
        {"preferred:5,4-6", "node 5 is given twice"},
        {"preferred:0\xff", "expected a comma at \"?\""},
    };
    ASSERT_REFUSED("NUMA_ALLOC_POLICY", bad);
}

static void weights_are_read_strictly(void **state) {
    (void)state;
    static const struct refusal bad[] = {
        {"weighted:", "the list of nodes and weights is empty"},
        {"weighted: ", "expected a node's number at \" \""},
        {"weighted:all=1", "expected a node's number at \"all=1\""},
        {"weighted:=1", "expected a node's number at \"=1\""},
        {"weighted:0", "expected = and a weight at the end"},
        {"weighted:0,2", "expected = and a weight at \",2\""},
        {"weighted:0:1", "expected = and a weight at \":1\""},
        {"weighted:4-6=1", "expected = and a weight at \"-6=1\""},
        {"weighted:0 =1", "expected = and a weight at \" =1\""},
        {"weighted:0=", "expected a weight at the end"},
        {"weighted:0=,2=1", "expected a weight at \",2=1\""},
        {"weighted:0=x", "expected a weight at \"x\""},
        {"weighted:0=-1", "expected a weight at \"-1\""},
        {"weighted:0=+1", "expected a weight at \"+1\""},
        {"weighted:0= 1", "expected a weight at \" 1\""},
        {"weighted:0==1", "expected a weight at \"=1\""},
        {"weighted:0=0", "the weight of node 0 is not from 1 to 255"},
        {"weighted:2=000", "the weight of node 2 is not from 1 to 255"},
        {"weighted:0=1,2=256", "the weight of node 2 is not from 1 to 255"},
        {"weighted:0=18446744073709551617", "the weight of node 0 is not from 1 to 255"},
        {"weighted:0=1,0=1", "node 0 is given twice"},
        {"weighted:0=1,2=1,00=2", "node 0 is given twice"},
        {"weighted:0=1,", "expected a node's number at the end"},
        {"weighted:0=1,,2=1", "expected a node's number at \",2=1\""},
        {"weighted:0=1 ", "expected a comma at \" \""},
        {"weighted:0=1.5", "expected a comma at \".5\""},
        {"weighted:0=1=2", "expected a comma at \"=2\""},
        {"weighted:0=1;2=1", "expected a comma at \";2=1\""},
    };
    ASSERT_REFUSED("NUMA_ALLOC_POLICY", bad);
}

static void sizes_that_are_none_are_refused(void **state) {
    (void)state;
    static const struct refusal bad[] = {
        {"", "expected a number of bytes at the end"},
        {"K", "expected a number of bytes at \"K\""},
        {"-1", "expected a number of bytes at \"-1\""},
        {"+1", "expected a number of bytes at \"+1\""},
        {" 1", "expected a number of bytes at \" 1\""},
        {"x", "expected a number of bytes at \"x\""},
        {"1 ", "expected K, M, G or nothing more at \" \""},
        {"1T", "expected K, M, G or nothing more at \"T\""},
        {"64k", "expected K, M, G or nothing more at \"k\""},
        {"64 K", "expected K, M, G or nothing more at \" K\""},
        {"1.5M", "expected K, M, G or nothing more at \".5M\""},
        {"0x10", "expected K, M, G or nothing more at \"x10\""},
        {"64KK", "expected nothing more at \"K\""},
        {"64KB", "expected nothing more at \"B\""},
        {"64K\n", "expected nothing more at \"?\""},
        {"18446744073709551616", "too large a size"},
        {"99999999999999999999999999", "too large a size"},
        {"18014398509481984K", "too large a size"},
        {"17592186044416M", "too large a size"},
        {"17179869184G", "too large a size"},
        {"18446744073709551615G", "too large a size"},
    };
    ASSERT_REFUSED("NUMA_ALLOC_MIN_SIZE", bad);
}

static void words_that_are_not_accepted_are_refused(void **state) {
    (void)state;
    static const struct refusal pages[] = {
        {"", "not a page size"},     {"4K", "not a page size"},  {"2m", "not a page size"},
        {"2MB", "not a page size"},  {"THP", "not a page size"}, {"thp ", "not a page size"},
        {" thp", "not a page size"}, {"1G1", "not a page size"}, {"defaul", "not a page size"}};
    static const struct refusal on_error[] = {{"", "not a reaction"},
                                              {"Warn", "not a reaction"},
                                              {"warn ", "not a reaction"},
                                              {"silently", "not a reaction"},
                                              {"0", "not a reaction"}};
    static const struct refusal signals[] = {{"", "neither 0 nor 1"},   {"yes", "neither 0 nor 1"},
                                             {"2", "neither 0 nor 1"},  {"01", "neither 0 nor 1"},
                                             {"-1", "neither 0 nor 1"}, {"1 ", "neither 0 nor 1"}};
    static const struct refusal checks[] = {{"", "neither off nor on"},
                                            {"1", "neither off nor on"},
                                            {"ON", "neither off nor on"},
                                            {"on ", "neither off nor on"},
                                            {"off ", "neither off nor on"}};
    static const struct refusal stats[] = {{"", "an empty path"}};
    ASSERT_REFUSED("NUMA_ALLOC_PAGES", pages);
    ASSERT_REFUSED("NUMA_ALLOC_ON_ERROR", on_error);
    ASSERT_REFUSED("NUMA_ALLOC_STATS_SIGNAL", signals);
    ASSERT_REFUSED("NUMA_ALLOC_CHECKS", checks);
    ASSERT_REFUSED("NUMA_ALLOC_STATS", stats);
}

/* One character more than the longest value: of a list that would be good, had it ended. */
static void an_overlong_value_is_refused_whatever_the_variable(void **state) {
    (void)state;
    static struct config config;
    static char value[CONFIG_VALUE_MAX + 2];
    struct config_problem problem;
    memset(value, '0', sizeof value - 1);
    for (size_t i = 0; i < sizeof config_variables / sizeof config_variables[0]; i++) {
        assert_false(read_one(&config, &problem, config_variables[i].name, value));
        assert_string_equal(problem.reason, "longer than 4095 characters");
    }
    memcpy(value, "preferred:", 10);
    assert_false(read_one(&config, &problem, "NUMA_ALLOC_POLICY", value));
    assert_string_equal(problem.reason, "longer than 4095 characters");
    value[CONFIG_VALUE_MAX] = '\0';
    assert_true(read_one(&config, &problem, "NUMA_ALLOC_POLICY", value));
    assert_policy(&config, "preferred:0");
}

static void what_is_accepted_names_the_usable_nodes(void **state) {
    (void)state;
    static struct config config;
    struct config_problem problem;
    assert_false(read_one(&config, &problem, "NUMA_ALLOC_POLICY", "bind:1"));
    const char *nodes = strstr(problem.accepted, "; usable nodes: ");
    assert_non_null(nodes);
    assert_string_equal(nodes, "; usable nodes: 0,2,4-6,1023");
    static const char *const kinds[] = {"bind:N",        "preferred:LIST", "interleave:LIST",
                                        "weighted:N=W,", "local",          "none"};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        assert_non_null(strstr(problem.accepted, kinds[i]));
}

static void more_nodes_than_a_line_holds_are_cut_visibly(void **state) {
    (void)state;
    static struct config config;
    struct config_problem problem;
    struct topology topology = machine();
    for (unsigned node = 0; node < NODE_IDS_MAX; node += 2)
        node_set_add(&topology.has_memory, node);
    set_variable = "NUMA_ALLOC_POLICY";
    set_value = "bind:1";
    assert_false(config_read(&config, &topology, lookup_one, &problem));
    size_t length = strlen(problem.accepted);
    assert_int_equal(length, sizeof problem.accepted - 1);
    assert_string_equal(problem.accepted + length - 3, "...");
}

static void every_node_of_the_largest_machine_can_be_named(void **state) {
    (void)state;
    static struct config config;
    struct config_problem problem;
    struct topology topology;
    memset(&topology, 0, sizeof topology);
    memset(&topology.has_memory, 0xff, sizeof topology.has_memory);
    topology.online = topology.has_memory;
    set_variable = "NUMA_ALLOC_POLICY";
    set_value = "interleave:all";
    assert_true(config_read(&config, &topology, lookup_one, &problem));
    assert_policy(&config, "interleave:0-1023");
    set_value = "preferred:0-1023";
    assert_true(config_read(&config, &topology, lookup_one, &problem));
    assert_int_equal(node_set_count(&config.nodes), 1024);
}

static void all_of_no_nodes_is_refused(void **state) {
    (void)state;
    static struct config config;
    struct config_problem problem;
    struct topology topology = machine();
    (void)node_set_parse("", &topology.has_memory);
    set_variable = "NUMA_ALLOC_POLICY";
    set_value = "interleave:all";
    assert_false(config_read(&config, &topology, lookup_one, &problem));
    assert_string_equal(problem.reason, "no usable node has memory");
}

/* Every variable is set, and wrong. */
static const char *lookup_all(const char *variable) {
    (void)variable;
    return "wrong";
}

static void the_first_mistake_is_the_one_reported(void **state) {
    (void)state;
    static struct config config;
    struct config_problem problem;
    struct topology topology = machine();
    assert_false(config_read(&config, &topology, lookup_all, &problem));
    assert_string_equal(problem.variable, "NUMA_ALLOC_POLICY");
}

/* The longest that can stand in each part of the line. */
static void a_refusal_fits_into_one_message(void **state) {
    (void)state;
    struct config_problem problem;
    struct message message;
    size_t longest_name = CONFIG_NAME_SHOWN + strlen("...");
    for (size_t i = 0; i < sizeof config_variables / sizeof config_variables[0]; i++)
        if (strlen(config_variables[i].name) > longest_name)
            longest_name = strlen(config_variables[i].name);
    size_t line = strlen("numa_alloc: ") + longest_name + strlen("=") + 80 + strlen("...: ") +
                  sizeof problem.reason - 1 + strlen("; accepted: ") + sizeof problem.accepted - 1;
    assert_true(line < sizeof message.chars);
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

static void only_known_names_pass(void **state) {
    (void)state;
    struct config_problem problem;
    char *known[] = {"PATH=/bin",          "NUMA_ALLOC_POLICY=x", "NUMA_ALLOC_STATS_SIGNAL=1",
                     "NUMA_LAB_X=1",       "NUMA_ALLOC=1",        "numa_alloc_x=1",
                     "NUMA_ALLOC_NOTHING", "A=NUMA_ALLOC_X=1",    NULL};
    char *unknown[] = {"NUMA_ALLOC_CHECKS=off", "NUMA_ALLOC_STAT=a=b", NULL};
    assert_true(config_names_known(NULL, &problem));
    assert_true(config_names_known(known, &problem));
    assert_false(config_names_known(unknown, &problem));
    assert_string_equal(problem.variable, "NUMA_ALLOC_STAT");
    assert_string_equal(problem.value, "a=b");
    for (size_t i = 0; i < sizeof config_variables / sizeof config_variables[0]; i++)
        assert_non_null(strstr(problem.accepted, config_variables[i].name));
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
        cmocka_unit_test(policies_are_read_and_written_back),
        cmocka_unit_test(policies_without_nodes_have_none),
        cmocka_unit_test(policy_names_follow_the_kinds),
        cmocka_unit_test(sizes_are_read_in_powers_of_1024),
        cmocka_unit_test(every_kind_of_page_is_read),
        cmocka_unit_test(every_reaction_to_errors_is_read),
        cmocka_unit_test(switches_are_read),
        cmocka_unit_test(statistics_on_a_signal_need_statistics),
        cmocka_unit_test(what_is_no_policy_is_refused),
        cmocka_unit_test(bind_takes_exactly_one_node),
        cmocka_unit_test(nodes_that_cannot_be_had_are_refused_by_name),
        cmocka_unit_test(lists_are_read_strictly),
        cmocka_unit_test(weights_are_read_strictly),
        cmocka_unit_test(sizes_that_are_none_are_refused),
        cmocka_unit_test(words_that_are_not_accepted_are_refused),
        cmocka_unit_test(an_overlong_value_is_refused_whatever_the_variable),
        cmocka_unit_test(what_is_accepted_names_the_usable_nodes),
        cmocka_unit_test(more_nodes_than_a_line_holds_are_cut_visibly),
        cmocka_unit_test(every_node_of_the_largest_machine_can_be_named),
        cmocka_unit_test(all_of_no_nodes_is_refused),
        cmocka_unit_test(the_first_mistake_is_the_one_reported),
        cmocka_unit_test(a_refusal_fits_into_one_message),
        cmocka_unit_test(statistics_go_to_stderr_or_a_path),
        cmocka_unit_test(only_known_names_pass),
        cmocka_unit_test(a_value_is_quoted_on_one_short_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
