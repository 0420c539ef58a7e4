/* Which sections the lab's counting plugin reports, on a made-up machine of one CPU. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <unistd.h>

#include "harness/lab/plugin/count.c"

/* What the plugin calls of QEMU: a guest's addresses are the machine's, and no code is translated.
 */
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, qemu_plugin_tb_trans_cb *callback) {
    (void)id;
    (void)callback;
}

void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn, qemu_plugin_mem_cb *callback,
                                      int flags, int which, void *data) {
    (void)insn;
    (void)callback;
    (void)flags;
    (void)which;
    (void)data;
}

void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, qemu_plugin_exit_cb *callback,
                                    void *data) {
    (void)id;
    (void)callback;
    (void)data;
}

uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *block) {
    (void)block;
    return 0;
}

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block) {
    (void)block;
    return 0;
}

struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t at) {
    (void)block;
    (void)at;
    return NULL;
}

enum { LOAD, STORE };

bool qemu_plugin_mem_is_store(qemu_plugin_meminfo_t info) {
    return info == STORE;
}

static uint64_t accessed;

struct qemu_plugin_hwaddr *qemu_plugin_get_hwaddr(qemu_plugin_meminfo_t info, uint64_t address) {
    (void)info;
    accessed = address;
    return (struct qemu_plugin_hwaddr *)&accessed;
}

bool qemu_plugin_hwaddr_is_io(const struct qemu_plugin_hwaddr *address) {
    (void)address;
    return false;
}

uint64_t qemu_plugin_hwaddr_phys_addr(const struct qemu_plugin_hwaddr *address) {
    return *(const uint64_t *)(const void *)address;
}

/* --- a machine, and what its program does ------------------------------------------------------
 */

static char machine_file[] = "/tmp/numa_lab-count.XXXXXX",
            report_file[] = "/tmp/numa_lab-count.XXXXXX";

static int make_files(void **state) {
    static const char table[] =
        "cpu 0 0\nmemory 0 0x0 65536\nlatency 0 0 1000\nbandwidth 0 0 1000000\n";
    int file = mkstemp(machine_file);

    (void)state;
    if (file < 0 || write(file, table, sizeof table - 1) != (ssize_t)sizeof table - 1)
        return -1;
    close(file);
    close(mkstemp(report_file));
    return 0;
}

static int remove_files(void **state) {
    (void)state;
    unlink(machine_file);
    unlink(report_file);
    return 0;
}

static int boot(void **state) {
    char machine[64], report[64];
    char *options[] = {machine, report};

    (void)state;
    snprintf(machine, sizeof machine, "machine=%s", machine_file);
    snprintf(report, sizeof report, "report=%s", report_file);
    memset(&count, 0, sizeof count);
    return qemu_plugin_install(0, NULL, 2, options);
}

static void begin(unsigned section) {
    access_memory(0, STORE, COUNT_MARK_ADDRESS + section, NULL);
}

static void end(unsigned section) {
    access_memory(0, STORE, COUNT_MARK_ADDRESS + COUNT_MARK_SECTIONS + section, NULL);
}

static void load_lines(unsigned lines) {
    for (unsigned line = 0; line < lines; line++)
        access_memory(0, LOAD, (uint64_t)line * LINE_BYTES, NULL);
}

/* Ends the machine. The report's rows must be these, and so what it says on stderr. */
static void assert_report(const char *rows, const char *said) {
    static const char header[] = "section,cpu,cpu_node,mem_node,loads,stores,transfers\n";
    char text[512];
    FILE *errors = tmpfile(), *report;
    int stderr_was = dup(STDERR_FILENO);

    assert_non_null(errors);
    dup2(fileno(errors), STDERR_FILENO);
    write_report(0, NULL);
    fflush(stderr);
    dup2(stderr_was, STDERR_FILENO);
    close(stderr_was);
    rewind(errors);
    text[fread(text, 1, sizeof text - 1, errors)] = 0;
    fclose(errors);
    assert_string_equal(text, said);
    report = fopen(report_file, "r");
    assert_non_null(report);
    text[fread(text, 1, sizeof text - 1, report)] = 0;
    fclose(report);
    assert_memory_equal(text, header, sizeof header - 1);
    assert_string_equal(text + sizeof header - 1, rows);
}

static void without_marks_everything_is_counted(void **state) {
    (void)state;
    load_lines(5);
    assert_report("-1,0,0,0,5,0,0\n", "");
}

static void a_section_counts_what_is_between_its_marks(void **state) {
    (void)state;
    load_lines(5);
    begin(3);
    load_lines(7);
    end(3);
    load_lines(11);
    begin(3);
    load_lines(2);
    end(3);
    assert_report("3,0,0,0,9,0,0\n", "");
}

static void a_section_without_an_end_is_left_out_and_said(void **state) {
    (void)state;
    load_lines(5);
    begin(3);
    load_lines(7);
    assert_report(
        "", "count: left out what was counted in section 3: begun and not ended by its program\n");
}

static void a_section_that_was_ended_once_keeps_that(void **state) {
    (void)state;
    begin(2);
    load_lines(7);
    end(2);
    begin(2); /* and its program dies */
    load_lines(9);
    begin(2);
    load_lines(4);
    end(2);
    begin(5);
    assert_report("2,0,0,0,11,0,0\n", "count: left out what was counted in section 2 and others: "
                                      "begun and not ended by its program\n");
}

static void an_end_without_a_beginning_is_none(void **state) {
    (void)state;
    load_lines(5);
    end(4);
    assert_report("-1,0,0,0,5,0,0\n", "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(without_marks_everything_is_counted, boot),
        cmocka_unit_test_setup(a_section_counts_what_is_between_its_marks, boot),
        cmocka_unit_test_setup(a_section_without_an_end_is_left_out_and_said, boot),
        cmocka_unit_test_setup(a_section_that_was_ended_once_keeps_that, boot),
        cmocka_unit_test_setup(an_end_without_a_beginning_is_none, boot),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
