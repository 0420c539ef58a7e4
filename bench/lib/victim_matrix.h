/* Latency under load, every victim beside every aggressor: a victim is a CPU's node and its
 * memory's, and so are the aggressors. */
#ifndef BENCH_VICTIM_MATRIX_H
#define BENCH_VICTIM_MATRIX_H

#include <stdbool.h>

#include "loading.h"
#include "victims.h"

struct victim_matrix {
    struct victim_choice cpus;
    int victim_memory, aggressor_memory; /* nodes; negative: each that may be used */
    bool curves;                         /* all rates and the knees, not idle and full alone */
    const struct loading_plan *plan;
};

/* Measures and reports; every node's memory is placed by libnuma. Returns the exit status. */
int victim_matrix_run(struct session *session, const struct victim_matrix *matrix);

/* The tables for people, a row a victim and a column an aggressor; a session_program's print_table.
 */
void victim_matrix_print(const struct session *session, const struct series *series, size_t count);

#endif
