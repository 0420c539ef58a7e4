"""A run in five lines of words at most, each with its figures: what memory costs, what to be wary of, what to try.

The order in which they come, and in which they are left out where there are more than five:

1. penalty, always: the question that a sweep asks.
2. What makes the figures untrustworthy: failed, misplaced, NUMA balancing, drift. What the others say is said of
   figures that these say may be of something else. Noise is not among them: every claim is beyond the intervals anyway.
3. What the sweep was told to compare: policy, allocator, pages.
4. What is wrong with the machine: unusual for its CPU (all of it), worst link and outliers (some cells), imbalance
   (two directions), firmware that disagrees (an order of nodes), no memory (where the CPUs of a node without any find
   theirs).
5. What could be better without a fault: THP.
6. What is well: firmware that agrees.

docs/VERDICT.md says what each takes to be said, and what to do about it.
"""

import os

from ..errors import printable, whole_file
from .choices import choice_lines
from .firmware_claims import firmware_lines, without_memory_lines
from .kernel import balancing_lines, huge_page_lines
from .links import imbalance_lines, link_lines
from .outlier_cells import outliers, outlier_words
from .penalty import penalty_line
from .trust import drift_lines, failed_lines, misplaced_lines

__all__ = ["BAD", "FILE", "FINE", "MOST_LINES", "all_lines", "drift_lines", "lines", "outlier_words", "outliers",
           "save"]

FILE = "verdict.txt"
MOST_LINES = 5

# The kinds of lines that are bad news, and those that are good; the others say what is, or what to choose.
BAD = ("failed", "misplaced", "NUMA balancing", "drift", "unusual", "worst link", "outliers", "imbalance",
       "firmware disagrees", "no memory")
FINE = ("firmware agrees",)


def lines(rows, environment, sentinels=()):
    """The five most useful of all_lines, of the same arguments."""
    return all_lines(rows, environment, sentinels)[:MOST_LINES]


def all_lines(rows, environment, sentinels=(), found=None, unusual=()):
    """Everything there is to say, the most useful first.

    rows: of matrix.csv; environment: of environment.json; sentinels: the rows of sentinel.csv; found: outliers(rows,
    environment), where the caller has them already; unusual: the lines of normal.py that say what is not normal.
    """
    found = outliers(rows, environment) if found is None else found
    disagreeing, agreeing = firmware_lines(rows, environment)
    return [penalty_line(rows, environment), *failed_lines(rows), *misplaced_lines(rows),
            *balancing_lines(rows, environment), *drift_lines(sentinels), *choice_lines(rows),
            *unusual, *link_lines(rows, found), *imbalance_lines(rows, found), *disagreeing,
            *without_memory_lines(rows, environment), *huge_page_lines(rows, environment), *agreeing]


def save(folder, words):
    """Writes the lines to the folder's verdict.txt, whole or not at all."""
    with whole_file(os.path.join(folder, FILE), "w", encoding="utf-8") as file:
        file.writelines(printable(f"{line}\n") for line in words)
