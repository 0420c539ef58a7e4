/* A fuzz target takes bytes and may do anything with them but go wrong: libFuzzer makes the bytes
 * up (make fuzz), replay.c reads and mutates those that are kept (make check). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* Stops the fuzzer: the input is a finding. */
#define fuzz_expect(condition) ((condition) ? (void)0 : fuzz_fail(#condition, __FILE__, __LINE__))
void fuzz_fail(const char *condition, const char *file, int line) __attribute__((noreturn));

/* Text in the input ends where this byte stands, or with the input. */
#define FUZZ_SEPARATOR 0xff

/* Takes the next text out of the input, at most capacity - 1 bytes of it and no NUL in it. False
 * when nothing is left. */
bool fuzz_text(const uint8_t **bytes, size_t *size, char *text, size_t capacity);

/* A folder of its own, made at first; the same at every call. */
const char *fuzz_folder(void);

/* Writes the next text of the input to each of the files below the folder, whose folders are made;
 * files that nothing is left for are removed, and so are those whose text is the one byte '-'. */
void fuzz_files(const uint8_t **bytes, size_t *size, const char *const *names, size_t count);
