"""One sweep at a time on a machine and in a folder."""

import os

import pytest
from made_up_sweep import HARNESS

from numa_report.errors import ReportError
from numa_sweep import locks


@pytest.fixture
def lock_file(tmp_path, monkeypatch):
    path = tmp_path / "lock"
    monkeypatch.setattr(locks, "PATHS", (str(tmp_path / "not there" / "lock"), str(path)))
    return path


def test_the_holder_is_named_to_who_is_refused(lock_file):
    held = locks.lock_machine(False, "/a/run", None)
    with pytest.raises(ReportError) as refused:
        locks.lock_machine(False, "/another/run", None)
    assert str(refused.value).startswith(
        f"another sweep is measuring on this machine (process {os.getpid()}, in /a/run, since 20")
    assert str(refused.value).endswith("Z); --wait waits for its end")
    os.close(held)
    os.close(locks.lock_machine(False, "/another/run", None))
    assert "in /another/run" in lock_file.read_text()


def test_a_holder_that_has_not_signed_is_still_one(lock_file):
    lock_file.write_text("")
    held = locks.open_lock(str(lock_file))
    locks.fcntl.flock(held, locks.fcntl.LOCK_EX)
    with pytest.raises(ReportError, match="of another user"):
        locks.lock_machine(False, "/a/run", None)
    os.close(held)


def test_a_lock_file_that_is_not_to_be_written_is_locked_all_the_same(lock_file, monkeypatch):
    lock_file.write_text("somebody else's\n")
    opened = os.open

    def of_another_user(path, flags, *mode):
        if flags & (os.O_WRONLY | os.O_CREAT):
            raise PermissionError(13, "Permission denied", path)
        return opened(path, flags, *mode)

    monkeypatch.setattr(os, "open", of_another_user)
    held = locks.lock_machine(False, "/a/run", None)
    with pytest.raises(ReportError, match="somebody else's"):
        locks.lock_machine(False, "/another/run", None)
    os.close(held)


def test_where_there_is_no_place_for_a_lock_there_is_none(monkeypatch):
    monkeypatch.setattr(locks, "PATHS", (str(HARNESS / "no such folder" / "lock"),))
    assert locks.lock_machine(False, "/a/run", None) is None


def test_a_folder_is_locked_once(tmp_path):
    held = locks.lock_folder(str(tmp_path))
    with pytest.raises(ReportError, match=f"another sweep is running in {tmp_path}$"):
        locks.lock_folder(str(tmp_path))
    os.close(held)
    os.close(locks.lock_folder(str(tmp_path), wait=True))
    assert not os.listdir(tmp_path)


def test_locks_are_not_handed_on_by_accident(lock_file, tmp_path):
    held = [locks.lock_machine(False, "/a/run", None), locks.lock_folder(str(tmp_path))]
    assert not any(map(os.get_inheritable, held))
    for descriptor in held:
        os.close(descriptor)
