"""plot.py --compare: what changed from one run to another, cell by cell, and how sure that is."""
