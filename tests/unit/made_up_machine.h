/* A folder that looks like /sys/devices/system/node, so that any machine can be tested on any
 * other. */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct made_up_machine {
    char root[64];
};

static inline void machine_begin(struct made_up_machine *machine) {
    strcpy(machine->root, "/tmp/numa_alloc_machine_XXXXXX");
    assert_non_null(mkdtemp(machine->root));
}

/* Writes a file below the root, making the one folder its name may have. */
static inline void machine_file(const struct made_up_machine *machine, const char *name,
                                const char *text) {
    char path[160];
    const char *slash = strchr(name, '/');
    if (slash != NULL) {
        snprintf(path, sizeof path, "%s/%.*s", machine->root, (int)(slash - name), name);
        (void)mkdir(path, 0755);
    }
    snprintf(path, sizeof path, "%s/%s", machine->root, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static inline void machine_end(const struct made_up_machine *machine) {
    char command[160];
    snprintf(command, sizeof command, "rm -rf '%s'", machine->root);
    assert_int_equal(system(command), 0);
}
