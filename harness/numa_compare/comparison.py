"""What changed from the first run to another: an answer for each cell."""

import math
from dataclasses import dataclass

from numa_report.schema import MEASURED

from . import estimate, matching
from .operand import is_higher_better

ANSWERS = (WORSE, BETTER, NOT_COMPARABLE, UNCLEAR, ONLY_FIRST, ONLY_OTHER, NO_CHANGE) = (
    "worse", "better", "not comparable", "unclear", "only in the first", "only in the other", "no change")
MOST = 700.0  # a logarithm: e to a little more is too large for a number
TESTED = (WORSE, BETTER, UNCLEAR, NO_CHANGE)


@dataclass(frozen=True)
class Answer:
    """What is said of one cell. Changes are shares: 0.05 is +5 % of the first run's figure."""

    pair: matching.Pair
    word: str  # of ANSWERS
    reason: str = ""  # why it is not comparable, or why nothing is known
    change: float = None
    low: float = None  # of the change's 95 % interval
    high: float = None
    shown: bool = False  # whether that it changed at all is shown, however little
    certain: bool = False  # whether that is so certain that a CI job may end for it
    visible: float = None  # the smallest change that would most likely have been seen

    @property
    def row(self):
        return self.pair.row

    @property
    def is_news(self):
        """Whether the cell was measured in one run and failed, was misplaced or skipped in the other."""
        before, after = self.pair.before, self.pair.after
        return bool(before and after and self.word == NOT_COMPARABLE
                    and (before["status"] in MEASURED) != (after["status"] in MEASURED))

    @property
    def badness(self):
        """The change for the worse, a logarithm: below 0 where the cell became better."""
        if self.change is None:
            return 0.0
        ratio = math.log1p(self.change)
        return -ratio if is_higher_better(self.row) else ratio


@dataclass(frozen=True)
class Comparison:
    """The first run against one other."""

    first: object
    other: object  # Operands
    answers: list  # worst first within each word, words in the order of ANSWERS
    threshold: float

    def of(self, *words):
        return [answer for answer in self.answers if answer.word in words]

    @property
    def tested(self):
        return self.of(*TESTED)


def compare(first, other, threshold=estimate.NOISE_THRESHOLD):
    """The Comparison of two Operands. threshold: a share; a change within it is no change."""
    answers, tested = [], []
    for pair in matching.pairs(first, other):
        if pair.after is None:
            answers.append(Answer(pair, ONLY_FIRST))
        elif pair.before is None:
            answers.append(Answer(pair, ONLY_OTHER))
        else:
            reason = matching.why_not(pair, first, other)
            if reason:
                answers.append(Answer(pair, NOT_COMPARABLE, reason))
            elif not first.known_of(pair.before).median:  # 0 in both
                answers.append(Answer(pair, NO_CHANGE, change=0.0, low=0.0, high=0.0))
            else:
                tested.append(pair)
    answers += judge(tested, first, other, threshold)
    order = {word: place for place, word in enumerate(ANSWERS)}
    answers.sort(key=lambda answer: (order[answer.word], not answer.is_news, -abs(answer.badness)))
    return Comparison(first, other, answers, threshold)


def judge(pairs, first, other, threshold):
    """The answers for pairs that both runs measured."""
    cells = [estimate.Cell(first.known_of(pair.before), other.known_of(pair.after),
                           (pair.row["bench"], pair.row["metric"]), 1 if is_higher_better(pair.row) else -1)
             for pair in pairs]
    changes = estimate.changes(cells)
    shown, p_needed = estimate.claimed([change.p for change in changes])
    return [answer_of(*each, p_needed, spread_unknown(first, other), threshold)
            for each in zip(pairs, changes, shown, estimate.certain(cells))]


def answer_of(pair, change, shown, certain, p_needed, silence, threshold):
    """silence: why nothing is known where no spread is."""
    share = share_of(change.middle)
    if change.error is None:
        return Answer(pair, UNCLEAR, silence, share)
    low, high = map(share_of, change.interval)
    word = UNCLEAR
    if shown and abs(share) > threshold:
        word = WORSE if (share > 0) != is_higher_better(pair.row) else BETTER
    elif -threshold <= low and high <= threshold:
        word = NO_CHANGE
    return Answer(pair, word, "", share, low, high, bool(shown), bool(certain),
                  share_of(estimate.visible(change, p_needed)))


def share_of(logarithm):
    """0.05 for a figure that is 5 % larger."""
    return math.expm1(min(logarithm, MOST))


def spread_unknown(first, other):
    silent = [operand.letter for operand in (first, other) if operand.from_intervals and operand.is_bare]
    if silent:
        return f"no interval in {' and '.join(silent)}"
    return "one round in each"
