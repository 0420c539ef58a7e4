/*
 * Which of a CPU's misses a hardware prefetcher would have foreseen: those that go on a sequence of
 * neighbouring lines, upwards or downwards. It sees misses only, so a line that happens to be
 * cached may be skipped.
 */
#ifndef NUMA_LAB_STREAM_DETECTOR_H
#define NUMA_LAB_STREAM_DETECTOR_H

#include <stdbool.h>
#include <stdint.h>

enum {
    STREAMS = 16,           /* followed at once, each CPU */
    STREAM_LINES_PROVE = 2, /* neighbours that prove a stream: the third line is foreseen */
    STREAM_STEP_MAX = 2,    /* in lines */
};

/* `steps` counts the neighbours so far, upwards if positive, downwards if negative. */
struct stream {
    uint64_t last_line;
    int steps;
};

/* The last gone on first. */
struct stream_detector {
    struct stream stream[STREAMS];
};

static inline bool stream_is_proven(const struct stream *stream) {
    return stream->steps == STREAM_LINES_PROVE || stream->steps == -STREAM_LINES_PROVE;
}

/* Whether `line` goes on `stream`, which is updated then. */
static inline bool stream_goes_on(struct stream *stream, uint64_t line) {
    int64_t step = (int64_t)(line - stream->last_line);

    if (stream->steps >= 0 && step > 0 && step <= STREAM_STEP_MAX)
        stream->steps += stream->steps < STREAM_LINES_PROVE;
    else if (stream->steps <= 0 && step < 0 && step >= -STREAM_STEP_MAX)
        stream->steps -= stream->steps > -STREAM_LINES_PROVE;
    else
        return false;
    stream->last_line = line;
    return true;
}

/* Notes that line number `line` has missed; whether a prefetcher would have foreseen it. A line
 * that goes on no stream begins one, instead of the one that has been quiet for longest. */
static inline bool stream_detect(struct stream_detector *detector, uint64_t line) {
    struct stream moved = {.last_line = line};
    bool foreseen = false;

    for (int place = 0; place < STREAMS; place++) {
        struct stream *stream = &detector->stream[place], here = *stream;

        *stream = moved;
        moved = here;
        if (stream_goes_on(&moved, line)) {
            foreseen = stream_is_proven(&here);
            detector->stream[0] = moved;
            break;
        }
    }
    return foreseen;
}

#endif
