"""Runs for other programs, and the results of other programs as runs (plot.py --export, --import)."""
