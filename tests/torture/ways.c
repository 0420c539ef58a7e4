#include "ways.h"

#include "calls.h"

#include <errno.h>
#include <string.h>

#define LENGTH(array) (sizeof(array) / sizeof(array)[0])

/* --- sizes ------------------------------------------------------------------------------------ */

/* Classes are an eighth of a power of two apart; other edges are at powers of two. */
static size_t size_at_edge(struct chance *chance) {
    size_t power = (size_t)16 << draw(chance, 22);
    size_t edge = power + power / 8 * draw(chance, 8);
    return edge + draw(chance, 3) - 1;
}

size_t draw_size(struct chance *chance, size_t size_max) {
    uint64_t kind = draw(chance, 1000);
    size_t size;
    if (kind < 450)
        size = draw(chance, 257);
    else if (kind < 650)
        size = draw(chance, 1025);
    else if (kind < 800)
        size = size_at_edge(chance);
    else if (kind < 900)
        size = draw(chance, 8 * KIB + 1);
    else if (kind < 980)
        size = draw(chance, size_max < 64 * KIB ? size_max + 1 : 64 * KIB + 1);
    else if (kind < 990)
        size = 0;
    else
        size = draw(chance, size_max + 1);
    return size <= size_max ? size : size % (size_max + 1);
}

/* --- allocate --------------------------------------------------------------------------------- */

/* What is asked for, and what each way makes of it. */
struct request {
    size_t size;
    size_t alignment; /* in: any number; out: what is promised */
    int node;         /* in: one with memory; out: NO_NODE unless asked for by name */
};

static size_t power_of_two_up(size_t number) {
    size_t power = 1;
    while (power < number)
        power *= 2;
    return power;
}

static void *by_malloc(struct request *request) {
    return calls.malloc(request->size);
}

static void *by_calloc(struct request *request) {
    size_t size = request->size;
    return size % 3 == 0 ? calls.calloc(size / 3, 3) : calls.calloc(1, size);
}

static void *by_realloc(struct request *request) {
    return calls.realloc(NULL, request->size);
}

static void *by_reallocarray(struct request *request) {
    return calls.reallocarray(NULL, request->size, 1);
}

static void *by_memalign(struct request *request) {
    size_t asked = request->alignment;
    request->alignment = asked == 0 ? 16 : power_of_two_up(asked);
    return calls.memalign(asked, request->size);
}

static void *by_aligned_alloc(struct request *request) {
    request->alignment = power_of_two_up(request->alignment);
    return calls.aligned_alloc(request->alignment, request->size);
}

static void *by_posix_memalign(struct request *request) {
    void *block = NULL;
    int before = errno = 1 + (int)(request->size % 50);
    request->alignment = power_of_two_up(request->alignment < 8 ? 8 : request->alignment);
    int error = calls.posix_memalign(&block, request->alignment, request->size);
    if (errno != (error == ENOMEM ? ENOMEM : before))
        fail("posix_memalign returned %d and changed errno from %d to %d", error, before, errno);
    return error == 0 ? block : NULL;
}

static void *by_valloc(struct request *request) {
    request->alignment = 4096;
    return calls.valloc(request->size);
}

static void *by_pvalloc(struct request *request) {
    request->alignment = 4096;
    return calls.pvalloc(request->size);
}

static void *by_malloc_on(struct request *request) {
    return calls.na_malloc_on(request->node, request->size);
}

static void *by_aligned_alloc_on(struct request *request) {
    request->alignment = power_of_two_up(request->alignment);
    return calls.na_aligned_alloc_on(request->node, request->alignment, request->size);
}

/* std::nothrow is an empty object; only its type matters. */
static const char nothrow[1];

static void *by_new(struct request *request) {
    return calls._Znwm(request->size);
}
static void *by_new_array(struct request *request) {
    return calls._Znam(request->size);
}
static void *by_new_nothrow(struct request *request) {
    return calls._ZnwmRKSt9nothrow_t(request->size, nothrow);
}
static void *by_new_array_nothrow(struct request *request) {
    return calls._ZnamRKSt9nothrow_t(request->size, nothrow);
}
static void *by_new_aligned(struct request *request) {
    request->alignment = power_of_two_up(request->alignment);
    return calls._ZnwmSt11align_val_t(request->size, request->alignment);
}
static void *by_new_array_aligned(struct request *request) {
    request->alignment = power_of_two_up(request->alignment);
    return calls._ZnamSt11align_val_t(request->size, request->alignment);
}
static void *by_new_aligned_nothrow(struct request *request) {
    request->alignment = power_of_two_up(request->alignment);
    return calls._ZnwmSt11align_val_tRKSt9nothrow_t(request->size, request->alignment, nothrow);
}
static void *by_new_array_aligned_nothrow(struct request *request) {
    request->alignment = power_of_two_up(request->alignment);
    return calls._ZnamSt11align_val_tRKSt9nothrow_t(request->size, request->alignment, nothrow);
}

