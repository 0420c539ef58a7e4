/* What this machine allows a benchmark to do, and what will disturb its numbers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "preflight.h"
#include "topology.h"

enum { STATUS_LOOKED = 0, STATUS_FAILED = 1, STATUS_BAD_USAGE = 2 };

struct choices {
    struct option_value json, strict, watch_ms, help;
};

#define ROWS 4

static void fill_rows(struct choices *choices, struct option_row rows[ROWS]) {
    const struct option_row filled[ROWS] = {
        {"json", NULL, "one JSON object instead of the table: machine, checks, levels", OPTION_FLAG,
         0, 0, &choices->json},
        {"strict", NULL, "exit status 1 when a check warns", OPTION_FLAG, 0, 0, &choices->strict},
        {"watch-ms", "N", "watch for other load this long, in ms (default: 500)", OPTION_COUNT, 10,
         60000, &choices->watch_ms},
        {"help", NULL, "this text", OPTION_FLAG, 0, 0, &choices->help},
    };
    memcpy(rows, filled, sizeof filled);
}

static void print_help(const struct option_row *rows) {
    fputs(
        "Usage: preflight [OPTION...]\n"
        "\n"
        "Says what this machine allows a benchmark to do and what on it will disturb the numbers.\n"
        "Changes nothing. A line each: its name, a level, what was found; then what that means\n"
        "and, behind \"do:\", what can be done about it.\n"
        "\n"
        "  ok     nothing to do\n"
        "  note   cannot be had here, or is good to know\n"
        "  warn   will disturb the numbers\n"
        "\n",
        stdout);
    options_help(stdout, rows, ROWS);
    fputs(
        "\nExit status: 0 looked, 1 could not look or, with --strict, a check warns, 2 bad usage.\n",
        stdout);
}

static int fail(const char *what) {
    fprintf(stderr, "preflight: %s\n", what);
    return STATUS_FAILED;
}

static int look(const struct choices *choices) {
    struct preflight_machine machine = {
        .proc = "/proc", .sys = "/sys", .dev = "/dev", .try = preflight_ask_kernel};
    hwloc_topology_t topology = NULL;
    size_t count;
    bool warned = false;
    processor_identify(&machine.processor);
    if (!preflight_open(&machine))
        return fail("out of memory");
    preflight_watch(&machine, choices->watch_ms.value * 1000000);
    struct preflight_check *checks = preflight_run(&machine, &count);
    if (choices->json.given) {
        if (!topology_open(&topology))
            topology = NULL;
        preflight_print_json(stdout, &machine, topology, checks, count);
        if (topology != NULL)
            hwloc_topology_destroy(topology);
    } else {
        preflight_print(stdout, checks, count);
    }
    for (size_t i = 0; i < count; i++)
        warned = warned || checks[i].level == PREFLIGHT_WARN;
    free(checks);
    preflight_close(&machine);
    if (count == 0)
        return fail("out of memory");
    if (fflush(stdout) != 0 || ferror(stdout))
        return fail("cannot write to standard output");
    return choices->strict.given && warned ? STATUS_FAILED : STATUS_LOOKED;
}

int main(int argc, char **argv) {
    struct choices choices = {.watch_ms = {.value = 500}};
    struct option_row rows[ROWS];
    char error[OPTIONS_ERROR];
    fill_rows(&choices, rows);
    if (!options_parse(rows, ROWS, argc, argv, error)) {
        fprintf(stderr, "preflight: %s\n", error);
        return STATUS_BAD_USAGE;
    }
    if (choices.help.given) {
        print_help(rows);
        return fflush(stdout) == 0 && !ferror(stdout) ? STATUS_LOOKED
                                                      : fail("cannot write to standard output");
    }
    return look(&choices);
}
