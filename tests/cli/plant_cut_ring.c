/* Linked around ring_lay (-Wl,--wrap): a pointer in the middle of every ring skips a line. */
#include "bench/lib/ring.h"

int __real_ring_lay(struct ring *ring, void *memory, size_t size_bytes,
                    const struct ring_shape *shape, uint64_t seed);
int __wrap_ring_lay(struct ring *ring, void *memory, size_t size_bytes,
                    const struct ring_shape *shape, uint64_t seed);

int __wrap_ring_lay(struct ring *ring, void *memory, size_t size_bytes,
                    const struct ring_shape *shape, uint64_t seed) {
    int error = __real_ring_lay(ring, memory, size_bytes, shape, seed);
    if (error == 0) {
        void **skipped = *ring->starts[RING_STARTS / 2];
        *ring->starts[RING_STARTS / 2] = *skipped;
    }
    return error;
}