enum way_kind { PLAIN, ALIGNED, NAMED, NAMED_ALIGNED };

static const struct way_to_allocate {
    const char *name;
    size_t call; /* offset in `calls` of what it needs */
    enum family family;
    enum way_kind kind;
    unsigned weight;
    void *(*allocate)(struct request *request);
} ways_to_allocate[] = {
#define NEEDS(name) offsetof(struct calls, name)
    {"malloc", NEEDS(malloc), FAMILY_MALLOC, PLAIN, 40, by_malloc},
    {"calloc", NEEDS(calloc), FAMILY_MALLOC, PLAIN, 15, by_calloc},
    {"realloc", NEEDS(realloc), FAMILY_MALLOC, PLAIN, 3, by_realloc},
    {"reallocarray", NEEDS(reallocarray), FAMILY_MALLOC, PLAIN, 2, by_reallocarray},
    {"memalign", NEEDS(memalign), FAMILY_MEMALIGN, ALIGNED, 4, by_memalign},
    {"aligned_alloc", NEEDS(aligned_alloc), FAMILY_ALIGNED, ALIGNED, 4, by_aligned_alloc},
    {"posix_memalign", NEEDS(posix_memalign), FAMILY_MEMALIGN, ALIGNED, 4, by_posix_memalign},
    {"valloc", NEEDS(valloc), FAMILY_MEMALIGN, ALIGNED, 1, by_valloc},
    {"pvalloc", NEEDS(pvalloc), FAMILY_MEMALIGN, ALIGNED, 1, by_pvalloc},
    {"na_malloc_on", NEEDS(na_malloc_on), FAMILY_MALLOC, NAMED, 8, by_malloc_on},
    {"na_aligned_alloc_on", NEEDS(na_aligned_alloc_on), FAMILY_MEMALIGN, NAMED_ALIGNED, 3,
     by_aligned_alloc_on},
    {"new", NEEDS(_Znwm), FAMILY_NEW, PLAIN, 6, by_new},
    {"new[]", NEEDS(_Znam), FAMILY_NEW_ARRAY, PLAIN, 3, by_new_array},
    {"new nothrow", NEEDS(_ZnwmRKSt9nothrow_t), FAMILY_NEW, PLAIN, 2, by_new_nothrow},
    {"new[] nothrow", NEEDS(_ZnamRKSt9nothrow_t), FAMILY_NEW_ARRAY, PLAIN, 1, by_new_array_nothrow},
    {"new aligned", NEEDS(_ZnwmSt11align_val_t), FAMILY_NEW_ALIGNED, ALIGNED, 2, by_new_aligned},
    {"new[] aligned", NEEDS(_ZnamSt11align_val_t), FAMILY_NEW_ARRAY_ALIGNED, ALIGNED, 1,
     by_new_array_aligned},
    {"new aligned nothrow", NEEDS(_ZnwmSt11align_val_tRKSt9nothrow_t), FAMILY_NEW_ALIGNED, ALIGNED,
     1, by_new_aligned_nothrow},
    {"new[] aligned nothrow", NEEDS(_ZnamSt11align_val_tRKSt9nothrow_t), FAMILY_NEW_ARRAY_ALIGNED,
     ALIGNED, 1, by_new_array_aligned_nothrow},
};

static bool is_there(size_t call) {
    void *pointer;
    memcpy(&pointer, (const char *)&calls + call, sizeof pointer);
    return pointer != NULL;
}

static const struct way_to_allocate *draw_way(struct chance *chance) {
    unsigned sum = 0;
    for (size_t i = 0; i < LENGTH(ways_to_allocate); i++)
        sum += ways_to_allocate[i].weight;
    uint64_t drawn = draw(chance, sum);
    const struct way_to_allocate *way = ways_to_allocate;
    while (drawn >= way->weight)
        drawn -= (way++)->weight;
    bool named = way->kind == NAMED || way->kind == NAMED_ALIGNED;
    return is_there(way->call) && !(named && settings.node_mask == 0) ? way : ways_to_allocate;
}

