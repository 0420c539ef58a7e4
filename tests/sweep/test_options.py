"""What the command line and a plan file may say, and what is recorded of it."""

import pytest
from made_up_sweep import parsed

from numa_report.errors import UsageError
from numa_sweep import options as option_words

BAD_LISTS = {
    "--bench": ("stream", "latency,latency", "", "bench/latency", "latency,", "latency bandwidth"),
    "--cpu-nodes": ("node0", "", "0,", "1-", "-1", "0 1"),
    "--cpus": ("x", "", "0,,1", "0-1-2", "+1", "1.5"),
    "--mem-nodes": ("all", "", "0,"),
    "--policies": ("bind", "bind:x", "bind:0-1", "bind:@,interleve:all", "bind:0,bind:0", "weighted:0", "weighted:0=0",
                   "weighted:0=256", "weighted:@=1", "Local", "", "local,", "preferred:", "interleave:@", "local:0",
                   "none:0"),
    "--allocators": ("jemalloc", "glibc,glibc", "a=/lib/a.so,a=/lib/b.so", "a b=/lib/a.so", "", "=/lib/a.so", "glibc,"),
    "--pages": ("4K", "2M,2M", "", "THP", "default,"),
    "--threads": ("0", "two", "1,,2", "", "1-4", "-1", "100000", "all,all"),
    "--sizes": ("4X", "0", "100", "99999999999G", "-4M", "", "1.5M", "64K,64K", "64K,1", "4 M"),
    "--rounds": ("0", "two", "", "1,2", "-1", "100000", "01"),
    "--extra-rounds": ("few", "-1", "", "1000"),
    "--max-samples": ("0", "1001", "few", ""),
    "--min-sample-ms": ("0", "60001", "1.5"),
    "--seed": ("-1", "x", "", "1234567890"),
    "--timeout": ("0", "1.5", "", "1000000", "inf"),
    "--host-name": ("a host", "", "-x", "a/b"),
    "--out": ("",),
    "--resume": ("",),
    "--plan": ("", "/nowhere/at.all", "/"),
    "--hosts": ("", " "),
    "--jobs": ("0", "x"),
}


@pytest.mark.parametrize("option, value", [(option, value) for option, values in BAD_LISTS.items() for value in values])
def test_a_bad_value_is_named_with_its_option(option, value):
    with pytest.raises(UsageError) as refused:
        parsed(f"{option}={value}")
    words = str(refused.value)
    assert words.startswith(f"{option}: ") and "\n" not in words
    parts = [value.strip() or "it is empty", value.partition("=")[0], *value.split(",")]
    assert any(part in words for part in parts if part)


@pytest.mark.parametrize("option, value", [
    ("--policies", "bind:@,preferred:@,preferred:0-2,interleave:all,interleave:0,2,weighted:0=1,2=255,local,none"),
    ("--allocators", "numa_alloc,glibc,jemalloc=/usr/lib/x86_64-linux-gnu/libjemalloc.so.2,mine=./my lib.so"),
    ("--pages", "default,thp,2M,1G"), ("--threads", "1,2,all"), ("--sizes", "64K,64k,1m,65537,512G"), ("--seed", "0"),
    ("--extra-rounds", "0"), ("--cpus", "0,2-3"), ("--host-name", "db-1.example.org"),
])
def test_good_values_stay_as_typed(option, value):
    assert str(getattr(parsed(option, value), option[2:].replace("-", "_"))) == value


def test_a_list_of_policies_is_parted_before_each_policy():
    assert option_words.split_policies("bind:@,interleave:0,2,weighted:0=3,1=1,local") == \
        ["bind:@", "interleave:0,2", "weighted:0=3,1=1", "local"]


