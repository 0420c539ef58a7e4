#include "options.h"

#include <ctype.h>
#include <getopt.h>
#include <inttypes.h>
#include <string.h>

#include "units.h"

static bool read_value(const struct option_row *row, const char *text, char error[OPTIONS_ERROR]) {
    uint64_t value = 0;
    double percent = 0;
    char least[UNITS_SIZE_TEXT], most[UNITS_SIZE_TEXT];
    switch (row->kind) {
    case OPTION_FLAG:
    case OPTION_TEXT:
        break;
    case OPTION_COUNT:
    case OPTION_COUNT_OR_AUTO:
        if ((row->kind == OPTION_COUNT || strcmp(text, "auto") != 0) &&
            !units_parse_count(text, row->min, row->max, &value)) {
            snprintf(error, OPTIONS_ERROR,
                     "--%s: '%.40s' is not accepted; a whole number from %" PRIu64 " to %" PRIu64
                     "%s is",
                     row->name, text, row->min, row->max,
                     row->kind == OPTION_COUNT ? "" : ", or auto,");
            return false;
        }
        break;
    case OPTION_SIZE:
        if (!units_parse_size(text, &value) || value < row->min || value > row->max) {
            snprintf(
                error, OPTIONS_ERROR,
                "--%s: '%.40s' is not accepted; bytes, or a number with K, M or G (1024-based), "
                "from %s to %s, are",
                row->name, text, units_format_size(row->min, least),
                units_format_size(row->max, most));
            return false;
        }
        break;
    case OPTION_PERCENT:
        if (!units_parse_decimal(text, &percent) || percent < 0.01 || percent > 100) {
            snprintf(error, OPTIONS_ERROR,
                     "--%s: '%.40s' is not accepted; a percentage from 0.01 to 100 is", row->name,
                     text);
            return false;
        }
        break;
    }
    *row->value = (struct option_value){
        .given = true, .value = value, .fraction = percent / 100, .text = text};
    return true;
}

/* words is NULL when none are accepted. */
static bool scan(const struct option_row *rows, size_t count, int argc, char **argv,
                 struct option_words *words, char error[OPTIONS_ERROR]) {
    struct option names[OPTIONS_MAX + 1] = {0};
    size_t help = count;
    for (size_t i = 0; i < count; i++) {
        names[i].name = rows[i].name;
        names[i].has_arg = rows[i].kind == OPTION_FLAG ? no_argument : required_argument;
        names[i].val = 256 + (int)i;
        if (strcmp(rows[i].name, "help") == 0)
            help = i;
    }
    optind = 0; /* glibc: start over, also after an earlier scan */
    opterr = 0;
    for (;;) {
        const char *word = optind < argc && optind > 0 ? argv[optind] : argv[argc > 1 ? 1 : 0];
        int found = getopt_long(argc, argv, "+:h", names, NULL);
        if (found == -1 && words != NULL && optind < argc) {
            words->list[words->count++] = argv[optind++];
            continue;
        }
        if (found == -1)
            break;
        if (found == 'h' && help < count)
            found = 256 + (int)help;
        if (found == ':') {
            snprintf(error, OPTIONS_ERROR, "%.60s: a value is missing; --help says which", word);
            return false;
        }
        if (found < 256) {
            snprintf(error, OPTIONS_ERROR, "%.60s: not an option here; --help lists them", word);
            return false;
        }
        if (!read_value(&rows[found - 256], optarg, error))
            return false;
    }
    if (optind < argc) {
        snprintf(error, OPTIONS_ERROR, "%.60s: only options are accepted; --help lists them",
                 argv[optind]);
        return false;
    }
    return true;
}

static bool parse(const struct option_row *rows, size_t count, int argc, char **argv,
                  struct option_words *words, char error[OPTIONS_ERROR]) {
    if (scan(rows, count, argc, argv, words, error))
        return true;
    for (char *at = error; *at != '\0'; at++)
        if (iscntrl((unsigned char)*at))
            *at = '?';
    return false;
}

bool options_parse(const struct option_row *rows, size_t count, int argc, char **argv,
                   char error[OPTIONS_ERROR]) {
    return parse(rows, count, argc, argv, NULL, error);
}

bool options_parse_words(const struct option_row *rows, size_t count, int argc, char **argv,
                         struct option_words *words, char error[OPTIONS_ERROR]) {
    words->count = 0;
    return parse(rows, count, argc, argv, words, error);
}

bool options_each_word(const char *list,
                       bool (*use)(void *context, const char *word, size_t length), void *context) {
    for (const char *at = list;; at++) {
        size_t length = strcspn(at, ",");
        if (!use(context, at, length))
            return false;
        at += length;
        if (*at == '\0')
            return true;
    }
}

void options_help(FILE *out, const struct option_row *rows, size_t count) {
    for (size_t i = 0; i < count; i++) {
        char left[32];
        snprintf(left, sizeof left, "--%s%s%s", rows[i].name, rows[i].argument != NULL ? " " : "",
                 rows[i].argument != NULL ? rows[i].argument : "");
        const char *line = rows[i].help;
        for (const char *label = left;; label = "") {
            size_t length = strcspn(line, "\n");
            fprintf(out, "  %-20s %.*s\n", label, (int)length, line);
            if (line[length] == '\0')
                break;
            line += length + 1;
        }
    }
}
