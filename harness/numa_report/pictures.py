"""Which pictures a run gives, each with the words that stand for it where it cannot be seen; drawn on all CPUs."""

import gc
import os
import signal
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from typing import List

from .errors import ReportError

HEATMAP = "heatmap"  # the kind of those that the page shows as tables
ENDINGS = ("png", "svg")
MOST_PROCESSES = 4  # each may hold an image of picture.MOST_PIXELS


@dataclass
class Picture:
    name: str  # of its files: NAME.png and NAME.svg
    kind: str  # what it shows: HEATMAP, or one of singles.PICTURES, ...
    title: str
    alternative: str  # the text alternative: what one sees in it, in a sentence or two
    paths: list  # of the files, PNG and SVG


def draw(run):
    """Draws every picture that the run's data give; returns them in the order of a report.

    Each file appears whole or not at all. Raises ReportError where there is too little for a single run's picture, or
    a file of the run is damaged.
    """
    from . import picture  # sets matplotlib up before others import it, which takes long
    from . import comparison, core2core, curves, drift, heatmap, loaded, loaded_matrix, programs, spread

    drawings: List[picture.Drawing] = []
    for module in (heatmap, comparison, programs, curves, loaded, loaded_matrix, core2core, drift, spread):
        drawings += named_apart(list(module.drawings(run)), {drawing.name for drawing in drawings})
    save_all(drawings, run.folder)
    return [Picture(drawing.name, drawing.kind, drawing.title, drawing.alternative, paths_of(drawing, run.folder))
            for drawing in drawings]


def paths_of(drawing, folder):
    return [os.path.join(folder, f"{drawing.name}.{ending}") for ending in ENDINGS]


def named_apart(drawings, taken):
    """The drawings; one whose name is taken by another gets a number."""
    for drawing in drawings:
        name, number = drawing.name, 2
        while drawing.name in taken:
            drawing.name, number = f"{name}-{number}", number + 1
        taken.add(drawing.name)
    return drawings


def save_all(drawings, folder):
    """Draws and writes each, in several processes where there are several CPUs."""
    processes = min(len(os.sched_getaffinity(0)), MOST_PROCESSES, len(drawings))
    if processes < 2:
        for drawing in drawings:
            save(drawing, folder)
        return
    Worker.work = drawings, folder  # the processes inherit it: a closure cannot be sent
    gc.freeze()  # what is inherited stays shared: a collection would write to all of it
    try:
        with ProcessPoolExecutor(processes, get_context("fork"), ignore_interrupts) as pool:
            try:
                errors = list(pool.map(Worker.do, range(len(drawings))))
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    except BrokenProcessPool:
        raise ReportError(f"{folder}: a process that drew pictures was killed; is memory short?") from None
    finally:
        gc.unfreeze()
        Worker.work = (), ""
    for error in filter(None, errors):
        raise error


class Worker:
    work = (), ""

    @staticmethod
    def do(number):
        """Draws one; returns the error a user can act on, None where there was none."""
        drawings, folder = Worker.work
        try:
            save(drawings[number], folder)
        except ReportError as error:
            return ReportError(str(error))  # of one class: others may not survive being sent
        except OSError as error:
            return error
        return None


def ignore_interrupts():
    """In a drawing process: Ctrl-C is the first process's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def save(drawing, folder):
    page = drawing.draw()
    if page is None:
        own = os.path.join(folder, f"{drawing.name}.csv")
        source = own if os.path.exists(own) else os.path.join(folder, "samples.csv")
        raise ReportError(f"{source}: too little of {drawing.name} was measured for a picture")
    for path in paths_of(drawing, folder):
        page.save(path)
