/* The environment variables: what may stand in each, and what is meant by it. Reading them changes
 * nothing and prints nothing; a value that cannot be read is described for the caller to report. */
#pragma once

#include "topology.c"

#include <limits.h>

enum policy_kind {
    POLICY_BIND,
    POLICY_PREFERRED,
    POLICY_INTERLEAVE,
    POLICY_WEIGHTED,
    POLICY_LOCAL,
    POLICY_NONE
};
enum page_kind { PAGES_DEFAULT, PAGES_THP, PAGES_2M, PAGES_1G };
enum on_error { ON_ERROR_WARN, ON_ERROR_ABORT, ON_ERROR_SILENT };

struct config {
    enum policy_kind policy;
    struct node_set nodes;         /* of bind (one), preferred, interleave and weighted */
    uint8_t weights[NODE_IDS_MAX]; /* of weighted: 1 to 255 for each of `nodes`, else 0 */
    size_t min_size_bytes; /* smallest block the policy applies to; smaller ones are placed local */
    enum page_kind pages;
    enum on_error on_error;
    bool checks;
    bool stats;
    bool stats_on_signal;
    char stats_path[PATH_MAX]; /* empty: standard error */
};

/* The longest value read; also the longest path the kernel takes. */
#define CONFIG_VALUE_MAX (PATH_MAX - 1)

/* The longest name of a variable that is shown whole. */
#define CONFIG_NAME_SHOWN 40

/* Why a variable was refused: "VARIABLE=VALUE: REASON; accepted: ACCEPTED". With what is shown of
 * the value that always fits into one message. */
struct config_problem {
    const char *variable;
    const char *value;
    char reason[96];
    char accepted[256];
    char unknown[CONFIG_NAME_SHOWN + 2]; /* where `variable` points when there is no such one */
};

/* Looks a variable up; getenv's contract. A parameter so that tests need no environment. */
typedef const char *(*config_lookup)(const char *variable);

/* Reads one variable's value. False: `reason` says why it cannot be obeyed. */
typedef bool (*config_parser)(struct config *config, const struct topology *topology,
                              const char *value, struct text *reason);

/* Indexed by enum policy_kind. The first four are followed by ":" and their nodes. */
static const char *const policy_names[] = {"bind",     "preferred", "interleave",
                                           "weighted", "local",     "none"};

static const char *policy_name(enum policy_kind policy) {
    return policy_names[policy];
}

static bool policy_has_nodes(enum policy_kind policy) {
    return policy <= POLICY_WEIGHTED;
}

/* The policy as a user would write it: "bind:0", "preferred:0-1", "weighted:0=3,1=1", "local". */
static void config_format_policy(const struct config *config, struct text *text) {
    text_add(text, policy_name(config->policy));
    if (!policy_has_nodes(config->policy))
        return;
    text_add(text, ":");
    if (config->policy != POLICY_WEIGHTED) {
        node_set_format(&config->nodes, text);
        return;
    }
    const char *separator = "";
    for (int node = node_set_next(&config->nodes, 0); node >= 0;
         node = node_set_next(&config->nodes, (unsigned)node + 1)) {
        text_add(text, separator);
        text_add_unsigned(text, (unsigned)node);
        text_add(text, "=");
        text_add_unsigned(text, config->weights[node]);
        separator = ",";
    }
}

/* If `value` starts with `prefix`, what follows it; else NULL. */
static const char *after_prefix(const char *value, const char *prefix) {
    size_t length = strlen(prefix);
    return strncmp(value, prefix, length) == 0 ? value + length : NULL;
}

/* --- reasons: each returns false, for its caller to return ---------------------------------- */

static bool refuse(struct text *reason, const char *why) {
    text_add(reason, why);
    return false;
}

/* `what` should have stood where `at` starts. */
static bool refuse_syntax(struct text *reason, const char *what, const char *at) {
    enum { SHOWN = 20 };
    text_add(reason, "expected ");
    text_add(reason, what);
    text_add(reason, " at ");
    if (*at == '\0')
        return refuse(reason, "the end");
    text_add(reason, "\"");
    text_add_printable(reason, at, SHOWN);
    return refuse(reason, "\"");
}

