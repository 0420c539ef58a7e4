"""A fleet's hosts as they are named, what is sent to them, and what becomes of their rows."""

import os
import resource
import tarfile

import pytest

from numa_report.errors import ReportError, UsageError
from numa_sweep import head, host_rows, hosts, package

SSH = ["ssh", *hosts.SSH_OPTIONS]


@pytest.mark.parametrize("line, label, words", [
    ("server.example.com", "server.example.com", [*SSH, "server.example.com"]),
    ("me@lab1", "lab1", [*SSH, "-l", "me", "lab1"]),
    ("8/lab1", "lab1", [*SSH, "lab1"]),
    ("@rack1+rack2/lab1", "lab1", [*SSH, "lab1"]),
    ("@rack1/4/ssh -p 2222 lab1", "lab1-2222", ["ssh", "-p", "2222", *hosts.SSH_OPTIONS, "lab1"]),
    ("ssh -p2222 lab1", "lab1-2222", ["ssh", "-p2222", *hosts.SSH_OPTIONS, "lab1"]),
    ("ssh -o Port=2222 lab1", "lab1-2222", ["ssh", "-o", "Port=2222", *hosts.SSH_OPTIONS, "lab1"]),
    ("me@lab1:2222", "lab1-2222", [*SSH, "-p", "2222", "-l", "me", "lab1"]),
    ("ssh -i '/a key/id' lab1", "lab1", ["ssh", "-i", "/a key/id", *hosts.SSH_OPTIONS, "lab1"]),
    ("6//usr/local/bin/myssh -p 2222 -l me hexa", "hexa-2222", ["/usr/local/bin/myssh", "-p", "2222", "-l", "me", "hexa"]),
    ("//usr/local/bin/myssh hexa", "hexa", ["//usr/local/bin/myssh", "hexa"]),
    ("myssh hexa:22", "hexa-22", ["myssh", "-p", "22", "hexa"]),
    ("[2001:db8::1]:2222", "2001-db8--1-2222", [*SSH, "-p", "2222", "2001:db8::1"]),
    ("2001:db8::1", "2001-db8--1", [*SSH, "2001:db8::1"]),
    ("2001:db8::1p2222", "2001-db8--1-2222", [*SSH, "-p", "2222", "2001:db8::1"]),
])
def test_lines_as_gnu_parallel_has_them(line, label, words):
    found = hosts.parse(line)
    assert (found.label, found.words) == (label, words)


def test_a_colon_is_this_machine_without_ssh():
    found = hosts.parse("16/:")
    assert found.label == os.uname().nodename and found.sshlogin == ":" and "ssh" not in found.words


@pytest.mark.parametrize("line, said", [
    ("node[01-10]", "not a host"), ("lab1,lab2", "not a host"), ("-oProxyCommand=x", "not a host"), ("me@", "not a host"),
    ("me@-x", "not a host"), ("-l@lab1", "not a user's name"), ("me:secret@lab1", "password"), ("lab1:0", "not a port"),
    ("lab1:65536", "not a port"), ("lab1:ssh", "not a host"), ("ssh -i 'key lab1", "cannot be split"), ("4/", "not a host"),
    ("@rack1", "not a user's name"), ("lab\x1b1", "control character"), ("x" * 61, "at most 60"),
    ("/nowhere/hosts", "not a host"),
])
def test_a_line_that_names_no_host_is_refused(line, said):
    with pytest.raises(UsageError, match=said):
        hosts.parse(line)


def test_a_file_of_hosts(tmp_path):
    path = tmp_path / "hosts"
    path.write_text("# the lab\n\n  lab1  \n8/me@lab2\r\n  # not lab3\n")
    assert [host.label for host in hosts.read(str(path))] == ["lab1", "lab2"]


def test_names_between_white_space():
    assert [host.label for host in hosts.read("lab1\nlab2\tlab3 lab1:2222\n")] == ["lab1", "lab2", "lab3", "lab1-2222"]


@pytest.mark.parametrize("text, said", [
    ("lab1\n\nno host,\n", ":3: 'host,' is not a host"), ("lab1\nme@lab1\n", ":2: host lab1 is named twice"),
    ("# none\n", ": names no host"),
])
def test_a_bad_file_is_named_with_the_line(tmp_path, text, said):
    path = tmp_path / "hosts"
    path.write_text(text)
    with pytest.raises(UsageError) as error:
        hosts.read(str(path))
    assert f"--hosts: {path}{said}" in str(error.value)


