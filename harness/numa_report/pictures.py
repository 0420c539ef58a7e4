"""Which pictures a run gives, each with the words that stand for it where it cannot be seen."""

from dataclasses import dataclass

from . import layout, runs

HEATMAP = "heatmap"


@dataclass
class Picture:
    name: str  # of its files: NAME.png and NAME.svg
    kind: str  # what it shows: HEATMAP (which the page shows as a table), or one of singles.PICTURES, ...
    title: str
    alternative: str  # the text alternative: what one sees in it, in a sentence or two
    paths: list  # of the files, PNG and SVG


def draw(run):
    """Draws every picture that the run's data give; returns them in the order of a report."""
    drawn = []
    if run.rows:
        for (bench, metric), paths in grouped(runs.plot(run.folder, run.rows)).items():
            drawn.append(Picture(metric, HEATMAP, layout.title(bench, metric), "", paths))
    for name, rows in run.singles.items():
        drawn.append(Picture(name, name, name, "", runs.plot_singles(run.folder, {name: rows})))
    return drawn


def grouped(paths):
    found = {}
    for path in paths:
        name = path.rpartition("/")[2].rpartition(".")[0]
        found.setdefault((name, name), []).append(path)
    return found
