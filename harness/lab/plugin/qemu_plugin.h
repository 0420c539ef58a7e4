/*
 * The few declarations of QEMU's plugin interface that are needed, since its header is not packaged
 * (https://www.qemu.org/docs/master/devel/tcg-plugins.html), and the plugins' options.
 */
#ifndef NUMA_LAB_QEMU_PLUGIN_H
#define NUMA_LAB_QEMU_PLUGIN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "line_cache.h"
#include "machine_model.h"

typedef uint64_t qemu_plugin_id_t;
typedef uint32_t qemu_plugin_meminfo_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_hwaddr;
enum { QEMU_PLUGIN_CB_NO_REGS = 0, QEMU_PLUGIN_MEM_RW = 3 };
typedef void qemu_plugin_tb_trans_cb(qemu_plugin_id_t id, struct qemu_plugin_tb *tb);
typedef void qemu_plugin_mem_cb(unsigned cpu, qemu_plugin_meminfo_t info, uint64_t address,
                                void *data);
typedef void qemu_plugin_exit_cb(qemu_plugin_id_t id, void *data);
extern void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
                                                  qemu_plugin_tb_trans_cb *callback);
extern void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn,
                                             qemu_plugin_mem_cb *callback, int flags, int which,
                                             void *data);
extern void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, qemu_plugin_exit_cb *callback,
                                           void *data);
extern uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
extern struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb,
                                                        size_t index);
extern bool qemu_plugin_mem_is_store(qemu_plugin_meminfo_t info);
extern struct qemu_plugin_hwaddr *qemu_plugin_get_hwaddr(qemu_plugin_meminfo_t info,
                                                         uint64_t address);
extern bool qemu_plugin_hwaddr_is_io(const struct qemu_plugin_hwaddr *address);
extern uint64_t qemu_plugin_hwaddr_phys_addr(const struct qemu_plugin_hwaddr *address);

/* 1 up to QEMU 8, 2 from QEMU 9 on; each refuses the other's. lab.sh chooses. */
#ifndef PLUGIN_VERSION
#define PLUGIN_VERSION 1
#endif
__attribute__((visibility("default"))) int qemu_plugin_version = PLUGIN_VERSION;
__attribute__((visibility("default"))) int
qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv);

/* What both plugins are told: machine=FILE (machine_model.h), report=FILE (CSV, written when the
 * machine ends) and cache_bytes=N (of each CPU's cache, optional). */
struct plugin_options {
    const char *machine;
    FILE *report;
    uint64_t cache_bytes;
};

/* The value of "name=value" if `argument` is this option, or NULL. */
static inline const char *option_value(const char *argument, const char *name) {
    size_t length = strlen(name);

    return strncmp(argument, name, length) == 0 && argument[length] == '=' ? argument + length + 1
                                                                           : NULL;
}

/* Takes the options and reads the machine's table. False, with one line on stderr from `plugin`,
 * when that is not possible. */
static inline bool plugin_start(const char *plugin, int argc, char **argv,
                                struct plugin_options *options, struct machine *machine) {
    const char *report = NULL, *value;
    char why[MACHINE_WHY_BYTES];
    FILE *table;
    bool read;

    *options = (struct plugin_options){.cache_bytes = CACHE_BYTES_DEFAULT};
    for (int i = 0; i < argc; i++) {
        if ((value = option_value(argv[i], "machine")) != NULL) {
            options->machine = value;
        } else if ((value = option_value(argv[i], "report")) != NULL) {
            report = value;
        } else if ((value = option_value(argv[i], "cache_bytes")) == NULL ||
                   !machine_number(value, &options->cache_bytes) ||
                   options->cache_bytes < CACHE_BYTES_MIN ||
                   options->cache_bytes > CACHE_BYTES_MAX) {
            fprintf(stderr,
                    "%s: option '%s': accepted are machine=FILE, report=FILE and cache_bytes=%d to "
                    "%d\n",
                    plugin, argv[i], CACHE_BYTES_MIN, CACHE_BYTES_MAX);
            return false;
        }
    }
    if (options->machine == NULL || report == NULL) {
        fprintf(stderr, "%s: needs machine=FILE and report=FILE\n", plugin);
        return false;
    }
    if ((table = fopen(options->machine, "r")) == NULL) {
        fprintf(stderr, "%s: %s: %s\n", plugin, options->machine, strerror(errno));
        return false;
    }
    read = machine_read(machine, table, options->machine, why);
    fclose(table);
    if (!read) {
        fprintf(stderr, "%s: %s\n", plugin, why);
        return false;
    }
    if ((options->report = fopen(report, "w")) == NULL)
        fprintf(stderr, "%s: %s: %s\n", plugin, report, strerror(errno));
    return options->report != NULL;
}

/*
 * Has `access` called with every load and store of guest programs. What the firmware and the kernel
 * do is left alone, also where they read or write a program's memory: it costs no time and counts
 * for nothing. Programs have run from when the kernel has, whose addresses are the upper half.
 */
static inline void watch_programs(struct qemu_plugin_tb *block, qemu_plugin_mem_cb *access) {
    static bool kernel_runs; /* set once and never cleared, so its race is harmless */
    size_t instructions = qemu_plugin_tb_n_insns(block);

    if (is_kernel_address(qemu_plugin_tb_vaddr(block)))
        kernel_runs = true;
    else
        for (size_t i = 0; kernel_runs && i < instructions; i++)
            qemu_plugin_register_vcpu_mem_cb(qemu_plugin_tb_get_insn(block, i), access,
                                             QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW, NULL);
}

#endif