@pytest.mark.parametrize("words, said", [
    (["--sizes", "511", "--bench", "latency"], "--sizes: '511' is not accepted; latency takes 512 bytes to 512 GiB"),
    (["--sizes", "65535", "--bench", "bandwidth"],
     "--sizes: '65535' is not accepted; bandwidth takes 64 KiB to 4096 GiB"),
    (["--cpus", "0", "--all-cpus"], "--cpus and --all-cpus exclude each other"),
    (["--cpu-nodes", "0", "--cpus", "0"], "--cpu-nodes and --cpus or --all-cpus exclude each other"),
    (["--cpu-nodes", "0", "--all-cpus"], "--cpu-nodes and --cpus or --all-cpus exclude each other"),
    (["--out", "a", "--resume", "b"], "--out cannot be given with it"),
    (["--resume", "b", "--dry-run"], "--dry-run: not with --resume"),
    (["--metric", "a=b:c"], "--metric: only with a command, which comes after --"),
    (["--name", "a"], "--name: only with a command"),
    (["--setup", "true"], "--setup: only with a command"),
    (["--teardown", "true"], "--teardown: only with a command"),
    (["--max-samples", "3", "--", "true"], "--max-samples: a benchmark's, not a command's"),
    (["--min-sample-ms", "3", "--", "true"], "--min-sample-ms: a benchmark's, not a command's"),
    (["--bench", "latency", "--", "true"], "--bench: not with a command"),
    (["--jobs", "2"], "--jobs: only with --hosts"),
    (["--remote-path", "/there"], "--remote-path: only with --hosts"),
    (["--"], "--: a command is expected after it"),
    (["program"], "unknown option or argument 'program'; a command to run comes after --"),
    (["--size", "4M"], "unknown option or argument '--size 4M'"),
    (["--timeout"], "--timeout: needs a value"),
    (["--dry-run=yes"], "--dry-run"),
])
def test_what_does_not_go_together_is_one_line(words, said):
    with pytest.raises(UsageError) as refused:
        parsed(*words)
    assert said in str(refused.value) and "\n" not in str(refused.value)


def test_a_command_may_have_options_of_any_name():
    options = parsed("--rounds", "2", "--", "program", "--rounds", "7", "--", "x")
    assert options.rounds == 2 and options.command == ["program", "--rounds", "7", "--", "x"]


@pytest.mark.parametrize("spec, said", [
    ("tps", "is not accepted; NAME=REGEX:UNIT"), ("tps=", "is not accepted"), ("tps=x", "is not accepted"),
    ("=x:s", "is not accepted"), ("1st=x:s", "is not accepted"), ("a b=x:s", "is not accepted"),
    ("tps=x:a unit", "is not accepted"), ("tps=x:" + 21 * "u", "is not accepted"), ("", "it is empty"),
    ("tps=([0-9]:1/s", "'([0-9]' is not a regular expression: "), ("tps=*:s", "is not a regular expression"),
    ("tps=(a)(b):1/s", "'(a)(b)' has 2 groups; one holds the number (others: (?:...))"),
    ("wall_time=x:s", "'wall_time' is always recorded"), ("peak_memory=x:B", "'peak_memory' is always recorded"),
])
def test_a_bad_metric_is_named(spec, said):
    with pytest.raises(UsageError) as refused:
        parsed("--metric", spec, "--", "true")
    assert str(refused.value).startswith("--metric: ") and said in str(refused.value)


def test_two_metrics_of_a_name_are_refused():
    with pytest.raises(UsageError, match="--metric: 'a' is named twice"):
        parsed("--metric", "a=x:s", "--metric", "b=x:s", "--metric", "a=y:s", "--", "true")


# A plan file.

def write_plan(tmp_path, text):
    path = tmp_path / "a.plan"
    path.write_text(text, encoding="utf-8")
    return str(path)


PLAN = """\
# nightly.plan: what remote memory costs

  rounds   =   5
policies=bind:@,interleave:all
metric = tps=tps = ([0-9.]+):1/s:higher
metric = lag=lag #([0-9.]+):ms
setup = createdb bench && pgbench -i -q bench
no-pictures
command = pgbench -n -c 'import x' "a b" bench
"""


