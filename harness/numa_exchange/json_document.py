"""--export json: a run as one document."""

import json

from numa_report.schema import MATRIX_COLUMNS

NAME, VERSION = "numa_alloc.run", 1  # the version is raised when a name in the document changes its meaning or goes


def text(run):
    """The document. Cells have matrix.csv's columns and units; what is empty there is null."""
    document = {
        "schema": {"name": NAME, "version": VERSION},
        "run": run.name,
        "environment": run.environment,
        "verdict": run.words,
        "cells": [cell_of(row) for row in run.rows],
    }
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def cell_of(row):
    cell = {name: None if row.get(name) == "" else row.get(name) for name in MATRIX_COLUMNS}
    return {**cell, "outlier": row.get("outlier")}
