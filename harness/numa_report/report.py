"""A run's report: its verdict, its pictures and its page."""

from . import page, pictures, verdict


def write(run):
    """Writes verdict.txt, the pictures and report.html into the run's folder; returns (the verdict's lines, paths)."""
    if run.rows:
        verdict.save(run.folder, run.words)
    drawn = pictures.draw(run)
    return run.words, [*(path for picture in drawn for path in picture.paths), page.write(run, drawn)]
