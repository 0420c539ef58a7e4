"""THP: said where latencies are of base pages for want of a setting, and of nothing else."""

import pytest
from test_verdict import TWO, cells

from numa_report import verdict


def said(rows, enabled, **more):
    return [line for line in verdict.all_lines(rows, {"transparent_hugepages": {"enabled": enabled}, **more})
            if line.startswith("THP: ")]


@pytest.mark.parametrize("enabled, first", [("madvise", ""), (
    "never", "as root, `echo madvise > /sys/kernel/mm/transparent_hugepage/enabled`; then ")])
def test_latencies_of_base_pages_say_so_and_what_to_try(enabled, first):
    assert said(cells(TWO), enabled, architecture="x86_64") == [
        f"THP: '{enabled}' here, so the 256 MiB that latency walks are in base pages, and its figures contain page "
        f"walks; {first}"
        "--pages default,thp measures what huge pages save, and NUMA_ALLOC_PAGES=thp gives them to a program"]


def test_what_the_tlb_reaches_pays_for_no_walks():
    assert not said(cells(TWO, size_bytes=4 << 20), "madvise", architecture="x86_64")
    assert not said(cells(TWO, size_bytes=64 << 20), "madvise", architecture="aarch64")  # base pages may be of 64 KiB
    assert said(cells(TWO, size_bytes=64 << 20), "madvise", architecture="x86_64")


def test_pages_that_were_compared_need_no_advice():
    assert not said(cells(TWO) + cells(TWO, pages="thp"), "madvise", architecture="x86_64")


@pytest.mark.parametrize("enabled", ["always", None, 3, [], "\x1b[2J"])
def test_other_settings_are_nothing_to_say(enabled):
    assert not said(cells(TWO), enabled)


def test_a_program_is_not_said_to_walk_pages():
    assert not said([{**row, "bench": "redis", "metric": "wall_time"} for row in cells(TWO)], "madvise")
