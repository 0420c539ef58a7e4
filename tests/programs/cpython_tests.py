"""cpython_tests.py MODULE... -- COMMAND...: runs each test module by the command, which goes before Python's own.

Prints every test's result. A module with a failure runs once more: some tests race with time."""
import collections
import os
import subprocess
import sys
import xml.etree.ElementTree

# Need a network, a display or many minutes, or test other things than the interpreter.
LEFT_OUT = {
    "tools", "distutils", "idle", "lib2to3", "tcl", "tk", "ttk_guionly", "turtle", "winreg", "winsound", "msilib",
    "smtpnet", "urllib2net", "urllibnet", "ssl_dtls", "peg_generator", "gdb", "venv", "ensurepip", "zipfile64",
    # Their results depend on the allocator's addresses, or on PYTHONMALLOC, by design.
    "embed", "tracemalloc",
}


def modules_of_all():
    from test.libregrtest.main import findtests
    names = [name[len("test_"):] for name in findtests()]
    return [name for name in names if name not in LEFT_OUT]


def results(module, command):
    """The result of each test of a module: passed, skipped or failed."""
    path = os.path.abspath(f"{module}.xml")
    if os.path.exists(path):
        os.unlink(path)
    done = subprocess.run(command + ["/usr/bin/python3", "-m", "test", "--junit-xml", path, "--timeout", "900",
                                     f"test_{module}"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True)
    if not os.path.exists(path):
        return {"": f"status {done.returncode}"}, done.stdout
    found = {}
    for case in xml.etree.ElementTree.parse(path).iter("testcase"):
        bad = case.find("failure") is not None or case.find("error") is not None
        # A failed subtest counts for its test.
        found[case.get("name")] = "failed" if bad or found.get(case.get("name")) == "failed" else case.get("result")
    if done.returncode:
        found[""] = f"status {done.returncode}"
    return found, done.stdout


def main():
    split = sys.argv.index("--")
    modules, command = sys.argv[1:split], sys.argv[split + 1:]
    for module in modules_of_all() if modules == ["all"] else modules:
        found, output = results(module, command)
        if "" in found:
            sys.stderr.write(output)
            found, output = results(module, command)
        counts = collections.Counter(found.values())
        print(module, dict(sorted(counts.items())), flush=True)
        for name, result in sorted(found.items()):
            if result != "completed":
                print(f"    {name}: {result}")


main()
