"""What fuzzing the readers of tables has found stays mended, and some mutations of real files more."""

import importlib.util
import random
from pathlib import Path

import pytest

from numa_report.errors import ReportError

FUZZ = Path(__file__).parents[1] / "fuzz"
MUTATIONS = 300


def load():
    spec = importlib.util.spec_from_file_location("fuzz_tables", FUZZ / "tables.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


fuzz_tables = load()


@pytest.mark.parametrize("name", fuzz_tables.READERS)
def test_a_reader_takes_or_refuses_whatever_it_is_given(name, tmp_path):
    reader, real = fuzz_tables.READERS[name]
    kept = [path.read_bytes() for path in sorted((FUZZ / "corpus" / "tables").glob(f"{name}-*"))]
    choose = random.Random(name)
    path = tmp_path / fuzz_tables.NAMES.get(name, "input.csv")
    for data in [*real, *kept, *(fuzz_tables.mutated(choose.choice(real), real, choose) for _ in range(MUTATIONS))]:
        path.write_bytes(data)
        try:
            reader(str(path))
        except ReportError as error:
            assert "\n" not in str(error)
