#include "csv.h"

#include <string.h>

static void csv_field(FILE *out, const char *text) {
    if (strpbrk(text, ",\"\r\n") == NULL) {
        fputs(text, out);
        return;
    }
    putc('"', out);
    for (; *text != '\0'; text++) {
        if (*text == '"')
            putc('"', out);
        putc(*text, out);
    }
    putc('"', out);
}

void csv_row(FILE *out, const char *const *fields, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            putc(',', out);
        csv_field(out, fields[i]);
    }
    putc('\n', out);
}
