/* Rows of samples.csv: quoting, columns, what stays empty. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "bench/lib/clock.h"
#include "bench/lib/csv.h"
#include "bench/lib/samples.h"

static char text[2048];

static FILE *open_text(void) {
    memset(text, 0, sizeof text);
    FILE *out = fmemopen(text, sizeof text, "w");
    assert_non_null(out);
    return out;
}

static void quotes_only_what_needs_it(void **state) {
    const char *const fields[] = {"plain",      "",     "a,b",     "say \"x\"",
                                  "two\nlines", "cr\r", "space ok"};
    FILE *out = open_text();
    (void)state;
    csv_row(out, fields, 7);
    fclose(out);
    assert_string_equal(text,
                        "plain,,\"a,b\",\"say \"\"x\"\"\",\"two\nlines\",\"cr\r\",space ok\n");
}

static void header_has_the_columns_in_order(void **state) {
    FILE *out = open_text();
    (void)state;
    samples_write_header(out);
    fclose(out);
    assert_string_equal(text, "run,host,round,cell,bench,metric,unit,cpu,cpu_node,mem_node,"
                              "allocator,policy,pages,threads,size_bytes,variant,value,placement,"
                              "placed_fraction,started_at,isa,value_write_allocate,"
                              "value_at_controller,other_cpu,other_cpu_node,other_mem_node,"
                              "pages_on_nodes,disturbed,ci_low,ci_high,spread,stopped_by,proof,"
                              "status,reason\n");
}

static struct samples_row example(void) {
    return (struct samples_row){
        .host = "box",
        .bench = "latency",
        .metric = "load_latency",
        .unit = "ns",
        .variant = "random",
        .cpu = 3,
        .cpu_node = 8,
        .mem_node = 252,
        .allocator = "numa_alloc",
        .policy = "bind:252",
        .pages = "default",
        .threads = 1,
        .size_bytes = 268435456,
        .value = 236.25,
        .placement = {PLACEMENT_VERIFIED, 0.9995, 0},
        .started_at = 1795353706,
        .isa = "avx2",
        .write_allocate = 354.375,
        .at_controller = 360,
        .other_cpu = 7,
        .other_cpu_node = 1,
        .other_mem_node = 0,
        .pages_on_nodes = "N252=65536",
        .disturbed = "preempted",
        .ci_low = 236,
        .ci_high = 237,
        .spread = 0.003174,
        .stopped_by = "precision",
        .proof = "one ring, 8 x the caches",
        .status = "ok",
        .reason = "",
    };
}

static void row_holds_every_column(void **state) {
    struct samples_row row = example();
    FILE *out = open_text();
    (void)state;
    samples_write_row(out, &row);
    fclose(out);
    assert_string_equal(text, ",box,,,latency,load_latency,ns,3,8,252,numa_alloc,bind:252,default,"
                              "1,268435456,random,236.25,verified,0.9995,2026-11-22T13:21:46Z,"
                              "avx2,354.375,360,7,1,0,N252=65536,preempted,236,237,0.003174,"
                              "precision,\"one ring, 8 x the caches\",ok,\n");
}

/* A fraction nobody measured is no 0, and a node nobody knows is no -1. */
static void unknowns_are_empty(void **state) {
    struct samples_row row = example();
    FILE *out = open_text();
    (void)state;
    row.cpu_node = row.mem_node = -1;
    row.policy = "interleave:0,2-3";
    row.placement = (struct placement_verdict){.status = PLACEMENT_UNVERIFIED};
    row.isa = row.disturbed = row.proof = row.pages_on_nodes = NULL;
    row.write_allocate = row.at_controller = row.ci_low = row.ci_high = 0;
    row.other_cpu = row.other_cpu_node = row.other_mem_node = -1;
    samples_write_row(out, &row);
    fclose(out);
    assert_string_equal(
        text, ",box,,,latency,load_latency,ns,3,,,numa_alloc,\"interleave:0,2-3\",default,"
              "1,268435456,random,236.25,unverified,,2026-11-22T13:21:46Z,,,,,,,,,,,,"
              "precision,,ok,\n");
}

static void utc_is_iso_8601(void **state) {
    char utc[CLOCK_UTC_TEXT];
    (void)state;
    assert_string_equal(clock_utc(0, utc), "1970-01-01T00:00:00Z");
    assert_string_equal(clock_utc(1709164800, utc), "2024-02-29T00:00:00Z");
}

static void clock_does_not_go_back(void **state) {
    uint64_t last = clock_ns();
    (void)state;
    for (int i = 0; i < 1000; i++) {
        uint64_t now = clock_ns();
        assert_true(now >= last);
        last = now;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quotes_only_what_needs_it),
        cmocka_unit_test(header_has_the_columns_in_order),
        cmocka_unit_test(row_holds_every_column),
        cmocka_unit_test(unknowns_are_empty),
        cmocka_unit_test(utc_is_iso_8601),
        cmocka_unit_test(clock_does_not_go_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