def test_a_file_that_is_not_text(tmp_path):
    path = tmp_path / "hosts"
    path.write_bytes(b"lab1\xff\n")
    with pytest.raises(UsageError, match="not UTF-8"):
        hosts.read(str(path))


# The package.

@pytest.fixture
def project(tmp_path):
    root = tmp_path / "project"
    for name in (*package.BUILT, "harness/run_matrix.sh", "harness/numa_sweep/a.py", "harness/numa_report/b.py",
                 "harness/numa_report/verdict/d.py", "harness/notes.txt", "harness/lab/c.sh", "harness/numa_sweep/__pycache__/a.pyc"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (root / "harness/run_matrix.sh").chmod(0o755)
    return root


def test_what_a_sweep_needs_is_sent_and_no_more(project, tmp_path):
    package.make(str(project), str(tmp_path))
    with tarfile.open(tmp_path / package.FILE) as archive:
        members = {member.name: member for member in archive}
        assert set(members) == {*package.BUILT, "harness/run_matrix.sh", "harness/numa_sweep/a.py",
                                "harness/numa_report/b.py", "harness/numa_report/verdict/d.py", package.MARK}
        assert archive.getnames()[-1] == package.MARK
        assert members["harness/run_matrix.sh"].mode & 0o100 and not members["harness/numa_sweep/a.py"].mode & 0o100
        assert archive.extractfile("alloc/numa_alloc.so").read() == b"alloc/numa_alloc.so"


def test_the_package_is_named_by_its_content(project, tmp_path):
    first = package.make(str(project), str(tmp_path))
    os.utime(project / "harness/numa_sweep/a.py", ns=(1, 1))
    assert package.make(str(project), str(tmp_path)) == first
    (project / "harness/numa_sweep/a.py").write_text("changed")
    assert package.make(str(project), str(tmp_path)) != first


def test_what_is_not_built_is_named(project, tmp_path):
    (project / "bench/latency").unlink()
    with pytest.raises(ReportError, match="bench/latency is not built: run make"):
        package.make(str(project), str(tmp_path))


# Rows.

@pytest.mark.parametrize("reported, found, wanted", [
    ("ok", "ok", ("ok", "")), ("ok", "failed", ("failed", "found")), ("failed", "failed", ("failed", "found")),
    ("failed", "incomplete", ("failed", "reported")), ("incomplete", "incomplete", ("incomplete", "reported")),
    ("incomplete", "ok", ("ok", "")), ("unreachable", "failed", ("unreachable", "reported")),
])
def test_a_row_is_what_the_job_said_and_what_the_folder_shows(reported, found, wanted):
    row = host_rows.completed(host_rows.row("lab1", "me@lab1", reported, reason="" if reported == "ok" else "reported"),
                              {"status": found, "reason": "" if found == "ok" else "found", "cells": 12, "kernel": "6.1"})
    assert (row["status"], row["reason"]) == wanted
    assert (row["host"], row["sshlogin"], row["cells"], row["kernel"]) == ("lab1", "me@lab1", 12, "6.1")
    assert tuple(row) == host_rows.COLUMNS


def test_rows_are_read_as_they_were_written(tmp_path):
    assert host_rows.read(str(tmp_path)) == {}
    rows = [host_rows.row("lab1", "ssh -p 2 lab1", "failed", reason='a "reason", with all'), host_rows.row("lab2")]
    host_rows.write(str(tmp_path), rows)
    assert list(host_rows.read(str(tmp_path)).values()) == rows


# How many at a time.

@pytest.mark.parametrize("asked, number, files, processes, wanted, said", [
    (None, 30, 4096, resource.RLIM_INFINITY, 30, ""), (8, 30, 4096, 9999, 8, ""), (None, 5000, 1 << 20, 1 << 20, 1000, ""),
    (2000, 5000, 1 << 20, 1 << 20, 2000, ""), (None, 400, 1024, 9999, 240, "ulimit -n is 1024"),
    (None, 400, 4096, 500, 100, "ulimit -u is 500"), (None, 3, 10, 9999, 1, "ulimit -n is 10"),
])
def test_as_many_hosts_at_a_time_as_the_limits_allow(monkeypatch, capsys, asked, number, files, processes, wanted, said):
    limits = {resource.RLIMIT_NOFILE: (64, files), resource.RLIMIT_NPROC: (processes, processes)}
    monkeypatch.setattr(resource, "getrlimit", limits.get)
    assert head.jobs_at_once(asked, number) == wanted
    assert said in capsys.readouterr().err
