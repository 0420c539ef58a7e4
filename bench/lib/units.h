/* Numbers as people write them on a command line, and back. */
#ifndef BENCH_UNITS_H
#define BENCH_UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads a whole number in [min, max]: decimal digits only, no sign, space or prefix.
 * Returns false, and leaves *value alone, for anything else. */
bool units_parse_count(const char *text, uint64_t min, uint64_t max, uint64_t *value);

/* Reads a size in bytes: decimal digits and at most one of K, M, G (1024-based, either case).
 * Returns false, and leaves *size_bytes alone, for anything else and for what overflows 64 bits. */
bool units_parse_size(const char *text, uint64_t *size_bytes);

/* Reads a decimal number such as "1" or "0.25": digits and at most one point between them, no sign,
 * space or exponent, the same in every locale. Returns false, and leaves *value alone, for anything
 * else. */
bool units_parse_decimal(const char *text, double *value);

/* Room for any size that units_format_size writes. */
#define UNITS_SIZE_TEXT 24

/* Writes a size so that units_parse_size reads the same number back: "256M", "1000". */
const char *units_format_size(uint64_t size_bytes, char text[UNITS_SIZE_TEXT]);

/* Room for any number that units_format_figure writes. */
#define UNITS_FIGURE_TEXT 32

/* Writes a measured value with four digits or so, however large. */
const char *units_format_figure(double value, char text[UNITS_FIGURE_TEXT]);

#endif
