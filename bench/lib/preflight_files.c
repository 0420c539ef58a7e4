#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "preflight_checks.h"
#include "topology.h"

static bool read_text(char text[FILE_TEXT], const char *format, va_list arguments) {
    char path[FILE_TEXT];
    text[0] = '\0';
    if (vsnprintf(path, sizeof path, format, arguments) >= (int)sizeof path)
        return false;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    size_t length = fread(text, 1, FILE_TEXT - 1, file);
    bool good = ferror(file) == 0;
    fclose(file);
    while (length > 0 && text[length - 1] == '\n')
        length--;
    text[good ? length : 0] = '\0';
    return good;
}

bool file_text(char text[FILE_TEXT], const char *path_format, ...) {
    va_list arguments;
    va_start(arguments, path_format);
    bool good = read_text(text, path_format, arguments);
    va_end(arguments);
    return good;
}

bool file_number(long long *number, const char *path_format, ...) {
    char text[FILE_TEXT], *end;
    va_list arguments;
    va_start(arguments, path_format);
    bool good = read_text(text, path_format, arguments);
    va_end(arguments);
    if (!good || text[0] == '\0')
        return false;
    *number = strtoll(text, &end, 10);
    return end != text && (*end == '\0' || isspace((unsigned char)*end));
}

hwloc_bitmap_t file_list(const char *path_format, ...) {
    char text[FILE_TEXT];
    va_list arguments;
    va_start(arguments, path_format);
    bool good = read_text(text, path_format, arguments);
    va_end(arguments);
    hwloc_bitmap_t list = good ? hwloc_bitmap_alloc() : NULL;
    if (list != NULL && text[0] != '\0' && !topology_parse_cpus(text, list)) {
        hwloc_bitmap_free(list);
        return NULL;
    }
    return list;
}

bool file_exists(const char *path_format, ...) {
    char path[FILE_TEXT];
    va_list arguments;
    va_start(arguments, path_format);
    vsnprintf(path, sizeof path, path_format, arguments);
    va_end(arguments);
    return access(path, F_OK) == 0;
}

bool line_value(const char *text, const char *key, char value[FILE_TEXT]) {
    size_t key_length = strlen(key);
    for (const char *line = text; line != NULL && *line != '\0'; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, key_length) != 0)
            continue;
        line += key_length;
        line += strspn(line, " \t:");
        size_t length = strcspn(line, "\n");
        memcpy(value, line, length);
        value[length] = '\0';
        return true;
    }
    return false;
}

const char *list_text(hwloc_const_bitmap_t list, char text[LIST_TEXT]) {
    if (list == NULL)
        return "?";
    if (hwloc_bitmap_list_snprintf(text, LIST_TEXT, list) >= LIST_TEXT)
        strcpy(text + LIST_TEXT - 4, "...");
    return text[0] == '\0' ? "none" : text;
}

void check_value(struct preflight_check *check, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(check->value, sizeof check->value, format, arguments);
    va_end(arguments);
}

void check_meaning(struct preflight_check *check, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(check->meaning, sizeof check->meaning, format, arguments);
    va_end(arguments);
}

void check_act(struct preflight_check *check, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(check->act, sizeof check->act, format, arguments);
    va_end(arguments);
}

void text_append(char *text, size_t size, const char *format, ...) {
    size_t length = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + length, size - length, format, arguments);
    va_end(arguments);
}
