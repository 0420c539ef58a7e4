"""The kind of a CPU: its microarchitecture, which decides what its memory costs, by its name or its numbers.

Names: Intel's and AMD's numbering of their server CPUs. Numbers: Linux's arch/x86/include/asm/intel-family.h, the
families and models in its arch/x86/kernel/cpu/amd.c, and for arm64 its arch/arm64/include/asm/cputype.h.
"""

import re

# Of a model name without (R) and (TM); the first that is found.
NAMES = tuple((re.compile(pattern, re.IGNORECASE), kind) for pattern, kind in (
    (r"Xeon (?:CPU )?E[57]-[0-9]{4}L? v2\b", "Ivy Bridge"),
    (r"Xeon (?:CPU )?E[57]-[0-9]{4}[AL]? v3\b", "Haswell"),
    (r"Xeon (?:CPU )?E[57]-[0-9]{4}[AL]? ?v4\b", "Broadwell"),
    (r"Xeon (?:CPU )?(?:Platinum|Gold|Silver|Bronze) [3-9]1[0-9]{2}[A-Z]*\b", "Skylake"),
    (r"Xeon (?:CPU )?(?:Platinum|Gold|Silver|Bronze) [3-9]2[0-9]{2}[A-Z]*\b", "Cascade Lake"),
    (r"Xeon (?:CPU )?(?:Platinum|Gold) [5-9]3[0-9]{2}HL?\b", "Cooper Lake"),
    (r"Xeon (?:CPU )?(?:Platinum|Gold|Silver|Bronze) [3-9]3[0-9]{2}[A-Z]*\b", "Ice Lake"),
    (r"Xeon (?:CPU )?(?:Platinum|Gold|Silver|Bronze) [3-9]4[0-9]{2}[A-Z]*\b", "Sapphire Rapids"),
    (r"Xeon (?:CPU )?Max 9[0-9]{3}\b", "Sapphire Rapids HBM"),
    (r"Xeon (?:CPU )?(?:Platinum|Gold|Silver|Bronze) [3-9]5[0-9]{2}[A-Z]*\b", "Emerald Rapids"),
    (r"Xeon (?:CPU )?(?:6 )?6[0-9]{3}P\b", "Granite Rapids"),
    (r"Xeon (?:CPU )?(?:6 )?6[0-9]{3}E\b", "Sierra Forest"),
    (r"EPYC 7[0-9F][0-9]1\b", "Naples"),
    (r"EPYC 7[0-9FHV][0-9]2\b", "Rome"),
    (r"EPYC 7[0-9FRV][0-9]3X?\b", "Milan"),
    (r"EPYC 97[0-9]4\b", "Bergamo"),
    (r"EPYC 9[0-9RV][0-9]4[PFX]?\b", "Genoa"),
    (r"EPYC 9[0-9RV][0-9]5[PF]?\b", "Turin"),
    (r"Graviton2\b", "Neoverse N1"), (r"Graviton3E?\b", "Neoverse V1"), (r"Graviton4\b", "Neoverse V2"),
    (r"Neoverse-?(N1|N2|N3|V1|V2|V3)\b", r"Neoverse \1"),
))

# (vendor, family): ((first model, last model, first stepping), kind), ...
NUMBERS = {
    ("GenuineIntel", 6): (
        (62, 62, 0, "Ivy Bridge"), (63, 63, 0, "Haswell"), (79, 79, 0, "Broadwell"), (85, 85, 10, "Cooper Lake"),
        (85, 85, 5, "Cascade Lake"), (85, 85, 0, "Skylake"), (106, 106, 0, "Ice Lake"), (108, 108, 0, "Ice Lake"),
        (143, 143, 0, "Sapphire Rapids"), (207, 207, 0, "Emerald Rapids"), (173, 174, 0, "Granite Rapids"),
        (175, 175, 0, "Sierra Forest")),
    ("AuthenticAMD", 23): ((0x01, 0x01, 0, "Naples"), (0x31, 0x31, 0, "Rome")),
    ("AuthenticAMD", 25): ((0x00, 0x01, 0, "Milan"), (0x10, 0x1f, 0, "Genoa"), (0xa0, 0xaf, 0, "Bergamo")),
    ("AuthenticAMD", 26): ((0x00, 0x1f, 0, "Turin"),),
}
ARM = 0x41
PARTS = {0xd0c: "Neoverse N1", 0xd49: "Neoverse N2", 0xd40: "Neoverse V1", 0xd4f: "Neoverse V2", 0xd84: "Neoverse V3"}


def kind_of(name, numbers=None):
    """`Ice Lake`, or "" where it is not known.

    name: the model name, or None. numbers: environment.json's `cpu`, where it has one; a name that tells it wins.
    """
    plain = re.sub(r"\((?:R|TM)\)", "", name, flags=re.IGNORECASE) if isinstance(name, str) else ""
    for pattern, kind in NAMES:
        found = pattern.search(" ".join(plain.split()))
        if found:
            return found.expand(kind)
    return of_numbers(numbers) if isinstance(numbers, dict) else ""


def of_numbers(numbers):
    if numbers.get("implementer") == ARM:
        return PARTS.get(numbers.get("part"), "")
    model, stepping = numbers.get("model"), numbers.get("stepping")
    if type(model) is not int or type(stepping) is not int:
        return ""
    for first, last, least, kind in NUMBERS.get((numbers.get("vendor"), numbers.get("family")), ()):
        if first <= model <= last and stepping >= least:
            return kind
    return ""
