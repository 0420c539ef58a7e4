/* The checks as a table for people and as JSON for scripts. */
#include <ctype.h>
#include <inttypes.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "preflight_checks.h"
#include "topology.h"

#define COLUMNS      100
#define NAME_COLUMNS 15
#define TEXT_COLUMN  (NAME_COLUMNS + 6) /* behind the level */

/* Writes text from the current column, TEXT_COLUMN, on; further lines begin there too. What a file
 * said may hold anything, but no control character reaches a terminal. */
static void print_wrapped(FILE *out, const char *raw) {
    char shown[sizeof(struct preflight_check)];
    const char *text = shown;
    size_t room = COLUMNS - TEXT_COLUMN;
    snprintf(shown, sizeof shown, "%s", raw);
    for (char *at = shown; *at != '\0'; at++)
        if (iscntrl((unsigned char)*at))
            *at = '?';
    while (strlen(text) > room) {
        size_t length = room;
        while (length > 0 && text[length] != ' ')
            length--;
        if (length == 0)
            length = room; /* one long word */
        fprintf(out, "%.*s\n%*s", (int)length, text, TEXT_COLUMN, "");
        text += length + (text[length] == ' ');
    }
    fprintf(out, "%s\n", text);
}

static size_t count_level(const struct preflight_check *checks, size_t count,
                          enum preflight_level level) {
    size_t found = 0;
    for (size_t i = 0; i < count; i++)
        found += checks[i].level == level;
    return found;
}

void preflight_print(FILE *out, const struct preflight_check *checks, size_t count) {
    for (size_t i = 0; i < count; i++) {
        char act[sizeof checks[i].act + 8];
        fprintf(out, "%-*s%-6s", NAME_COLUMNS, checks[i].name,
                preflight_level_name(checks[i].level));
        print_wrapped(out, checks[i].value);
        if (checks[i].meaning[0] != '\0') {
            fprintf(out, "%*s", TEXT_COLUMN, "");
            print_wrapped(out, checks[i].meaning);
        }
        if (checks[i].act[0] != '\0') {
            snprintf(act, sizeof act, "do: %s", checks[i].act);
            fprintf(out, "%*s", TEXT_COLUMN, "");
            print_wrapped(out, act);
        }
    }
    fprintf(out,
            "%zu of %zu checks warn: these disturb the numbers; %zu note what cannot be had or is "
            "good to know\n",
            count_level(checks, count, PREFLIGHT_WARN), count,
            count_level(checks, count, PREFLIGHT_NOTE));
}

/* RFC 8259; a byte that is not ASCII, from a firmware's name, becomes "?". */
static void print_string(FILE *out, const char *text) {
    putc('"', out);
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte == '"' || byte == '\\')
            fprintf(out, "\\%c", byte);
        else if (byte < 0x20)
            fprintf(out, "\\u%04x", byte);
        else
            putc(byte < 0x7F ? byte : '?', out);
    }
    putc('"', out);
}

static void print_fact(FILE *out, const char *key, const char *value) {
    fprintf(out, "    \"%s\": ", key);
    print_string(out, value);
    fputs(",\n", out);
}

static void print_list_fact(FILE *out, const char *key, hwloc_const_bitmap_t list) {
    char text[FILE_TEXT];
    hwloc_bitmap_list_snprintf(text, sizeof text, list);
    print_fact(out, key, text);
}

static void print_nodes(FILE *out, hwloc_topology_t topology) {
    hwloc_obj_t node = NULL;
    const char *comma = "";
    fputs("    \"nodes\": [", out);
    while ((node = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_NUMANODE, node)) != NULL) {
        char cpus[FILE_TEXT];
        bool usable = topology_check_node(topology, node->os_index) == TOPOLOGY_NODE_USABLE;
        hwloc_bitmap_list_snprintf(cpus, sizeof cpus, node->cpuset);
        fprintf(out,
                "%s\n      {\"node\": %u, \"cpus\": \"%s\", \"memory_bytes\": %" PRIu64
                ", \"usable\": %s}",
                comma, node->os_index, cpus, (uint64_t)node->attr->numanode.local_memory,
                usable ? "true" : "false");
        comma = ",";
    }
    fputs("\n    ],\n", out);
}

static void print_topology(FILE *out, hwloc_topology_t topology) {
    hwloc_obj_t package = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_PACKAGE, NULL);
    const char *model = package != NULL ? hwloc_obj_get_info_by_name(package, "CPUModel") : NULL;
    print_fact(out, "cpu_model", model != NULL ? model : "");
    fprintf(out, "    \"packages\": %d,\n    \"cores\": %d,\n    \"cpus\": %d,\n",
            hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_PACKAGE),
            hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_CORE),
            hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_PU));
    fprintf(out, "    \"last_level_cache_bytes\": %" PRIu64 ",\n", topology_cache_bytes(topology));
    print_nodes(out, topology);
}

static void print_machine(FILE *out, const struct preflight_machine *machine,
                          hwloc_topology_t topology) {
    struct utsname name;
    const struct processor *processor = &machine->processor;
    if (uname(&name) == 0) {
        print_fact(out, "host", name.nodename);
        print_fact(out, "kernel", name.release);
        print_fact(out, "architecture", name.machine);
    }
    print_fact(out, "cpu_vendor", processor->vendor);
    fprintf(out, "    \"cpu_family\": %u,\n    \"cpu_model_number\": %u,\n", processor->family,
            processor->model);
    fprintf(out, "    \"invariant_tsc\": %s,\n", processor->invariant_tsc ? "true" : "false");
    print_fact(out, "hypervisor", processor->hypervisor);
    if (topology != NULL)
        print_topology(out, topology);
    print_list_fact(out, "allowed_cpus", machine->cpus);
    print_list_fact(out, "allowed_nodes", machine->nodes);
    fprintf(out, "    \"page_bytes\": %ld\n", sysconf(_SC_PAGESIZE));
}

void preflight_print_json(FILE *out, const struct preflight_machine *machine,
                          hwloc_topology_t topology, const struct preflight_check *checks,
                          size_t count) {
    fputs("{\n  \"machine\": {\n", out);
    print_machine(out, machine, topology);
    fputs("  },\n  \"checks\": [", out);
    for (size_t i = 0; i < count; i++) {
        const char *const texts[][2] = {
            {"value", checks[i].value}, {"meaning", checks[i].meaning}, {"do", checks[i].act}};
        fprintf(out, "%s\n    {\"name\": \"%s\", \"level\": \"%s\"", i > 0 ? "," : "",
                checks[i].name, preflight_level_name(checks[i].level));
        for (size_t text = 0; text < sizeof texts / sizeof texts[0]; text++) {
            fprintf(out, ", \"%s\": ", texts[text][0]);
            print_string(out, texts[text][1]);
        }
        fputs("}", out);
    }
    fputs("\n  ],\n  \"levels\": {", out);
    for (enum preflight_level level = PREFLIGHT_OK; level <= PREFLIGHT_WARN; level++)
        fprintf(out, "%s\"%s\": %zu", level > PREFLIGHT_OK ? ", " : "", preflight_level_name(level),
                count_level(checks, count, level));
    fputs("}\n}\n", out);
}
