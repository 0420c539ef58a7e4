/* The environment's variables. What is accepted is read the same way again from how it is shown. */
#pragma GCC diagnostic ignored "-Wunused-function"
#include "alloc/config.c"

#include "fuzz.h"

#define VARIABLES (sizeof config_variables / sizeof config_variables[0])

static char values[VARIABLES][CONFIG_VALUE_MAX + 64];
static bool is_set[VARIABLES];

static const char *lookup(const char *name) {
    for (size_t i = 0; i < VARIABLES; i++)
        if (is_set[i] && strcmp(name, config_variables[i].name) == 0)
            return values[i];
    return NULL;
}

/* Memory on 0, 2, 4 to 6 and 1023, CPUs alone on 1, 3 outside the cpuset. */
static struct topology machine(void) {
    struct topology topology;
    memset(&topology, 0, sizeof topology);
    (void)node_set_parse("0-6,1023", &topology.online);
    (void)node_set_parse("0,2,4-6,1023", &topology.has_memory);
    (void)node_set_parse("3", &topology.forbidden);
    return topology;
}

static void check_accepted(const struct config *config, const struct topology *topology) {
    static char shown[8192];
    static struct config again;
    struct text text = {shown, 0, sizeof shown - 1};
    char reason_chars[96];
    struct text reason = {reason_chars, 0, sizeof reason_chars - 1};
    unsigned nodes = node_set_count(&config->nodes);
    fuzz_expect(config->policy > POLICY_WEIGHTED || nodes > 0);
    fuzz_expect(config->policy != POLICY_BIND || nodes == 1);
    for (size_t i = 0; i < NODE_IDS_MAX / 64; i++)
        fuzz_expect((config->nodes.words[i] & ~topology->has_memory.words[i]) == 0);
    config_format_policy(config, &text);
    fuzz_expect(text.length < text.capacity);
    shown[text.length] = '\0';
    memset(&again, 0, sizeof again);
    fuzz_expect(parse_policy(&again, topology, shown, &reason));
    fuzz_expect(again.policy == config->policy);
    fuzz_expect(memcmp(&again.nodes, &config->nodes, sizeof again.nodes) == 0);
    fuzz_expect(memcmp(again.weights, config->weights, sizeof again.weights) == 0);
}

static void check_refused(const struct config_problem *problem) {
    fuzz_expect(problem->variable != NULL && problem->value != NULL);
    fuzz_expect(problem->reason[0] != '\0' && problem->accepted[0] != '\0');
    fuzz_expect(memchr(problem->reason, '\0', sizeof problem->reason) != NULL);
    fuzz_expect(memchr(problem->accepted, '\0', sizeof problem->accepted) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static struct config config;
    static char entry[sizeof values[0]];
    struct config_problem problem;
    struct topology topology = machine();
    for (size_t i = 0; i < VARIABLES; i++)
        is_set[i] =
            fuzz_text(&bytes, &size, values[i], sizeof values[i]) && strcmp(values[i], "-") != 0;
    memset(&config, 0xa5, sizeof config);
    memset(&problem, 0, sizeof problem);
    if (config_read(&config, &topology, lookup, &problem))
        check_accepted(&config, &topology);
    else
        check_refused(&problem);
    (void)fuzz_text(&bytes, &size, entry, sizeof entry);
    char *environment[] = {entry, NULL};
    if (!config_names_known(environment, &problem))
        check_refused(&problem);
    return 0;
}
