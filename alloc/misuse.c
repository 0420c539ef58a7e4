/* Misuse that cannot be survived: one line that says what, which block, and where in the program it
 * was allocated or freed, then abort, as glibc does. */
#pragma once

#include "runtime.c"

/* The longest path shown of an object that an address is in. */
#define OBJECT_PATH_SHOWN 160

/* A line of /proc/PID/maps, cut to what is needed. */
struct mapping {
    uintptr_t start, end;
    uint64_t file_offset;
    char path[OBJECT_PATH_SHOWN];
};

/* Reads hexadecimal digits at *cursor and moves past them and the character after. */
static uintptr_t parse_hex(const char **cursor) {
    uintptr_t value = 0;
    for (; **cursor != '\0'; ++*cursor) {
        char c = **cursor;
        if (c >= '0' && c <= '9')
            value = value * 16 + (uintptr_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            value = value * 16 + (uintptr_t)(c - 'a') + 10;
        else
            break;
    }
    *cursor += **cursor != '\0';
    return value;
}

/* "start-end perms offset device inode   path" */
static void mapping_parse(struct mapping *mapping, const char *line) {
    mapping->start = parse_hex(&line);
    mapping->end = parse_hex(&line);
    line += strcspn(line, " ");
    line += *line == ' ';
    mapping->file_offset = parse_hex(&line);
    size_t path = strcspn(line, "/[");
    size_t length = strnlen(line + path, sizeof mapping->path - 1);
    memcpy(mapping->path, line + path, length);
    mapping->path[length] = '\0';
}

/* A file read line by line through a small buffer: there may be no memory or stack for more. */
struct line_reader {
    long fd;
    size_t at, length;
    char buffer[512];
};

/* The next line, cut to fit; false at the end. */
static bool read_line(struct line_reader *reader, char *line, size_t capacity) {
    size_t length = 0;
    for (;;) {
        if (reader->at == reader->length) {
            long got = sys_read(reader->fd, reader->buffer, sizeof reader->buffer);
            if (got <= 0)
                return false;
            reader->at = 0;
            reader->length = (size_t)got;
        }
        char c = reader->buffer[reader->at++];
        if (c == '\n')
            break;
        if (length < capacity - 1)
            line[length++] = c;
    }
    line[length] = '\0';
    return true;
}

/* The mapping that holds an address, and where the first mapping of the same file begins. False:
 * none does, or the kernel does not say. */
static bool find_mapping(uintptr_t address, struct mapping *found, uintptr_t *object_start) {
    struct line_reader reader = {sys_open_to_read("/proc/self/maps"), 0, 0, {0}};
    char line[80 + OBJECT_PATH_SHOWN], object[OBJECT_PATH_SHOWN] = "";
    bool is_found = false;
    *object_start = 0;
    while (reader.fd >= 0 && !is_found && read_line(&reader, line, sizeof line)) {
        mapping_parse(found, line);
        if (found->file_offset == 0 && strcmp(found->path, object) != 0) {
            memcpy(object, found->path, sizeof object);
            *object_start = found->start;
        }
        is_found = address >= found->start && address < found->end;
    }
    if (reader.fd >= 0)
        sys_close((int)reader.fd);
    if (is_found && strcmp(found->path, object) != 0)
        *object_start = found->start;
    return is_found;
}

/* "/usr/bin/program+0x12a4", as addr2line(1) reads it; the bare address where it is in no file. */
static void text_add_code(struct text *text, uintptr_t address) {
    struct mapping mapping;
    uintptr_t object_start;
    if (!find_mapping(address, &mapping, &object_start) || mapping.path[0] != '/') {
        text_add_hex(text, address);
        return;
    }
    text_add_printable(text, mapping.path, OBJECT_PATH_SHOWN);
    text_add(text, "+");
    text_add_hex(text, address - object_start);
}

/* What a pointer that no block of ours holds points at: "in [stack]", "in /usr/bin/program",
 * "in memory that others have mapped", "where nothing is mapped". */
static void text_add_whereabouts(struct text *text, const void *pointer) {
    struct mapping mapping;
    uintptr_t object_start;
    if (!find_mapping((uintptr_t)pointer, &mapping, &object_start)) {
        text_add(text, "where nothing is mapped");
    } else if (mapping.path[0] == '\0') {
        text_add(text, "in memory that something else has mapped");
    } else {
        text_add(text, "in ");
        text_add_printable(text, mapping.path, OBJECT_PATH_SHOWN);
    }
}

/* "numa_alloc: freed twice: 0x7f5e4ac00040" */
static void misuse_begin(struct message *message, const char *what, const void *pointer) {
    message_begin(message);
    text_add(&message->text, what);
    text_add(&message->text, ": ");
    text_add_hex(&message->text, (uintptr_t)pointer);
}

__attribute__((noreturn)) static void misuse_end(struct message *message) {
    message_send(message);
    sys_abort();
}

__attribute__((noreturn)) static slow_path void die_of_misuse(const char *what,
                                                              const void *pointer) {
    struct message message;
    misuse_begin(&message, what, pointer);
    misuse_end(&message);
}
