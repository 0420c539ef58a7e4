"""The colours of measured cells: cividis, the pictures' own, in steps, each with the ink that reads on it."""

import functools

from .. import layout

STEPS = 64  # finer is not seen; each is a class, so that a cell says its colour in three letters
INKS = {True: "#000", False: "#fff"}  # on pale and on dark ones


@functools.lru_cache(maxsize=None)
def steps():
    """[(colour, ink)] from the best value, dark, to the worst, yellow."""
    from matplotlib import cm  # of matplotlib the colours alone: 60 ms

    found = [cm.cividis(step / (STEPS - 1))[:3] for step in range(STEPS)]
    return [("#" + "".join(f"{round(255 * part):02x}" for part in colour), INKS[layout.is_pale(colour)])
            for colour in found]


def css():
    """The classes: v0 to v63 colour a cell by its value, p0 to p63 by its penalty."""
    return "".join(f".{letter}{number}{{--{letter}:{colour};--{letter}-ink:{ink}}}\n" for letter in "vp"
                   for number, (colour, ink) in enumerate(steps()))


def gradient():
    """[(offset from 0 to 1, colour)] for the legends."""
    return [(number / (STEPS - 1), steps()[number][0]) for number in range(0, STEPS, 3)]


class Scale:
    """What a colour says: the range of a figure's values, and which end of it is the better one."""

    def __init__(self, low, high, higher_is_better=False):
        self.low, self.high, self.higher_is_better = low, high, higher_is_better

    def step(self, value):
        """The number of the value's colour."""
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0
        share = min(max(share, 0), 1)
        return round((STEPS - 1) * (1 - share if self.higher_is_better else share))

    def ticks(self, words):
        """[(offset from 0 to 1, the value in words)] at round values, and at both ends where there is room."""
        span = self.high - self.low
        if not span > 0:
            return [(0.5, words(self.low))]
        step = next(step for step in round_steps(span / 5) if span / step <= 5)
        first = -(-self.low // step)
        values = [number * step for number in range(int(first), int(first) + 7) if number * step <= self.high]
        inner = [value for value in values if min(value - self.low, self.high - value) > 0.12 * span]
        return [((value - self.low) / span, words(value)) for value in (self.low, *inner, self.high)]


def round_steps(least):
    """1, 2, 5, 10, 20, ... times a power of ten, from about `least` on."""
    power = 10.0 ** int(f"{least:e}".partition("e")[2])
    while True:
        yield from (power, 2 * power, 5 * power)
        power *= 10
