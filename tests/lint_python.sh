#!/usr/bin/env bash
# Checks the Python files with ruff where it is installed, else with pyflakes.
set -euo pipefail
cd "$(dirname "$0")/.."

mapfile -t files < <(git ls-files -co --exclude-standard '*.py')
if command -v ruff >/dev/null; then
    ruff check "${files[@]}"
else
    /usr/bin/python3 -m pyflakes "${files[@]}"
fi