static bool refuse_node(struct text *reason, const char *before, unsigned node, const char *after) {
    text_add(reason, before);
    text_add_unsigned(reason, node);
    return refuse(reason, after);
}

/* --- nodes ----------------------------------------------------------------------------------- */

/* Reads a node's number at *cursor and moves past it. */
static bool parse_node(const char **cursor, unsigned *node, struct text *reason) {
    uint64_t number;
    *node = 0; /* gcc's warnings do not follow the answer to its callers */
    if (!is_digit(**cursor))
        return refuse_syntax(reason, "a node's number", *cursor);
    if (!parse_unsigned(cursor, NODE_IDS_MAX - 1, &number))
        return refuse(reason, "node numbers end at 1023");
    *node = (unsigned)number;
    return true;
}

/* Whether blocks can be placed on `node`. */
static bool check_node(const struct topology *topology, unsigned node, struct text *reason) {
    if (node_set_has(&topology->has_memory, node))
        return true;
    if (node_set_has(&topology->forbidden, node))
        return refuse_node(reason, "this process's cpuset does not allow node ", node, "");
    if (node_set_has(&topology->online, node))
        return refuse_node(reason, "node ", node, " has no memory");
    return refuse_node(reason, "there is no node ", node, "");
}

/* The node of bind. */
static bool parse_one_node(struct config *config, const struct topology *topology, const char *text,
                           struct text *reason) {
    unsigned node;
    if (!parse_node(&text, &node, reason))
        return false;
    if (*text == ',' || *text == '-')
        return refuse(reason, "bind takes one node; preferred and interleave take several");
    if (*text != '\0')
        return refuse_syntax(reason, "nothing more", text);
    node_set_add(&config->nodes, node);
    return check_node(topology, node, reason);
}

/* The nodes of preferred and interleave: "all", or the kernel's list format, but strictly, for a
 * slip in it must not change the placement. */
static bool parse_node_list(struct config *config, const struct topology *topology,
                            const char *list, struct text *reason) {
    if (strcmp(list, "all") == 0) {
        config->nodes = topology->has_memory;
        return !node_set_empty(&config->nodes) || refuse(reason, "no usable node has memory");
    }
    if (*list == '\0')
        return refuse(reason, "the list of nodes is empty");
    for (;; list++) {
        unsigned first, last;
        if (!parse_node(&list, &first, reason))
            return false;
        last = first;
        if (*list == '-') {
            list++;
            if (!parse_node(&list, &last, reason))
                return false;
            if (last < first)
                return refuse_node(reason, "the range from ", first, " ends below its start");
        }
        for (unsigned node = first; node <= last; node++) {
            if (!check_node(topology, node, reason))
                return false;
            if (node_set_has(&config->nodes, node))
                return refuse_node(reason, "node ", node, " is given twice");
            node_set_add(&config->nodes, node);
        }
        if (*list == '\0')
            return true;
        if (*list != ',')
            return refuse_syntax(reason, "a comma", list);
    }
}

/* The nodes and weights of weighted: "0=3,1=1". */
static bool parse_weights(struct config *config, const struct topology *topology, const char *list,
                          struct text *reason) {
    if (*list == '\0')
        return refuse(reason, "the list of nodes and weights is empty");
    for (;; list++) {
        unsigned node;
        uint64_t weight;
        if (!parse_node(&list, &node, reason) || !check_node(topology, node, reason))
            return false;
        if (node_set_has(&config->nodes, node))
            return refuse_node(reason, "node ", node, " is given twice");
        if (*list != '=')
            return refuse_syntax(reason, "= and a weight", list);
        list++;
        if (!is_digit(*list))
            return refuse_syntax(reason, "a weight", list);
        if (!parse_unsigned(&list, UINT8_MAX, &weight) || weight == 0)
            return refuse_node(reason, "the weight of node ", node, " is not from 1 to 255");
        node_set_add(&config->nodes, node);
        config->weights[node] = (uint8_t)weight;
        if (*list == '\0')
            return true;
        if (*list != ',')
            return refuse_syntax(reason, "a comma", list);
    }
}

/* --- the variables --------------------------------------------------------------------------- */

