"""Which pictures a run gives, each with the words that stand for it where it cannot be seen; drawn on all CPUs there are."""

import gc
import os
import signal
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context

from .errors import ReportError

HEATMAP = "heatmap"  # the kind of those that the page shows as tables
ENDINGS = ("png", "svg")
MOST_PROCESSES = 4  # each may hold an image of picture.MOST_PIXELS
WORTH_PROCESSES = 4  # files: fewer are drawn before the processes have begun


@dataclass
class Picture:
    name: str  # of its files: NAME.png and NAME.svg
    kind: str  # what it shows: HEATMAP, or one of singles.PICTURES, ...
    title: str
    alternative: str  # the text alternative: what one sees in it, in a sentence or two
    paths: list  # of the files, PNG and SVG


def draw(run):
    """Draws every picture that the run's data give; returns them in the order of a report.

    Each file appears whole or not at all. Raises ReportError where there is too little for a picture that was asked for.
    """
    from . import core2core, curves, heatmap, loaded  # matplotlib takes long to import

    drawings = []
    for module in (heatmap, curves, loaded, core2core):
        drawings += named_apart(list(module.drawings(run)), {drawing.name for drawing in drawings})
    tasks = [(drawing, os.path.join(run.folder, f"{drawing.name}.{ending}")) for drawing in drawings for ending in ENDINGS]
    save_all(tasks)
    return [Picture(drawing.name, drawing.kind, drawing.title, drawing.alternative,
                    [path for other, path in tasks if other is drawing]) for drawing in drawings]


def named_apart(drawings, taken):
    """The drawings; one whose name is taken by another gets a number."""
    for drawing in drawings:
        name, number = drawing.name, 2
        while drawing.name in taken:
            drawing.name, number = f"{name}-{number}", number + 1
        taken.add(drawing.name)
    return drawings


def save_all(tasks):
    """Draws and writes each of [(Drawing, path)], in several processes where there are several CPUs."""
    processes = min(len(os.sched_getaffinity(0)), MOST_PROCESSES, len(tasks))
    if processes < 2 or len(tasks) < WORTH_PROCESSES:
        for drawing, path in tasks:
            save(drawing, path)
        return
    Worker.tasks = tasks  # the processes inherit them: a closure cannot be sent
    gc.freeze()  # what is inherited stays shared: a collection would write to all of it
    try:
        with ProcessPoolExecutor(processes, get_context("fork"), ignore_interrupts) as pool:
            try:
                errors = list(pool.map(Worker.do, range(len(tasks))))
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    except BrokenProcessPool:
        raise ReportError(f"{os.path.dirname(tasks[0][1])}: a process that drew pictures was killed; is memory short?") from None
    finally:
        gc.unfreeze()
        Worker.tasks = ()
    for error in filter(None, errors):
        raise error


class Worker:
    tasks = ()

    @staticmethod
    def do(number):
        """Does a task; returns the error a user can act on, None where there was none."""
        try:
            save(*Worker.tasks[number])
        except ReportError as error:
            return ReportError(str(error))  # of one class: others may not survive being sent
        except OSError as error:
            return error
        return None


def ignore_interrupts():
    """In a drawing process: Ctrl-C is the first process's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def save(drawing, path):
    page = drawing.draw()
    if page is None:
        folder = os.path.dirname(path)
        source = next(name for name in (f"{drawing.name}.csv", "samples.csv")
                      if name == "samples.csv" or os.path.exists(os.path.join(folder, name)))
        raise ReportError(f"{os.path.join(folder, source)}: too little of {drawing.name} was measured for a picture")
    page.save(path)
