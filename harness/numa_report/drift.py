"""The sentinel, one cell measured again and again: how far the machine drifted while the others were measured."""

import math
from datetime import datetime
from functools import partial
from statistics import median

from . import layout, picture, rowed
from .picture import COLOURS, LABEL_PT, MARKERS
from .rounds import undisturbed
from .schema import FEWEST_SAMPLES, is_main
from .verdict import drift_lines

DRIFT = "drift"
BAND = 5  # percent: what noise a cell may have
LEAST_REACH = 10  # percent that the scale reaches to at least
WIDTH, HEIGHT, LEFT, TOP = 7.4, 3.2, 0.95, 0.95


def drawings(run):
    series = series_of(run.sentinels)
    if series:
        yield picture.Drawing(DRIFT, DRIFT, "Drift of the sentinel", alternative(series, run.sentinels),
                              partial(draw, series, run.environment))


def series_of(rows):
    """{(metric, variant): [(rows, minutes since the first or None) of each run]}, of those with enough runs."""
    found = {}
    for row in rows:
        if is_main(row["metric"]):
            found.setdefault((row["metric"], row["variant"]), {}).setdefault(row["round"], []).append(row)
    series = {}
    for key, runs in found.items():
        if len(runs) >= FEWEST_SAMPLES:
            ordered = [runs[number] for number in sorted(runs, key=lambda number: number or 0)]
            series[key] = [(of_run, minutes(ordered[0][0], of_run[0])) for of_run in ordered]
    return series


def minutes(first, row):
    """Between two rows' starts; None where that is not known."""
    try:
        begun, now = (datetime.strptime(each["started_at"], "%Y-%m-%dT%H:%M:%SZ") for each in (first, row))
    except ValueError:
        return None
    return (now - begun).total_seconds() / 60


def deviations(of_series):
    """[(percent of each run's median from the median of all, [percent of its samples])]"""
    medians = [median(row["value"] for row in undisturbed(rows)) for rows, _ in of_series]
    middle = median(medians) or 1
    return [(100 * (value / middle - 1), [100 * (row["value"] / middle - 1) for row in rows])
            for value, (rows, _) in zip(medians, of_series)]


def times_of(of_series):
    """(where each run is on the scale, the scale's words)"""
    times = [at for _, at in of_series]
    if None not in times and all(a < b for a, b in zip(times, times[1:])):
        return times, "minutes since its first run"
    return list(range(1, len(times) + 1)), "runs of the sentinel, in the order of time"


def draw(series, environment):
    rows = [row for of_series in series.values() for of_run, _ in of_series for row in of_run]
    found = {key: deviations(of_series) for key, of_series in series.items()}
    reach = max(LEAST_REACH, 1.25 * max(abs(of_run) for runs in found.values() for of_run, _ in runs))
    beyond = sum(abs(value) > reach for runs in found.values() for _, values in runs for value in values)
    notes = [f"band: ±{BAND} %, within which a cell's interval is called quiet"]
    if any(len(values) > 1 for runs in found.values() for _, values in runs):
        notes.append("large: the median of each run; small: its samples")
    if beyond:
        notes.append(f"{layout.counted(beyond, 'sample')} beyond the scale, drawn at its edge")
    names = [metric for metric, _ in series]
    margin = 0.5 + picture.LETTER_IN * max(map(len, names)) if len(names) > 1 else 0.35
    page = picture.Page(LEFT + WIDTH + margin, TOP + HEIGHT + 0.6, picture.heading("Drift of the sentinel", rows),
                        details(series, environment), notes)
    axes = page.axes(LEFT, TOP, WIDTH, HEIGHT)
    picture.style_plain(axes)
    axes.axhspan(-BAND, BAND, color=picture.NOTHING, zorder=0)
    axes.axhline(0, color=picture.GREY, linewidth=0.8, zorder=1)
    axes.set_ylim(-reach, reach)
    axes.yaxis.set_major_formatter(lambda value, _: picture.percent_words(value))
    axes.set_ylabel("from the median of its runs", fontsize=LABEL_PT)
    for number, (key, of_series) in enumerate(series.items()):
        times, words = times_of(of_series)
        draw_line(axes, times, found[key], number, reach)
        axes.set_xlabel(words, fontsize=LABEL_PT)
    if len(names) > 1:
        rowed.draw_names(page, [layout.shortened(name, 40) for name in names], LEFT + WIDTH + 0.25, TOP)
    return page


def draw_line(axes, times, runs, number, reach):
    colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
    small = [(at, math.copysign(min(abs(value), reach), value)) for at, (_, values) in zip(times, runs)
             for value in values]
    axes.plot([at for at, _ in small], [value for _, value in small], linestyle="", marker=".", markersize=3.5,
              color=colour, alpha=0.45, clip_on=False, zorder=2)
    axes.plot(times, [value for value, _ in runs], color=colour, marker=marker, markersize=6, linewidth=1.3, zorder=3)


def details(series, environment):
    row = next(iter(series.values()))[0][0][0]
    return " · ".join(str(word) for word in (environment.get("cpu_model"), layout.shortened(row["cell"], 80)) if word)


def alternative(series, sentinels):
    words = []
    for (metric, _), of_series in list(series.items())[:picture.MOST_TOLD]:
        medians = [value for value, _ in deviations(of_series)]
        middle = median(row["value"] for rows, _ in of_series for row in rows)
        words.append(f"{layout.shortened(metric, 40)} {layout.quantity_words(middle, of_series[0][0][0]['unit'])}, "
                     f"from {picture.percent_words(min(medians))} to {picture.percent_words(max(medians))}")
    count = len(next(iter(series.values())))
    told = "" if drift_lines(sentinels) else " None of it is called a drift."
    return f"In {count} runs, around their median: {'; '.join(words)}.{told}"