def test_a_plan_gives_options_and_a_command(tmp_path):
    options = parsed("--plan", write_plan(tmp_path, PLAN))
    assert options.rounds == 5 and options.policies == "bind:@,interleave:all" and options.no_pictures
    assert options.metric == ["tps=tps = ([0-9.]+):1/s:higher", "lag=lag #([0-9.]+):ms"]
    assert options.setup == "createdb bench && pgbench -i -q bench"
    assert options.command == ["pgbench", "-n", "-c", "import x", "a b", "bench"]


def test_the_command_line_wins_over_the_plan(tmp_path):
    options = parsed("--rounds=2", "--plan", write_plan(tmp_path, PLAN), "--policies", "local", "--", "other", "words")
    assert options.rounds == 2 and options.policies == "local" and options.command == ["other", "words"]
    assert options.no_pictures and len(options.metric) == 2


@pytest.mark.parametrize("line, said", [
    ("rounds = two", "--rounds: 'two' is not accepted"), ("rounds", "needs a value"), ("rounds =", "it is empty"),
    ("round = 2", "unknown option"), ("no-sentinel = yes", "--no-sentinel"), ("command =", "command: it is empty"),
    ("command = echo 'open", "No closing quotation"), ("plan = b.plan", "'plan' is not accepted in a plan"),
    ("help", "'help' is not accepted in a plan"), ("policies = bind:@,lokal", "'lokal' is not accepted"),
    ("metric = tps", "--metric: 'tps' is not accepted"), ("--rounds = 2", "unknown option"),
    ("sizes = 4X", "--sizes: '4X' is not accepted"),
])
def test_a_bad_line_of_a_plan_is_named_by_file_and_line(tmp_path, line, said):
    path = write_plan(tmp_path, f"# a plan\n\n{line}\n")
    with pytest.raises(UsageError) as refused:
        parsed("--plan", path)
    assert str(refused.value).startswith(f"--plan: {path}:3: ") and said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_plan_that_is_not_text_is_refused(tmp_path):
    (tmp_path / "a.plan").write_bytes(b"\xff\n")
    with pytest.raises(UsageError, match="a.plan: is not UTF-8 text"):
        parsed("--plan", str(tmp_path / "a.plan"))


# What is recorded, and read again.

@pytest.mark.parametrize("words", [
    [], ["--all-cpus", "--no-sentinel", "--rounds", "5"], ["--sizes", "64K,1M", "--seed", "0", "--out", "/a b/c"],
    ["--metric", "a=x:s", "--metric", "b=--y:s:lower", "--setup", "a\nb; c", "--", "prog", "--rounds", "", "-x", "ä"],
])
def test_recorded_options_read_back_as_typed(words):
    options = parsed(*words)
    kept = option_words.recorded(options)
    assert option_words.recorded(option_words.parse(option_words.words_of_recorded(kept))) == kept


@pytest.mark.parametrize("change", [
    {"max_samples": "few"}, {"sizes": "-"}, {"sizes": [4]}, {"timeout": -1}, {"rounds": {}}, {"command": [None]},
    {"rounds": 1.5}, {"nonsense": 1},
])
def test_recorded_options_that_are_damaged_are_refused(change):
    kept = {**option_words.recorded(parsed()), **change}
    with pytest.raises((UsageError, TypeError)):
        option_words.parse(option_words.words_of_recorded(kept))
    with pytest.raises((UsageError, TypeError)):
        option_words.parse(option_words.words_of_recorded("not a dictionary"))


def test_an_option_typed_with_its_default_value_is_given():
    assert parsed("--rounds", "3").given == ["rounds"]
    assert parsed("--seed=0", "--no-pictures", "--", "true").given == ["seed", "no_pictures", "command"]
    assert parsed().given == []


def test_words_for_another_host_are_those_typed():
    options = parsed("--rounds", "3", "--out", "here", "--no-sentinel", "--metric", "a=b:c", "--metric", "d=e:f",
                     "--", "x", "y")
    assert option_words.words_for(options, ("out",)) == \
        ["--metric=a=b:c", "--metric=d=e:f", "--rounds=3", "--no-sentinel", "--", "x", "y"]