/* Of any number: memalign takes it as it is, the others the next power of two. */
static size_t draw_alignment(struct chance *chance) {
    uint64_t kind = draw(chance, 100);
    if (kind < 70)
        return draw(chance, 300);
    if (kind < 95)
        return draw(chance, 5000);
    return kind < 99 ? draw(chance, 70 * KIB) : (size_t)1 << (12 + draw(chance, 15));
}

static int draw_node(struct chance *chance) {
    int count = __builtin_popcountl(settings.node_mask), nth = (int)draw(chance, (uint64_t)count);
    for (int node = 0;; node++)
        if ((settings.node_mask >> node & 1) != 0 && nth-- == 0)
            return node;
}

const char *allocate(struct chance *chance, size_t size, struct block *block) {
    const struct way_to_allocate *way = draw_way(chance);
    bool aligned = way->kind == ALIGNED || way->kind == NAMED_ALIGNED;
    bool named = way->kind == NAMED || way->kind == NAMED_ALIGNED;
    struct request request = {size, 16, NO_NODE};
    if (aligned)
        request.alignment = draw_alignment(chance);
    if (named)
        request.node = draw_node(chance);
    *block = (struct block){.size_bytes = size, .family = way->family, .named_node = request.node};
    block->start = way->allocate(&request);
    block->alignment = request.alignment;
    if (block->start == NULL)
        fail("%s of %zu bytes, alignment %zu, was refused with errno %d", way->name, size,
             request.alignment, errno);
    return way->name;
}

void allocate_by_malloc(size_t size, struct block *block) {
    *block = (struct block){.size_bytes = size, .named_node = NO_NODE, .alignment = 16};
    block->start = calls.malloc(size);
    if (block->start == NULL)
        fail("malloc of %zu bytes was refused with errno %d", size, errno);
}

/* --- resize ----------------------------------------------------------------------------------- */

bool can_resize(const struct block *block) {
    return block->family <= FAMILY_MEMALIGN;
}

const char *resize(struct chance *chance, struct block *block, size_t size) {
    size_t parts = size != 0 && size % 8 == 0 ? 8 : 1;
    bool array = calls.reallocarray != NULL && draw(chance, 4) == 0;
    block->start = array ? calls.reallocarray(block->start, size / parts, parts)
                         : calls.realloc(block->start, size);
    block->size_bytes = size;
    block->alignment = 16;
    block->family = FAMILY_MALLOC;
    block->was_resized = true;
    return array ? "reallocarray" : "realloc";
}

/* --- free ------------------------------------------------------------------------------------- */

static void with_free(const struct block *block) {
    calls.free(block->start);
}
static void with_cfree(const struct block *block) {
    calls.cfree(block->start);
}
static void with_free_sized(const struct block *block) {
    calls.free_sized(block->start, block->size_bytes);
}
static void with_free_aligned_sized(const struct block *block) {
    calls.free_aligned_sized(block->start, block->alignment, block->size_bytes);
}
static void with_realloc(const struct block *block) {
    if (calls.realloc(block->start, 0) != NULL)
        fail("realloc to no bytes gave a block");
}
static void with_delete(const struct block *block) {
    calls._ZdlPv(block->start);
}
static void with_delete_array(const struct block *block) {
    calls._ZdaPv(block->start);
}
static void with_delete_sized(const struct block *block) {
    calls._ZdlPvm(block->start, block->size_bytes);
}
static void with_delete_array_sized(const struct block *block) {
    calls._ZdaPvm(block->start, block->size_bytes);
}
static void with_delete_nothrow(const struct block *block) {
    calls._ZdlPvRKSt9nothrow_t(block->start, nothrow);
}
static void with_delete_array_nothrow(const struct block *block) {
    calls._ZdaPvRKSt9nothrow_t(block->start, nothrow);
}
static void with_delete_aligned(const struct block *block) {
    calls._ZdlPvSt11align_val_t(block->start, block->alignment);
}
static void with_delete_array_aligned(const struct block *block) {
    calls._ZdaPvSt11align_val_t(block->start, block->alignment);
}
static void with_delete_sized_aligned(const struct block *block) {
    calls._ZdlPvmSt11align_val_t(block->start, block->size_bytes, block->alignment);
}
static void with_delete_array_sized_aligned(const struct block *block) {
    calls._ZdaPvmSt11align_val_t(block->start, block->size_bytes, block->alignment);
}
static void with_delete_aligned_nothrow(const struct block *block) {
    calls._ZdlPvSt11align_val_tRKSt9nothrow_t(block->start, block->alignment, nothrow);
}
static void with_delete_array_aligned_nothrow(const struct block *block) {
    calls._ZdaPvSt11align_val_tRKSt9nothrow_t(block->start, block->alignment, nothrow);
}

