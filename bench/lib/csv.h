/* Rows of RFC 4180 text, but with LF line ends, as Unix tools expect and CSV readers accept. */
#ifndef BENCH_CSV_H
#define BENCH_CSV_H

#include <stddef.h>
#include <stdio.h>

/* Writes one row. A field with a comma, a quote, CR or LF is quoted, its quotes doubled.
 * A failed write shows in ferror(out). */
void csv_row(FILE *out, const char *const *fields, size_t count);

#endif
