/* Text without allocation: a bounded builder, number parsing, and the one line a mistake gets. */
#pragma once

#include "sys.c"

struct text {
    char *start;
    size_t length;
    size_t capacity;
};

/* Appends and, past the capacity, drops: a line may be cut but never overruns. */
static void text_add_chars(struct text *text, const char *chars, size_t count) {
    size_t room = text->capacity - text->length;
    size_t copied = count < room ? count : room;
    memcpy(text->start + text->length, chars, copied);
    text->length += copied;
}

static void text_add(struct text *text, const char *string) {
    text_add_chars(text, string, strlen(string));
}

static void text_add_unsigned(struct text *text, uint64_t value) {
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    text_add_chars(text, digits + at, sizeof digits - at);
}

static void text_add_signed(struct text *text, int64_t value) {
    if (value < 0)
        text_add(text, "-");
    text_add_unsigned(text, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

/* "errno 12, ENOMEM"; the number alone where libc does not name it (glibc before 2.32). */
static void text_add_errno(struct text *text, int error) {
    const char *name = NULL;
#ifdef __GLIBC_PREREQ
#if __GLIBC_PREREQ(2, 32)
    name = strerrorname_np(error); /* constant text, no locale: allocates nothing */
#endif
#endif
    text_add(text, "errno ");
    text_add_signed(text, error);
    text_add(text, name != NULL ? ", " : "");
    text_add(text, name != NULL ? name : "");
}

static void text_add_hex(struct text *text, uint64_t value) {
    char digits[16];
    size_t at = sizeof digits;
    do {
        digits[--at] = "0123456789abcdef"[value % 16];
        value /= 16;
    } while (value != 0);
    text_add(text, "0x");
    text_add_chars(text, digits + at, sizeof digits - at);
}

/* A user's text as it may stand in a one-line message: printable and at most `most` characters. */
static void text_add_printable(struct text *text, const char *value, size_t most) {
    size_t shown = 0;
    for (; value[shown] != '\0' && shown < most; shown++) {
        char c = value[shown];
        if (c < ' ' || c > '~')
            c = '?';
        text_add_chars(text, &c, 1);
    }
    if (value[shown] != '\0')
        text_add(text, "...");
}

/* A user's value, or as much of it as a message shows. */
static void text_add_quoted(struct text *text, const char *value) {
    text_add_printable(text, value, 80);
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* Reads decimal digits at *cursor up to `max` and moves past them. False: no digit, or too large.
 */
static bool parse_unsigned(const char **cursor, uint64_t max, uint64_t *value) {
    const char *at = *cursor;
    uint64_t number = 0;
    if (!is_digit(*at))
        return false;
    for (; is_digit(*at); at++) {
        uint64_t digit = (uint64_t)(*at - '0');
        if (number > max / 10 || digit > max - number * 10)
            return false;
        number = number * 10 + digit;
    }
    *cursor = at;
    *value = number;
    return true;
}

/* The one line a problem gets on standard error. Written in one call, so that lines do not mix. */
struct message {
    struct text text;
    char chars[512];
};

static void message_begin(struct message *message) {
    message->text = (struct text){message->chars, 0, sizeof message->chars - 1};
    text_add(&message->text, "numa_alloc: ");
}

static void message_send(struct message *message) {
    message->chars[message->text.length] = '\n';
    (void)sys_write_all(STDERR_FILENO, message->chars, message->text.length + 1);
}
