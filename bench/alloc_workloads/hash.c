/* Hash tables with chains, filled, looked up, thinned and refilled: dictionaries and caches. Nodes
 * that were allocated together end up far apart in the table, old holes are filled with new nodes,
 * and the array of chains grows by doubling. */
#include "workloads.h"

#define ENTRIES     65536 /* of a table at most */
#define VALUE_BYTES 16
#define DOUBLINGS   4 /* values up to 256 bytes */

struct entry {
    struct entry *next;
    uint64_t key;
    struct block value;
};

struct table {
    struct entry **chains;
    size_t chains_count; /* a power of two, at least the entries */
    size_t entries;
};

static struct entry **chain(const struct table *table, uint64_t key) {
    return &table->chains[(key * UINT64_C(0x9e3779b97f4a7c15) >> 40) & (table->chains_count - 1)];
}

static void widen(struct worker *worker, struct table *table) {
    struct table wide = {.chains_count = table->chains_count * 2, .entries = table->entries};
    wide.chains = worker_table(worker, wide.chains_count, sizeof *wide.chains);
    for (size_t i = 0; i < table->chains_count; i++) {
        for (struct entry *entry = table->chains[i], *next; entry != NULL; entry = next) {
            struct entry **at = chain(&wide, entry->key);
            next = entry->next;
            entry->next = *at;
            *at = entry;
        }
    }
    free(table->chains);
    *table = wide;
}

static void insert(struct worker *worker, struct table *table, uint64_t key) {
    if (table->entries == table->chains_count)
        widen(worker, table);
    struct entry *entry = malloc(sizeof *entry), **at = chain(table, key);
    if (entry == NULL)
        workload_broken(worker, "no memory for an entry of %zu bytes", sizeof *entry);
    *entry =
        (struct entry){*at, key, block_get(worker, random_size(worker, VALUE_BYTES, DOUBLINGS))};
    *at = entry;
    table->entries++;
}

static void look_up(const struct worker *worker, const struct table *table, uint64_t key) {
    const struct entry *entry = *chain(table, key);
    while (entry != NULL && entry->key != key)
        entry = entry->next;
    if (entry == NULL)
        workload_broken(worker, "a hash table lost an entry");
    block_check(worker, &entry->value);
}

static void erase(const struct worker *worker, struct table *table, uint64_t key) {
    struct entry **at = chain(table, key);
    while (*at != NULL && (*at)->key != key)
        at = &(*at)->next;
    struct entry *entry = *at;
    if (entry == NULL)
        workload_broken(worker, "a hash table lost an entry");
    *at = entry->next;
    block_put(worker, entry->value);
    free(entry);
    table->entries--;
}

/* Half of the operations fill the table; a quarter replaces every second entry by a new one. */
static void hash(struct worker *worker) {
    for (uint64_t count; (count = worker_batch(worker, ENTRIES)) > 0;) {
        struct table table = {.chains_count = 16};
        table.chains = worker_table(worker, table.chains_count, sizeof *table.chains);
        uint64_t kept = count - count / 3; /* the other third takes the place of erased entries */
        for (uint64_t key = 0; key < kept; key++)
            insert(worker, &table, key);
        for (uint64_t i = 0; i < 2 * count; i++)
            look_up(worker, &table, random_below(worker, kept));
        for (uint64_t i = 0; i < count / 3; i++)
            erase(worker, &table, 2 * i);
        for (uint64_t i = 0; i < count / 3; i++)
            insert(worker, &table, 2 * i);
        for (uint64_t i = 0; i < 2 * count; i++)
            look_up(worker, &table, random_below(worker, kept));
        for (uint64_t key = 0; key < kept; key++)
            erase(worker, &table, key);
        free(table.chains);
    }
}

const struct workload workload_hash = {
    .name = "hash",
    .about =
        "hash tables filled, looked up, thinned and refilled; operation: an entry and its value",
    .threads = 1,
    .threads_min = 1,
    .threads_step = 1,
    .operations = 4000000,
    .work = hash,
};
