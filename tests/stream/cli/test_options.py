"""The help of the command line, and what it says to those who ask for the wrong thing."""

import re

import pytest

from model.decision import DEFAULT_SENSITIVITY
from stream.cli.options import parse_options
from tests.helpers.paths import ROOT

TOPICS = {
    "sources": "--retry-for",
    "model": "--engine",
    "outputs": "--snapshots",
    "sessions": "--record-source",
    "review": "--blind",
    "web": "--serve-token",
    "experiment": "--marker-port",
    "benchmark": "python -m stream.benchmark",
}
COMMON = [
    "--camera",
    "--source",
    "--list-cameras",
    "--pace",
    "--model",
    "--provider",
    "--max-faces",
    "--sensitivity",
    "--headless",
    "--csv",
    "--events",
    "--record",
    "--session",
    "--review",
    "--serve",
    "--benchmark",
]
MOVED = {
    "--stages engine": "python -m stream.benchmark --stages engine",
    "--batch 1,8": "python -m stream.benchmark --batch N,N,…",
    "--steps 5": "python -m stream.benchmark --steps N",
    "--chart=out.png": "python -m stream.benchmark --chart OUT.png",
    "--soak 100000": "python -m stream.benchmark soak --frames N",
    "--soak-faults 30": "python -m stream.benchmark faults --minutes M",
    "--latency 60": "python -m stream.benchmark latency --seconds S",
    "--viewers": "python -m stream.benchmark latency --viewers N",
}


@pytest.fixture(autouse=True)
def wide_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")


def told(capsys: pytest.CaptureFixture[str], *argv: str, code: int = 0) -> str:
    with pytest.raises(SystemExit) as caught:
        parse_options(argv)
    assert caught.value.code == code
    captured = capsys.readouterr()
    assert (captured.out == "") == (code != 0) and (captured.err == "") == (code == 0)
    return captured.out or captured.err


def flags_of(text: str) -> list[str]:
    """Those that a help explains, in its order."""
    return re.findall(r"^  (--[a-z-]+)", text, re.MULTILINE)


def test_the_short_help_is_one_screen(capsys: pytest.CaptureFixture[str]) -> None:
    shown = told(capsys, "--help")
    lines = shown.splitlines()
    assert len(lines) <= 44 and max(map(len, lines)) <= 100
    assert flags_of(shown) == COMMON
    assert 3 <= sum(line.startswith("  python run_live.py ") for line in lines) <= 5
    assert all(re.search(rf"^  {topic} ", shown, re.MULTILINE) for topic in TOPICS)
    assert "--help TOPIC" in shown and "--help all" in shown and "no lie detector" in shown
    assert told(capsys, "-h") == shown


@pytest.mark.parametrize("topic", TOPICS)
def test_a_topic_teaches_its_options(topic: str, capsys: pytest.CaptureFixture[str]) -> None:
    shown = told(capsys, "--help", topic)
    assert TOPICS[topic] in shown and "  python run_live.py " in shown
    assert max(map(len, shown.splitlines())) <= 100
    assert told(capsys, f"--help={topic}") == told(capsys, "-h", topic) == shown
    others = [flag for name, flag in TOPICS.items() if name != topic and flag.startswith("--")]
    assert not set(others) & set(flags_of(shown))


def test_all_shows_every_option_once(capsys: pytest.CaptureFixture[str]) -> None:
    shown = told(capsys, "--help", "all")
    flags = flags_of(shown)
    assert len(flags) == len(set(flags)) and set(COMMON) < set(flags)
    assert flags == [flag for topic in TOPICS for flag in flags_of(told(capsys, "--help", topic))]
    assert not {line.split()[0].split("=")[0] for line in MOVED} & set(flags)


def test_a_topic_that_is_none_is_told_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    said = told(capsys, "--help", "nonsense", code=2)
    assert "there is no topic 'nonsense'" in said and all(topic in said for topic in (*TOPICS, "all"))


@pytest.mark.parametrize("given", MOVED)
def test_a_flag_that_moved_says_where_it_went(given: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = told(capsys, "--benchmark", *given.split(), code=2)
    assert said.splitlines()[-1].endswith(MOVED[given])


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ("--benchmark --headless", "--headless does not go with --benchmark"),
        ("--benchmark --max-faces 2", "--max-faces does not go with --benchmark"),
        ("--benchmark --sensitivity 2", "--sensitivity does not go with --benchmark"),
        ("--no-events --sensitivity 2", "--no-events leaves nothing to decide for --sensitivity"),
        ("--camera 0 --source demo", "argument --source: not allowed with argument --camera"),
        ("--list-cameras --report x", "argument --report: not allowed with argument --list-cameras"),
        ("--source demo --action-units", "--action-units adds columns to --csv"),
    ],
)
def test_options_that_do_not_go_together(argv: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert says in told(capsys, *argv.split(), code=2)


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "0.009", "60.1", "many", ""])
def test_a_sensitivity_out_of_range_is_one_line(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = told(capsys, f"--sensitivity={value}", code=2)
    assert re.search(r"error: argument --sensitivity: expected .* found ", said.splitlines()[-1])


def test_a_sensitivity_is_that_of_the_run_unless_none_is_given() -> None:
    usual, given = parse_options([]), parse_options(["--sensitivity", "5"])
    assert usual.sensitivity == DEFAULT_SENSITIVITY and "sensitivity" not in usual.chosen
    assert given.sensitivity == 5.0 and "sensitivity" in given.chosen


def test_only_command_lines_know_argparse_and_options() -> None:
    found = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "stream").rglob("*.py")
        if re.search(r"^ *(import|from) (argparse|stream\.cli)\b", path.read_text(), re.MULTILINE)
    }
    assert {path for path in found if not path.startswith("stream/cli/")} == {
        "stream/benchmark/__main__.py",
        "stream/fleet/__main__.py",
    }
