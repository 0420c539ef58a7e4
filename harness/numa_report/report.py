"""A run's report: its verdict and its pictures."""

from . import pictures, verdict


def write(run):
    """Writes verdict.txt and the pictures into the run's folder; returns (the verdict's lines, paths)."""
    if run.rows:
        verdict.save(run.folder, run.words)
    drawn = pictures.draw(run)
    return run.words, [path for picture in drawn for path in picture.paths]
