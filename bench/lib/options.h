/* Command-line options from one table: a row drives parsing, checking and --help. */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum option_kind {
    OPTION_FLAG,          /* takes no value */
    OPTION_COUNT,         /* a whole number */
    OPTION_COUNT_OR_AUTO, /* the same, or "auto": the value is then 0 */
    OPTION_SIZE,          /* bytes, with K, M or G */
    OPTION_PERCENT,       /* a number such as 1 or 0.5, from 0.01 to 100 */
    OPTION_TEXT,          /* anything: the program reads it */
};

struct option_value {
    bool given;
    uint64_t value;   /* of COUNT and SIZE; what stands here before parsing is the default */
    double fraction;  /* of PERCENT: 0.01 for "1" */
    const char *text; /* of TEXT */
};

struct option_row {
    const char *name;     /* long name, without the dashes */
    const char *argument; /* what --help calls the value: "N", "SIZE"; NULL for a flag */
    const char *help;     /* what it does, unit and default; may hold line breaks */
    enum option_kind kind;
    uint64_t min, max; /* accepted values of COUNT and SIZE */
    struct option_value *value;
};

#define OPTIONS_MAX   24
#define OPTIONS_ERROR 256

/* Reads argv into the rows' values; the last of a repeated option counts. "-h" is "--help" when a
 * row has that name. Returns false with one line in error (no line break, no program name) for an
 * unknown option, a missing or bad value or a stray argument. At most OPTIONS_MAX rows. */
bool options_parse(const struct option_row *rows, size_t count, int argc, char **argv,
                   char error[OPTIONS_ERROR]);

/* The words of a command line that are neither options nor their values, in order. */
struct option_words {
    const char **list; /* room for argc, the caller's */
    size_t count;
};

/* The same, but words are accepted, before, between and after the options. */
bool options_parse_words(const struct option_row *rows, size_t count, int argc, char **argv,
                         struct option_words *words, char error[OPTIONS_ERROR]);

/* Goes through the words of a list with commas, empty ones included; `use` says whether it takes
 * one. False when it does not; the rest is then left. */
bool options_each_word(const char *list,
                       bool (*use)(void *context, const char *word, size_t length), void *context);

/* Writes one paragraph a row. */
void options_help(FILE *out, const struct option_row *rows, size_t count);

#endif
