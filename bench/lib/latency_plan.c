#include "latency_plan.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "options.h"
#include "topology.h"
#include "units.h"

#define CURVE_FIRST_BYTES 4096
#define CURVE_AN_OCTAVE   4

static bool add_setting(struct plan *plan, const struct ring_shape *shape, const char *order,
                        size_t order_bytes) {
    char size[UNITS_SIZE_TEXT];
    if (plan->setting_count == PLAN_SETTINGS_MAX)
        return false;
    struct setting *setting = &plan->settings[plan->setting_count++];
    *setting = (struct setting){.shape = *shape};
    snprintf(setting->variant, PLAN_VARIANT_TEXT, "%s%s%s", order, order_bytes > 0 ? "-" : "",
             order_bytes > 0 ? units_format_size(order_bytes, size) : "");
    return true;
}

static bool read_size(const char *word, size_t length, uint64_t *size_bytes) {
    char text[UNITS_SIZE_TEXT];
    if (length == 0 || length >= sizeof text)
        return false;
    snprintf(text, sizeof text, "%.*s", (int)length, word);
    return units_parse_size(text, size_bytes);
}

static bool add_group(void *context, const char *word, size_t length) {
    struct plan *plan = context;
    uint64_t bytes;
    if (!read_size(word, length, &bytes) || bytes < RING_SLOT_BYTES || bytes % RING_SLOT_BYTES != 0)
        return false;
    return add_setting(plan, &(struct ring_shape){RING_SLOT_BYTES, false, bytes}, "random", bytes);
}

static bool add_stride(void *context, const char *word, size_t length) {
    struct plan *plan = context;
    uint64_t bytes;
    if (!read_size(word, length, &bytes) || bytes < RING_LINE_BYTES ||
        bytes > RING_SLOT_MAX_BYTES || (bytes & (bytes - 1)) != 0)
        return false;
    return add_setting(plan, &(struct ring_shape){bytes, true, 0}, "stride", bytes);
}

static bool add_kind(void *context, const char *word, size_t length) {
    struct plan *plan = context;
    return plan->kind_count < PAGE_KINDS &&
           page_kind_parse(word, length, &plan->kinds[plan->kind_count++]);
}

bool plan_add_chains(struct plan *plan, const char *list) {
    hwloc_bitmap_t numbers = hwloc_bitmap_alloc();
    bool ok = topology_parse_cpus(list, numbers) && hwloc_bitmap_first(numbers) > 0 &&
              hwloc_bitmap_last(numbers) > 0 && hwloc_bitmap_last(numbers) <= RING_STARTS;
    for (int chains = ok ? hwloc_bitmap_first(numbers) : -1; chains > 0;
         chains = hwloc_bitmap_next(numbers, chains))
        plan->chains[plan->chain_count++] = (size_t)chains;
    hwloc_bitmap_free(numbers);
    return ok;
}

bool plan_add_groups(struct plan *plan, const char *list) {
    return options_each_word(list, add_group, plan);
}

bool plan_add_strides(struct plan *plan, const char *list) {
    return options_each_word(list, add_stride, plan);
}

bool plan_add_pages(struct plan *plan, const char *list) {
    return options_each_word(list, add_kind, plan);
}

static const struct ring_shape all_at_random = {.slot_bytes = RING_SLOT_BYTES};

void plan_add_curve(struct plan *plan, size_t size_bytes) {
    for (int i = 0; plan->setting_count < PLAN_SETTINGS_MAX; i++) {
        double slots =
            round(CURVE_FIRST_BYTES * exp2((double)i / CURVE_AN_OCTAVE) / RING_SLOT_BYTES);
        size_t bytes = (size_t)slots * RING_SLOT_BYTES;
        add_setting(plan, &all_at_random, "random", 0);
        plan->settings[plan->setting_count - 1].size_bytes =
            bytes < size_bytes ? bytes : size_bytes;
        if (bytes >= size_bytes)
            return;
    }
}

void plan_complete(struct plan *plan, size_t size_bytes) {
    if (plan->setting_count == 0)
        add_setting(plan, &all_at_random, "random", 0);
    if (plan->chain_count == 0)
        plan->chains[plan->chain_count++] = 1;
    if (plan->kind_count == 0)
        plan->kinds[plan->kind_count++] = PAGE_KINDS;
    for (size_t i = 0; i < plan->setting_count; i++)
        if (plan->settings[i].size_bytes == 0)
            plan->settings[i].size_bytes = size_bytes;
}
