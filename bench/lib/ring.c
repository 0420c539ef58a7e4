#include "ring.h"

#include <errno.h>
#include <stdlib.h>

/* SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): full period, one word of state. */
static uint64_t next_random(uint64_t *state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* What a pointer's place follows from. */
struct layout {
    char *memory;
    size_t slot_bytes, laps;
    unsigned lap_bits; /* laps is 2 to that */
    bool in_order;
};

/* The pointer of a slot in a lap. Which line a slot begins with is the top of a multiplicative hash
 * of its number, so that each lap uses all sets of a cache; in order it is the lap's, or the stride
 * would be none. The lap's number is turned by a bit: the other line of a 128-byte pair comes half
 * of the laps later, when what a pair prefetcher brought in with it is long gone. */
static void **lap_pointer(const struct layout *layout, size_t slot, size_t lap) {
    size_t line = 0;
    if (layout->lap_bits > 0) {
        line = (lap << 1 | lap >> (layout->lap_bits - 1)) & (layout->laps - 1);
        if (!layout->in_order)
            line ^= (size_t)(((uint64_t)slot * 0x9e3779b97f4a7c15u) >> (64 - layout->lap_bits));
    }
    return (void **)(void *)(layout->memory + slot * layout->slot_bytes + line * RING_LINE_BYTES);
}

/* Fills next[0..count) with a random permutation that is one cycle, of numbers from `base` on. */
static void permute(uint32_t *next, size_t count, size_t base, uint64_t *seed) {
    for (size_t i = 0; i < count; i++)
        next[i] = (uint32_t)(base + i);
    for (size_t i = count - 1; i > 0; i--) {
        /* Below i, never i itself: that is what makes it one cycle. */
        size_t j = (size_t)(((next_random(seed) >> 32) * i) >> 32);
        uint32_t swapped = next[i];
        next[i] = next[j];
        next[j] = swapped;
    }
}

/* Makes the cycles of all groups one: where a group's cycle comes back to its first slot, it goes
 * on to the first slot of the group that a random cycle of groups says. False without memory. */
static bool join_groups(uint32_t *next, size_t groups, size_t group_slots, uint64_t *seed) {
    uint32_t *next_group = malloc(groups * sizeof *next_group);
    if (next_group == NULL)
        return false;
    permute(next_group, groups, 0, seed);
    for (size_t group = 0; group < groups; group++) {
        size_t first = group * group_slots, last = first;
        while (next[last] != first) /* within the group, which may be shorter if it is the last */
            last++;
        next[last] = (uint32_t)(next_group[group] * group_slots);
    }
    free(next_group);
    return true;
}

/* The order of a lap. NULL without memory. */
static uint32_t *order_slots(size_t slots, size_t group_slots, bool in_order, uint64_t seed) {
    uint32_t *next = malloc(slots * sizeof *next);
    if (next == NULL)
        return NULL;
    if (in_order) {
        for (size_t i = 0; i < slots; i++)
            next[i] = (uint32_t)(i + 1 < slots ? i + 1 : 0);
        return next;
    }
    for (size_t first = 0; first < slots; first += group_slots)
        permute(next + first, slots - first < group_slots ? slots - first : group_slots, first,
                &seed);
    size_t groups = (slots + group_slots - 1) / group_slots;
    if (groups > 1 && !join_groups(next, groups, group_slots, &seed)) {
        free(next);
        return NULL;
    }
    return next;
}

/* Where on the ring, in loads from its beginning, a start is. */
static size_t start_at(const struct ring *ring, size_t start) {
    return (size_t)((unsigned __int128)ring->lines * start / RING_STARTS);
}

/* Walks one lap of the table, and notes the slots of all starts on the way: at most RING_STARTS
 * different places in a lap. */
static void find_starts(struct ring *ring, const struct layout *layout, const uint32_t *next) {
    size_t slot = 0, at = 0;
    for (;;) {
        size_t nearest = ring->slots; /* the next place on the lap that is some start's */
        for (size_t start = 0; start < RING_STARTS; start++) {
            size_t load = start_at(ring, start), place = load % ring->slots;
            if (place == at)
                ring->starts[start] = lap_pointer(layout, slot, load / ring->slots);
            else if (place > at && place < nearest)
                nearest = place;
        }
        if (nearest == ring->slots)
            return;
        for (; at < nearest; at++)
            slot = next[slot];
    }
}

int ring_lay(struct ring *ring, void *memory, size_t size_bytes, const struct ring_shape *shape,
             uint64_t seed) {
    size_t group_bytes =
        shape->group_bytes > 0 && shape->group_bytes < size_bytes && !shape->in_order
            ? shape->group_bytes
            : size_bytes;
    size_t group_slots = group_bytes / shape->slot_bytes;
    if (group_slots == 0)
        return EINVAL;
    size_t slots = size_bytes / shape->slot_bytes;
    if (slots < 2 || slots > UINT32_MAX)
        return EINVAL;
    size_t laps = shape->slot_bytes / RING_LINE_BYTES;
    const struct layout layout = {memory, shape->slot_bytes, laps, (unsigned)__builtin_ctzl(laps),
                                  shape->in_order};
    uint32_t *next = order_slots(slots, group_slots, shape->in_order, seed);
    if (next == NULL)
        return ENOMEM;
    for (size_t slot = 0; slot < slots; slot++) {
        /* The cycle comes back to slot 0, which is where a lap ends and the next begins. */
        size_t step = next[slot] == 0 ? 1 : 0;
        for (size_t lap = 0; lap < laps; lap++)
            *lap_pointer(&layout, slot, lap) =
                lap_pointer(&layout, next[slot], (lap + step) % laps);
    }
    *ring = (struct ring){
        .memory = memory, .size_bytes = size_bytes, .slots = slots, .lines = slots * laps};
    find_starts(ring, &layout, next);
    free(next);
    return 0;
}

int ring_build(struct ring *ring, void *memory, size_t size_bytes, uint64_t seed) {
    return ring_lay(ring, memory, size_bytes, &(struct ring_shape){.slot_bytes = RING_SLOT_BYTES},
                    seed);
}

static bool is_line_inside(const struct ring *ring, void **at) {
    uintptr_t offset = (uintptr_t)at - (uintptr_t)ring->memory;
    return offset < ring->size_bytes && offset % RING_LINE_BYTES == 0;
}

bool ring_is_whole(const struct ring *ring) {
    void **at[RING_STARTS];
    size_t left[RING_STARTS], most = 0; /* loads to the next start */
    for (size_t start = 0; start < RING_STARTS; start++) {
        at[start] = ring->starts[start];
        left[start] = start_at(ring, start + 1) - start_at(ring, start);
        if (left[start] > most)
            most = left[start];
    }
    for (size_t loads = 0; loads < most; loads++) {
        for (size_t start = 0; start < RING_STARTS; start++) {
            if (loads >= left[start])
                continue;
            at[start] = *at[start];
            if (!is_line_inside(ring, at[start]))
                return false;
            /* Back at the beginning before the end. */
            if (at[start] == ring->starts[0] && start_at(ring, start) + loads + 1 != ring->lines)
                return false;
        }
    }
    for (size_t start = 0; start < RING_STARTS; start++)
        if (at[start] != ring->starts[(start + 1) % RING_STARTS])
            return false;
    return true;
}

void **ring_chase(void **at, size_t loads) {
    for (size_t done = 0; done < loads; done += RING_UNROLL) {
#pragma GCC unroll 64
        for (int i = 0; i < RING_UNROLL; i++)
            at = *at;
    }
    return at;
}

/* With `chains` known where it is inlined, the pointers are in registers, as far as there are. */
static inline __attribute__((always_inline)) void chase(void **at[RING_STARTS], size_t chains,
                                                        size_t loads) {
    void **local[RING_STARTS];
#pragma GCC unroll 16
    for (size_t chain = 0; chain < chains; chain++)
        local[chain] = at[chain];
    for (size_t done = 0; done < loads; done += RING_UNROLL) {
#pragma GCC unroll 4
        for (int i = 0; i < RING_UNROLL; i++) {
#pragma GCC unroll 16
            for (size_t chain = 0; chain < chains; chain++)
                local[chain] = *local[chain];
        }
    }
#pragma GCC unroll 16
    for (size_t chain = 0; chain < chains; chain++)
        at[chain] = local[chain];
}

void ring_chase_many(void **at[RING_STARTS], size_t chains, size_t loads) {
    switch (chains) {
    case 1:
        at[0] = ring_chase(at[0], loads);
        return;
    case 2:
        chase(at, 2, loads);
        return;
    case 3:
        chase(at, 3, loads);
        return;
    case 4:
        chase(at, 4, loads);
        return;
    case 5:
        chase(at, 5, loads);
        return;
    case 6:
        chase(at, 6, loads);
        return;
    case 7:
        chase(at, 7, loads);
        return;
    case 8:
        chase(at, 8, loads);
        return;
    case 9:
        chase(at, 9, loads);
        return;
    case 10:
        chase(at, 10, loads);
        return;
    case 11:
        chase(at, 11, loads);
        return;
    case 12:
        chase(at, 12, loads);
        return;
    case 13:
        chase(at, 13, loads);
        return;
    case 14:
        chase(at, 14, loads);
        return;
    case 15:
        chase(at, 15, loads);
        return;
    case 16:
        chase(at, 16, loads);
        return;
    default:
        return;
    }
}