static bool parse_policy(struct config *config, const struct topology *topology, const char *value,
                         struct text *reason) {
    static const config_parser parse_nodes[] = {parse_one_node, parse_node_list, parse_node_list,
                                                parse_weights};
    memset(&config->nodes, 0, sizeof config->nodes); /* those of the default */
    for (unsigned policy = POLICY_BIND; policy <= POLICY_NONE; policy++) {
        const char *rest = after_prefix(value, policy_names[policy]);
        config->policy = policy;
        if (rest == NULL)
            continue;
        if (policy_has_nodes(policy) && *rest == ':')
            return parse_nodes[policy](config, topology, rest + 1, reason);
        if (policy_has_nodes(policy))
            return refuse_syntax(reason, "a colon and nodes", rest);
        return *rest == '\0' || refuse_syntax(reason, "nothing more", rest);
    }
    return refuse(reason, "not a policy");
}

static bool parse_min_size(struct config *config, const struct topology *topology,
                           const char *value, struct text *reason) {
    (void)topology;
    uint64_t number;
    size_t unit = 1;
    if (!is_digit(*value))
        return refuse_syntax(reason, "a number of bytes", value);
    if (!parse_unsigned(&value, SIZE_MAX, &number))
        return refuse(reason, "too large a size");
    if (*value == 'K' || *value == 'M' || *value == 'G') {
        unit = *value == 'K' ? KIB : *value == 'M' ? MIB : GIB;
        value++;
    }
    if (*value != '\0')
        return refuse_syntax(reason, unit == 1 ? "K, M, G or nothing more" : "nothing more", value);
    if (__builtin_mul_overflow(number, unit, &config->min_size_bytes))
        return refuse(reason, "too large a size");
    return true;
}

static bool parse_pages(struct config *config, const struct topology *topology, const char *value,
                        struct text *reason) {
    static const char *const names[] = {"default", "thp", "2M", "1G"}; /* by enum page_kind */
    (void)topology;
    for (unsigned pages = PAGES_DEFAULT; pages <= PAGES_1G; pages++)
        if (strcmp(value, names[pages]) == 0) {
            config->pages = pages;
            return true;
        }
    return refuse(reason, "not a page size");
}

static bool parse_on_error(struct config *config, const struct topology *topology,
                           const char *value, struct text *reason) {
    (void)topology;
    if (strcmp(value, "warn") == 0)
        config->on_error = ON_ERROR_WARN;
    else if (strcmp(value, "abort") == 0)
        config->on_error = ON_ERROR_ABORT;
    else if (strcmp(value, "silent") == 0)
        config->on_error = ON_ERROR_SILENT;
    else
        return refuse(reason, "not a reaction");
    return true;
}

static bool parse_stats(struct config *config, const struct topology *topology, const char *value,
                        struct text *reason) {
    (void)topology;
    if (*value == '\0')
        return refuse(reason, "an empty path");
    config->stats = true;
    config->stats_path[0] = '\0';
    if (strcmp(value, "stderr") != 0)
        memcpy(config->stats_path, value, strlen(value) + 1); /* of CONFIG_VALUE_MAX at most */
    return true;
}

static bool parse_stats_signal(struct config *config, const struct topology *topology,
                               const char *value, struct text *reason) {
    (void)topology;
    if (strcmp(value, "0") != 0 && strcmp(value, "1") != 0)
        return refuse(reason, "neither 0 nor 1");
    config->stats_on_signal = value[0] == '1';
    if (config->stats_on_signal && !config->stats) /* the signal would kill the program */
        return refuse(reason, "needs NUMA_ALLOC_STATS");
    return true;
}

static bool parse_checks(struct config *config, const struct topology *topology, const char *value,
                         struct text *reason) {
    (void)topology;
    config->checks = strcmp(value, "on") == 0;
    return config->checks || strcmp(value, "off") == 0 || refuse(reason, "neither off nor on");
}

