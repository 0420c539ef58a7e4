/* Memory for the allocator's own descriptions: taken in chunks, handed out in whole cache lines,
 * never given back. Untouched parts cost no physical memory. */
#pragma once

#include "runtime.c"

#define META_CHUNK_BYTES (1 * MIB)

/* The first chunk is the library's own, so that set-up never wants for memory: it is done once, and
 * a policy that it could not note would be lost for good. */
static _Alignas(CACHE_LINE) char meta_first_chunk[META_CHUNK_BYTES];

static struct {
    struct lock lock;
    uintptr_t next, end;
    uint64_t bytes; /* handed out */
} meta = {.next = (uintptr_t)meta_first_chunk,
          .end = (uintptr_t)meta_first_chunk + META_CHUNK_BYTES};

/* Zeroed memory for ever, or NULL. */
static void *meta_allocate(size_t size_bytes) {
    size_bytes = align_up(size_bytes, CACHE_LINE);
    lock_take(&meta.lock);
    if (meta.end - meta.next < size_bytes) {
        size_t chunk_bytes =
            size_bytes > META_CHUNK_BYTES ? align_up(size_bytes, SLICE_SIZE) : META_CHUNK_BYTES;
        uintptr_t chunk = sys_map(0, chunk_bytes, PROT_READ | PROT_WRITE, 0);
        if (chunk == 0) {
            lock_release(&meta.lock);
            return NULL;
        }
        meta.next = chunk;
        meta.end = chunk + chunk_bytes;
    }
    void *result = (void *)meta.next;
    meta.next += size_bytes;
    meta.bytes += size_bytes;
    lock_release(&meta.lock);
    return result;
}