#define OF(family) (1U << (family))
#define OF_MALLOC  (OF(FAMILY_MALLOC) | OF(FAMILY_ALIGNED) | OF(FAMILY_MEMALIGN))

/* The first of a family's is the one everybody has. */
static const struct way_to_free {
    size_t call;
    unsigned families;
    void (*release)(const struct block *block);
} ways_to_free[] = {
    {NEEDS(free), OF_MALLOC, with_free},
    {NEEDS(_ZdlPv), OF(FAMILY_NEW), with_delete},
    {NEEDS(_ZdaPv), OF(FAMILY_NEW_ARRAY), with_delete_array},
    {NEEDS(_ZdlPvSt11align_val_t), OF(FAMILY_NEW_ALIGNED), with_delete_aligned},
    {NEEDS(_ZdaPvSt11align_val_t), OF(FAMILY_NEW_ARRAY_ALIGNED), with_delete_array_aligned},
    {NEEDS(free), OF_MALLOC, with_free},
    {NEEDS(free), OF_MALLOC, with_free},
    {NEEDS(cfree), OF_MALLOC, with_cfree},
    {NEEDS(realloc), OF_MALLOC, with_realloc},
    {NEEDS(free_sized), OF(FAMILY_MALLOC), with_free_sized},
    {NEEDS(free_aligned_sized), OF(FAMILY_ALIGNED), with_free_aligned_sized},
    {NEEDS(_ZdlPvm), OF(FAMILY_NEW), with_delete_sized},
    {NEEDS(_ZdlPvRKSt9nothrow_t), OF(FAMILY_NEW), with_delete_nothrow},
    {NEEDS(_ZdaPvm), OF(FAMILY_NEW_ARRAY), with_delete_array_sized},
    {NEEDS(_ZdaPvRKSt9nothrow_t), OF(FAMILY_NEW_ARRAY), with_delete_array_nothrow},
    {NEEDS(_ZdlPvmSt11align_val_t), OF(FAMILY_NEW_ALIGNED), with_delete_sized_aligned},
    {NEEDS(_ZdlPvSt11align_val_tRKSt9nothrow_t), OF(FAMILY_NEW_ALIGNED),
     with_delete_aligned_nothrow},
    {NEEDS(_ZdaPvmSt11align_val_t), OF(FAMILY_NEW_ARRAY_ALIGNED), with_delete_array_sized_aligned},
    {NEEDS(_ZdaPvSt11align_val_tRKSt9nothrow_t), OF(FAMILY_NEW_ARRAY_ALIGNED),
     with_delete_array_aligned_nothrow},
};

void release(struct chance *chance, const struct block *block) {
    const struct way_to_free *found[LENGTH(ways_to_free)];
    size_t count = 0;
    for (size_t i = 0; i < LENGTH(ways_to_free); i++)
        if ((ways_to_free[i].families & OF(block->family)) != 0 && is_there(ways_to_free[i].call))
            found[count++] = &ways_to_free[i];
    if (count == 0)
        fail("nothing frees %s's blocks", block->call);
    int before = errno = 1 + (int)(block->key % 50);
    found[draw(chance, count)]->release(block);
    if (errno != before)
        fail("a free changed errno from %d to %d", before, errno);
}

/* --- what cannot be had ----------------------------------------------------------------------- */

static void expect_refusal(const void *block, const char *call) {
    if (block != NULL || errno != ENOMEM)
        fail("%s of more than there can be gave %p, errno %d", call, block, errno);
}

void ask_absurd(struct chance *chance) {
    size_t size = SIZE_MAX - draw(chance, SIZE_MAX / 2);
    errno = 0;
    expect_refusal(calls.malloc(size), "malloc");
    errno = 0;
    expect_refusal(calls.calloc(size / 16, 17 + draw(chance, 100)), "calloc");
    errno = 0;
    expect_refusal(calls.memalign((size_t)1 << draw(chance, 63), size), "memalign");
    errno = 0;
    if (calls.na_malloc_on != NULL && settings.node_mask != 0)
        expect_refusal(calls.na_malloc_on(draw_node(chance), size), "na_malloc_on");
}

void resize_absurd(struct block *block) {
    size_t volatile size = SIZE_MAX - block->size_bytes; /* the compiler would warn of it */
    errno = 0;
    expect_refusal(calls.realloc(block->start, size), "realloc");
}
