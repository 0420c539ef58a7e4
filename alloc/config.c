/* The environment variables: what may stand in each, and what is meant by it. Reading them changes
 * nothing and prints nothing; a value that cannot be read is described for the caller to report. */
#pragma once

#include "topology.c"

#include <limits.h>

enum policy_kind { POLICY_BIND, POLICY_PREFERRED, POLICY_LOCAL, POLICY_NONE };
enum on_error { ON_ERROR_WARN, ON_ERROR_ABORT, ON_ERROR_SILENT };

struct config {
    enum policy_kind policy;
    unsigned node; /* of bind and preferred */
    enum on_error on_error;
    bool stats;
    bool stats_on_signal;
    char stats_path[PATH_MAX]; /* empty: standard error */
};

/* Why a variable was refused: "VARIABLE=VALUE: REASON; accepted: ACCEPTED". */
struct config_problem {
    const char *variable;
    const char *value;
    const char *reason;
    char accepted[320];
};

/* Looks a variable up; getenv's contract. A parameter so that tests need no environment. */
typedef const char *(*config_lookup)(const char *variable);

/* The answer of a variable's parser: NULL when the value was taken, else why not. */
typedef const char *(*config_parser)(struct config *config, const struct topology *topology,
                                     const char *value);

static const char *policy_name(enum policy_kind policy) {
    static const char *const names[] = {"bind", "preferred", "local", "none"};
    return names[policy];
}

/* If `value` starts with `prefix`, what follows it; else NULL. */
static const char *after_prefix(const char *value, const char *prefix) {
    size_t length = strlen(prefix);
    return strncmp(value, prefix, length) == 0 ? value + length : NULL;
}

static const char *parse_policy(struct config *config, const struct topology *topology,
                                const char *value) {
    const char *node_text;
    if (strcmp(value, "local") == 0) {
        config->policy = POLICY_LOCAL;
        return NULL;
    }
    if (strcmp(value, "none") == 0) {
        config->policy = POLICY_NONE;
        return NULL;
    }
    if (after_prefix(value, "interleave:") != NULL || after_prefix(value, "weighted:") != NULL)
        return "this version does not interleave";
    if ((node_text = after_prefix(value, "bind:")) != NULL)
        config->policy = POLICY_BIND;
    else if ((node_text = after_prefix(value, "preferred:")) != NULL)
        config->policy = POLICY_PREFERRED;
    else
        return "not a policy";
    uint64_t node;
    if (!parse_unsigned(&node_text, UINT32_MAX, &node) || *node_text != '\0')
        return "not a node number";
    if (node < NODE_IDS_MAX && node_set_has(&topology->forbidden, (unsigned)node))
        return "this process's cpuset does not allow that node";
    if (node >= NODE_IDS_MAX || !node_set_has(&topology->has_memory, (unsigned)node))
        return node < NODE_IDS_MAX && node_set_has(&topology->online, (unsigned)node)
                   ? "that node has no memory"
                   : "there is no such node";
    config->node = (unsigned)node;
    return NULL;
}

static const char *parse_min_size(struct config *config, const struct topology *topology,
                                  const char *value) {
    (void)config, (void)topology;
    uint64_t size;
    if (!parse_unsigned(&value, SIZE_MAX, &size))
        return "not a size";
    if (*value == 'K' || *value == 'M' || *value == 'G')
        value++;
    if (*value != '\0')
        return "not a size";
    return size == 0 ? NULL : "this version applies the policy to every size";
}

static const char *parse_pages(struct config *config, const struct topology *topology,
                               const char *value) {
    (void)config, (void)topology;
    if (strcmp(value, "default") == 0)
        return NULL;
    if (strcmp(value, "thp") == 0 || strcmp(value, "2M") == 0 || strcmp(value, "1G") == 0)
        return "this version leaves the page size to the kernel";
    return "not a page size";
}

static const char *parse_on_error(struct config *config, const struct topology *topology,
                                  const char *value) {
    (void)topology;
    if (strcmp(value, "warn") == 0)
        config->on_error = ON_ERROR_WARN;
    else if (strcmp(value, "abort") == 0)
        config->on_error = ON_ERROR_ABORT;
    else if (strcmp(value, "silent") == 0)
        config->on_error = ON_ERROR_SILENT;
    else
        return "not a reaction";
    return NULL;
}

static const char *parse_stats(struct config *config, const struct topology *topology,
                               const char *value) {
    (void)topology;
    size_t length = strlen(value);
    if (length == 0)
        return "an empty path";
    if (length >= sizeof config->stats_path)
        return "too long a path";
    config->stats = true;
    config->stats_path[0] = '\0';
    if (strcmp(value, "stderr") != 0)
        memcpy(config->stats_path, value, length + 1);
    return NULL;
}

static const char *parse_stats_signal(struct config *config, const struct topology *topology,
                                      const char *value) {
    (void)topology;
    if (strcmp(value, "0") != 0 && strcmp(value, "1") != 0)
        return "neither 0 nor 1";
    config->stats_on_signal = value[0] == '1';
    return NULL;
}

static const char *parse_checks(struct config *config, const struct topology *topology,
                                const char *value) {
    (void)config, (void)topology;
    if (strcmp(value, "off") == 0)
        return NULL;
    return strcmp(value, "on") == 0 ? "this version has no hardened mode" : "neither off nor on";
}

static const struct config_variable {
    const char *name;
    config_parser parse;
    const char *accepted; /* '@' stands for the usable nodes */
} config_variables[] = {
    {"NUMA_ALLOC_POLICY", parse_policy, "bind:N, preferred:N, local or none, with N one of @"},
    {"NUMA_ALLOC_MIN_SIZE", parse_min_size, "0"},
    {"NUMA_ALLOC_PAGES", parse_pages, "default"},
    {"NUMA_ALLOC_ON_ERROR", parse_on_error, "warn, abort or silent"},
    {"NUMA_ALLOC_STATS", parse_stats,
     "stderr, or a path of under 4096 characters (%p: process id)"},
    {"NUMA_ALLOC_STATS_SIGNAL", parse_stats_signal, "0 or 1"},
    {"NUMA_ALLOC_CHECKS", parse_checks, "off"},
};

/* Fills in `config` from the variables, unset ones with their defaults. False: `problem` says which
 * variable cannot be obeyed and why. */
static bool config_read(struct config *config, const struct topology *topology,
                        config_lookup lookup, struct config_problem *problem) {
    memset(config, 0, sizeof *config);
    config->policy = POLICY_BIND;
    int lowest = node_set_next(&topology->has_memory, 0);
    config->node = lowest < 0 ? 0 : (unsigned)lowest;
    for (size_t i = 0; i < sizeof config_variables / sizeof config_variables[0]; i++) {
        const struct config_variable *variable = &config_variables[i];
        const char *value = lookup(variable->name);
        if (value == NULL)
            continue;
        const char *reason = variable->parse(config, topology, value);
        if (reason == NULL)
            continue;
        problem->variable = variable->name;
        problem->value = value;
        problem->reason = reason;
        struct text accepted = {problem->accepted, 0, sizeof problem->accepted - 1};
        for (const char *at = variable->accepted; *at != '\0'; at++) {
            if (*at == '@')
                node_set_format(&topology->has_memory, &accepted);
            else
                text_add_chars(&accepted, at, 1);
        }
        problem->accepted[accepted.length] = '\0';
        return false;
    }
    return true;
}