/* In the order they are read: NUMA_ALLOC_STATS_SIGNAL looks at what came of NUMA_ALLOC_STATS. */
static const struct config_variable {
    const char *name;
    config_parser parse;
    const char *accepted; /* '@' stands for the usable nodes */
} config_variables[] = {
    {"NUMA_ALLOC_POLICY", parse_policy,
     "bind:N, preferred:LIST, interleave:LIST, weighted:N=W,N=W with W from 1 to 255, local or none; "
     "LIST is all or such as 0,2-3; usable nodes: @"},
    {"NUMA_ALLOC_MIN_SIZE", parse_min_size,
     "a number of bytes, with K, M or G for powers of 1024: 0, 64K, 1M"},
    {"NUMA_ALLOC_PAGES", parse_pages, "default, thp, 2M or 1G"},
    {"NUMA_ALLOC_ON_ERROR", parse_on_error, "warn, abort or silent"},
    {"NUMA_ALLOC_STATS", parse_stats,
     "stderr, or a path of under 4096 characters (%p: process id)"},
    {"NUMA_ALLOC_STATS_SIGNAL", parse_stats_signal, "0, or 1 with NUMA_ALLOC_STATS"},
    {"NUMA_ALLOC_CHECKS", parse_checks, "off or on"},
};

/* What the variable accepts, cut with "..." where there is not room for all nodes. */
static void config_format_accepted(const char *accepted, const struct topology *topology,
                                   struct text *text) {
    for (; *accepted != '\0'; accepted++) {
        if (*accepted == '@')
            node_set_format(&topology->has_memory, text);
        else
            text_add_chars(text, accepted, 1);
    }
    if (text->length == text->capacity)
        memcpy(text->start + text->length - 3, "...", 3);
}

/* Fills in `config` from the variables, unset ones with their defaults. False: `problem` says which
 * variable cannot be obeyed and why, and `config` must not be used. */
static bool config_read(struct config *config, const struct topology *topology,
                        config_lookup lookup, struct config_problem *problem) {
    memset(config, 0, sizeof *config);
    config->policy = POLICY_BIND;
#ifdef NA_VALGRIND
    config->checks = true; /* memcheck.c counts on it */
#endif
    int lowest = node_set_next(&topology->has_memory, 0);
    node_set_add(&config->nodes, lowest < 0 ? 0 : (unsigned)lowest);
    for (size_t i = 0; i < sizeof config_variables / sizeof config_variables[0]; i++) {
        const struct config_variable *variable = &config_variables[i];
        const char *value = lookup(variable->name);
        if (value == NULL)
            continue;
        memset(problem, 0, sizeof *problem);
        struct text reason = {problem->reason, 0, sizeof problem->reason - 1};
        struct text accepted = {problem->accepted, 0, sizeof problem->accepted - 1};
        if (strnlen(value, CONFIG_VALUE_MAX + 1) > CONFIG_VALUE_MAX)
            (void)refuse(&reason, "longer than 4095 characters");
        else if (variable->parse(config, topology, value, &reason))
            continue;
        problem->variable = variable->name;
        problem->value = value;
        config_format_accepted(variable->accepted, topology, &accepted);
        return false;
    }
    return true;
}

#define CONFIG_PREFIX "NUMA_ALLOC_"

static bool is_config_variable(const char *name, size_t length) {
    for (size_t i = 0; i < sizeof config_variables / sizeof config_variables[0]; i++)
        if (strlen(config_variables[i].name) == length &&
            memcmp(config_variables[i].name, name, length) == 0)
            return true;
    return false;
}

/* Fails, with the `problem`, if `environment` (NULL: none) has a variable that begins as ours do
 * and is none of them: a slip in a name must not change the placement either. */
static bool config_names_known(char *const *environment, struct config_problem *problem) {
    for (; environment != NULL && *environment != NULL; environment++) {
        const char *entry = *environment;
        if (after_prefix(entry, CONFIG_PREFIX) == NULL)
            continue;
        size_t length = strcspn(entry, "=");
        if (entry[length] == '\0' || is_config_variable(entry, length))
            continue;
        memset(problem, 0, sizeof *problem);
        struct text unknown = {problem->unknown, 0, sizeof problem->unknown - 1};
        struct text reason = {problem->reason, 0, sizeof problem->reason - 1};
        struct text accepted = {problem->accepted, 0, sizeof problem->accepted - 1};
        text_add_chars(&unknown, entry, length);
        problem->variable = problem->unknown;
        problem->value = entry + length + 1;
        for (size_t i = 0; i < sizeof config_variables / sizeof config_variables[0]; i++) {
            text_add(&accepted, i == 0 ? "" : ", ");
            text_add(&accepted, config_variables[i].name);
        }
        return refuse(&reason, "there is no such variable");
    }
    return true;
}
