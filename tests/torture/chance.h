/* Where choices come from: a generator's state, or bytes that a fuzzer made up. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct chance {
    uint64_t state;
    const uint8_t *bytes; /* NULL: the generator */
    size_t bytes_left;
};

/* splitmix64's finalizer: Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators",
 * OOPSLA 2014. */
static inline uint64_t chance_mix(uint64_t value) {
    value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
    return value ^ value >> 31;
}

#define CHANCE_STEP UINT64_C(0x9e3779b97f4a7c15)

/* Three numbers make a stream of their own: seed, who, how manieth. */
static inline struct chance chance_of(uint64_t seed, uint64_t who, uint64_t nth) {
    return (struct chance){chance_mix(chance_mix(seed + who * CHANCE_STEP) + nth * CHANCE_STEP),
                           NULL, 0};
}

/* A number below `bound`, which is not 0. Bytes that have run out are 0. */
static inline uint64_t draw(struct chance *chance, uint64_t bound) {
    if (chance->bytes == NULL) {
        chance->state += CHANCE_STEP;
        return (uint64_t)((unsigned __int128)chance_mix(chance->state) * bound >> 64);
    }
    uint64_t number = 0;
    for (uint64_t reach = 1; reach < bound && chance->bytes_left > 0;
         reach = reach > UINT64_MAX >> 8 ? UINT64_MAX : reach << 8) {
        number = number << 8 | *chance->bytes++;
        chance->bytes_left--;
    }
    return number % bound;
}
