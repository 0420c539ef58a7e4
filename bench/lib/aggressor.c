#include "aggressor.h"

#include <stdio.h>
#include <string.h>

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

#include "clock.h"
#include "units.h"

/* Lines between two looks at `stop`, and until the next count, without a pace: few beside what is
 * moved in a span of a sample, also in an emulator that takes 1 us a line. */
#define UNPACED_LINES 16

static unsigned common_factor(unsigned one, unsigned other) {
    return other == 0 ? one : common_factor(other, one % other);
}

bool aggressor_mix_parse(const char *text, struct aggressor_mix *mix) {
    static const char suffix[] = "-nt";
    char words[AGGRESSOR_MIX_TEXT];
    uint64_t reads, writes;
    size_t length = strlen(text);
    if (length >= sizeof words)
        return false;
    memcpy(words, text, length + 1);
    size_t suffix_length = sizeof suffix - 1;
    bool non_temporal =
        length >= suffix_length && strcmp(words + length - suffix_length, suffix) == 0;
    if (non_temporal)
        words[length - suffix_length] = '\0';
    char *colon = strchr(words, ':');
    if (colon == NULL)
        return false;
    *colon = '\0';
    if (!units_parse_count(words, 0, AGGRESSOR_MIX_MAX, &reads) ||
        !units_parse_count(colon + 1, 0, AGGRESSOR_MIX_MAX, &writes) || reads + writes == 0)
        return false;
    unsigned factor = common_factor((unsigned)reads, (unsigned)writes);
    *mix = (struct aggressor_mix){
        .reads = (unsigned)reads / factor,
        .writes = (unsigned)writes / factor,
        .non_temporal = non_temporal && writes > 0,
    };
    return true;
}

const char *aggressor_mix_name(const struct aggressor_mix *mix, char text[AGGRESSOR_MIX_TEXT]) {
    snprintf(text, AGGRESSOR_MIX_TEXT, "%u:%u%s", mix->reads, mix->writes,
             mix->non_temporal ? "-nt" : "");
    return text;
}

double aggressor_mix_traffic(const struct aggressor_mix *mix) {
    return mix->non_temporal ? 1 : 1 + (double)mix->writes / (double)(mix->reads + mix->writes);
}

size_t aggressor_due(struct aggressor_pace *pace, uint64_t now_ns) {
    if (now_ns <= pace->started_ns)
        return 0;
    double due = (double)(now_ns - pace->started_ns) * pace->lines_per_ns - pace->given;
    if (!(due >= (double)pace->burst))
        return 0;
    double most = (double)pace->burst * AGGRESSOR_BACKLOG_BURSTS;
    if (due > most) {
        pace->given += due - most;
        due = most;
    }
    size_t lines = (size_t)due;
    pace->given += (double)lines;
    return lines;
}

size_t aggressor_burst(double idle_ns, double lines_per_ns) {
    double lines = idle_ns / 2 * lines_per_ns;
    return lines < 1 ? 1 : lines > 64 ? 64 : (size_t)lines;
}

bool aggressor_lay(struct aggressor *aggressor, const struct aggressor_mix *mix, char *memory,
                   size_t size_bytes) {
    size_t lines = size_bytes / AGGRESSOR_LINE_BYTES;
    size_t read_lines = lines * mix->reads / (mix->reads + mix->writes);
    if (mix->reads > 0 && read_lines == 0)
        return false;
    if (mix->writes > 0 && lines == read_lines)
        return false;
    size_t read_bytes = read_lines * AGGRESSOR_LINE_BYTES;
    aggressor->mix = *mix;
    aggressor->phase = 0;
    aggressor->read = (struct aggressor_walk){.memory = memory, .size_bytes = read_bytes};
    aggressor->write = (struct aggressor_walk){
        .memory = memory + read_bytes, .size_bytes = lines * AGGRESSOR_LINE_BYTES - read_bytes};
    return true;
}

/* The whole line, past the caches. */
static void store_line_past_caches(char *line) {
#if defined(__x86_64__)
    for (size_t i = 0; i < AGGRESSOR_LINE_BYTES; i += sizeof(__m128i))
        _mm_stream_si128((__m128i *)(void *)(line + i), _mm_setzero_si128());
#elif defined(__aarch64__)
    __asm__ volatile("stnp xzr, xzr, [%0]\n\t"
                     "stnp xzr, xzr, [%0, #16]\n\t"
                     "stnp xzr, xzr, [%0, #32]\n\t"
                     "stnp xzr, xzr, [%0, #48]"
                     :
                     : "r"(line)
                     : "memory");
#else
    memset(line, 0, AGGRESSOR_LINE_BYTES);
#endif
}

static size_t line_after(size_t at, size_t size_bytes) {
    at += AGGRESSOR_LINE_BYTES;
    return at < size_bytes ? at : 0;
}

/* Moves lines, the reads and writes of the mix spread evenly; volatile, so that each is one load or
 * one store. */
static void move_lines(struct aggressor *aggressor, size_t count) {
    const struct aggressor_mix mix = aggressor->mix;
    struct aggressor_walk read = aggressor->read, write = aggressor->write;
    unsigned phase = aggressor->phase;
    for (size_t i = 0; i < count; i++) {
        phase += mix.writes;
        if (phase < mix.reads + mix.writes) {
            (void)*(const volatile uint64_t *)(const void *)(read.memory + read.at);
            read.at = line_after(read.at, read.size_bytes);
            continue;
        }
        phase -= mix.reads + mix.writes;
        if (mix.non_temporal)
            store_line_past_caches(write.memory + write.at);
        else
            *(volatile uint64_t *)(void *)(write.memory + write.at) = write.at;
        write.at = line_after(write.at, write.size_bytes);
    }
    aggressor->read.at = read.at;
    aggressor->write.at = write.at;
    aggressor->phase = phase;
    uint64_t lines = atomic_load_explicit(&aggressor->lines, memory_order_relaxed);
    atomic_store_explicit(&aggressor->lines, lines + count, memory_order_relaxed);
}

/* Lets a second thread on the same core run while this one waits. */
static void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

void aggressor_run(struct aggressor *aggressor, struct aggressor_pace *pace,
                   const atomic_bool *stop) {
    while (!atomic_load_explicit(stop, memory_order_relaxed)) {
        size_t lines = pace == NULL ? UNPACED_LINES : aggressor_due(pace, clock_ns());
        if (lines > 0)
            move_lines(aggressor, lines);
        else
            relax();
    }
}
