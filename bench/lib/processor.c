#include "processor.h"

#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>

#define FIRST_HYPERVISOR_LEAF 0x40000000u /* processors leave the range to hypervisors */
#define CORE_TYPE_ATOM        0x20u

static void read_signature(char text[13], unsigned first, unsigned second, unsigned third) {
    memcpy(text, &first, 4);
    memcpy(text + 4, &second, 4);
    memcpy(text + 8, &third, 4);
    text[12] = '\0';
}

static void read_family(struct processor *processor, unsigned eax) {
    unsigned family = eax >> 8 & 0xF, model = eax >> 4 & 0xF;
    if (family == 6 || family == 15)
        model |= eax >> 12 & 0xF0;
    if (family == 15)
        family += eax >> 20 & 0xFF;
    processor->family = family;
    processor->model = model;
}

void processor_identify(struct processor *processor) {
    unsigned eax, ebx, ecx, edx;
    *processor = (struct processor){0};
    if (!__get_cpuid(0, &eax, &ebx, &ecx, &edx))
        return;
    read_signature(processor->vendor, ebx, edx, ecx);
    if (__get_cpuid(1, &eax, &ebx, &ecx, &edx)) {
        read_family(processor, eax);
        processor->virtualised = (ecx >> 31 & 1) != 0;
    }
    bool hybrid = __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && (edx >> 15 & 1) != 0;
    if (hybrid && __get_cpuid_count(0x1A, 0, &eax, &ebx, &ecx, &edx))
        processor->atom_core = eax >> 24 == CORE_TYPE_ATOM;
    if (__get_cpuid(0x80000007, &eax, &ebx, &ecx, &edx))
        processor->invariant_tsc = (edx >> 8 & 1) != 0;
    if (__get_cpuid(0x80000021, &eax, &ebx, &ecx, &edx))
        processor->prefetch_control = (eax >> 13 & 1) != 0;
    if (processor->virtualised) {
        __cpuid(FIRST_HYPERVISOR_LEAF, eax, ebx, ecx, edx);
        read_signature(processor->hypervisor, ebx, ecx, edx);
    }
}

#else

void processor_identify(struct processor *processor) {
    *processor = (struct processor){0};
}

#endif
