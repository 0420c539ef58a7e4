#include "units.h"

#include <inttypes.h>
#include <stdio.h>

/* Reads leading digits and sets *end behind them; false without a digit or on overflow. */
static bool parse_digits(const char *text, uint64_t *value, const char **end) {
    uint64_t number = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (__builtin_mul_overflow(number, (uint64_t)10, &number) ||
            __builtin_add_overflow(number, (uint64_t)(*at - '0'), &number))
            return false;
    }
    *value = number;
    *end = at;
    return at != text;
}

bool units_parse_count(const char *text, uint64_t min, uint64_t max, uint64_t *value) {
    uint64_t number;
    const char *end;
    if (!parse_digits(text, &number, &end) || *end != '\0' || number < min || number > max)
        return false;
    *value = number;
    return true;
}

bool units_parse_decimal(const char *text, double *value) {
    uint64_t whole, part = 0;
    const char *end, *after;
    if (!parse_digits(text, &whole, &end))
        return false;
    double scale = 1;
    if (*end == '.') {
        if (!parse_digits(end + 1, &part, &after))
            return false;
        for (const char *at = end + 1; at < after; at++)
            scale *= 10;
        end = after;
    }
    if (*end != '\0')
        return false;
    *value = (double)whole + (double)part / scale;
    return true;
}

bool units_parse_size(const char *text, uint64_t *size_bytes) {
    uint64_t number;
    const char *end;
    if (!parse_digits(text, &number, &end))
        return false;
    unsigned shift = 0;
    if (*end == 'K' || *end == 'k')
        shift = 10;
    else if (*end == 'M' || *end == 'm')
        shift = 20;
    else if (*end == 'G' || *end == 'g')
        shift = 30;
    if (shift != 0)
        end++;
    if (*end != '\0' || number > UINT64_MAX >> shift)
        return false;
    *size_bytes = number << shift;
    return true;
}

const char *units_format_size(uint64_t size_bytes, char text[UNITS_SIZE_TEXT]) {
    static const char suffix[] = {'\0', 'K', 'M', 'G'};
    unsigned step = 0;
    while (step < 3 && size_bytes != 0 && size_bytes % 1024 == 0) {
        size_bytes /= 1024;
        step++;
    }
    snprintf(text, UNITS_SIZE_TEXT, "%" PRIu64 "%.1s", size_bytes, &suffix[step]);
    return text;
}

const char *units_format_figure(double value, char text[UNITS_FIGURE_TEXT]) {
    int decimals = value < 1 ? 4 : value < 100 ? 2 : value < 10000 ? 1 : 0;
    snprintf(text, UNITS_FIGURE_TEXT, "%.*f", decimals, value);
    return text;
}
