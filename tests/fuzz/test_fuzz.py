"""Mutated inputs through the real commands, a few of each cheap kind; and that the tool sees what it looks for."""

import ctypes
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from tests.fuzz import forked
from tests.fuzz.case import Case
from tests.fuzz.forked import Runner
from tests.fuzz.mutations import mutated, mutated_archive
from tests.fuzz.text_mutations import mutated_csv, mutated_json, mutated_lines, mutated_yaml
from tests.fuzz.verdict import problems
from tests.helpers.paths import ROOT

# Of commands


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@pytest.mark.parametrize("flags", [("--inputs", "6", "--sound"), ("--inputs", "24", "--seed", "11")])
def test_mutated_inputs_end_as_they_should(corpus: Path, flags: tuple[str, ...]) -> None:
    kinds = "video,model,replay,report"
    out = corpus / "fuzz.json"
    # In a process of its own: a fork must find no threads, and other tests have made some.
    command = [sys.executable, "-m", "tests.fuzz", "--kinds", kinds, "--keep", str(corpus), "--json", str(out), *flags]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    facts = json.loads(out.read_text())
    assert (done.returncode, facts["failures"]) == (0, []), done.stderr
    assert facts["inputs"] == int(flags[1]) and set(facts["kinds"]) <= set(kinds.split(","))
    codes = [facts["kinds"][kind]["codes"] for kind in facts["kinds"]]
    if "--sound" not in flags:
        assert len(codes) == 4 and sum(code["1"] + code["2"] for code in codes) > 0, "mutations do no harm"
    assert not list(corpus.glob("0*")), "sound inputs are kept"


# Of the tool: commands that do what no command may


def _hang() -> int:
    threading.Event().wait()
    return 0


def _crash() -> int:
    ctypes.string_at(0)
    return 0


def _raise() -> int:
    raise KeyError("nobody expected this")


def _say_nothing() -> int:
    return 1


def _be_unclear() -> int:
    print("error: unexpected KeyError: 'x' (run again with --debug for the details)", file=sys.stderr)
    return 1


def _tear() -> int:
    Path("rows.csv").write_text("a,b\n1,2\n3")
    return 0


def _leave_a_process() -> int:
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    return 0


def _leave_a_thread() -> int:
    threading.Thread(target=time.sleep, args=(60,), daemon=True, name="forgotten").start()
    return 0


def _end_strangely() -> int:
    return 3


def _be_good() -> int:
    Path("rows.csv").write_text("a,b\n1,2\n")
    print("error: rows.csv is no video: give one", file=sys.stderr)
    return 1


WRONG: dict[str, Callable[[], int]] = {
    "hang": _hang,
    "crash": _crash,
    "traceback": _raise,
    "silent": _say_nothing,
    "unclear": _be_unclear,
    "torn": _tear,
    "orphan": _leave_a_process,
    "threads": _leave_a_thread,
    "code": _end_strangely,
}


@pytest.mark.parametrize("name", [*WRONG, "good"])
def test_what_is_wrong_is_seen(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = WRONG.get(name, _be_good)
    monkeypatch.setattr(forked, "_called", lambda case, argv: _as_a_command(command))
    monkeypatch.setattr(forked, "_GRACE_S", 0.3)
    case = Case("run_live", (), "none", ("rows.csv",))

    def prepared() -> Iterator[tuple[int, Path, Case]]:
        yield 1, tmp_path, case

    [(number, ended)] = Runner(jobs=1, timeout_s=1.0 if name == "hang" else 60.0).run(prepared())
    found = [kind for kind, _ in problems(case, tmp_path, ended)]
    assert number == 1
    assert (name in found) if name in WRONG else found == []
    if name == "hang":
        assert "_hang" in (tmp_path / forked.STACKS).read_text(), "it does not say where"


def _as_a_command(command: Callable[[], int]) -> int:
    import traceback

    try:
        return command()
    except Exception:
        traceback.print_exc()
        return 1


def test_commands_run_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forked, "_called", lambda case, argv: int(argv[0]))

    def prepared() -> Iterator[tuple[int, Path, Case]]:
        for number in range(7):
            (tmp_path / str(number)).mkdir()
            yield number, tmp_path / str(number), Case("train", (str(number % 3),), "", ())

    ended = dict(Runner(jobs=3, timeout_s=60.0).run(prepared()))
    assert {number: one.code for number, one in ended.items()} == {number: number % 3 for number in range(7)}


# Of the mutations

DATA = bytes(range(256)) * 8
SETTINGS = {"epochs": 3, "data": ["a", "b"], "input": {"kind": "flow", "scale": 0.5}}


def test_a_seed_gives_the_same_mutation_and_seeds_differ() -> None:
    found = [mutated(DATA, Random(seed)) for seed in range(60)]
    assert found == [mutated(DATA, Random(seed)) for seed in range(60)]
    assert len({data for data, _ in found}) > 50
    assert sum(data == DATA for data, _ in found) <= 3


@pytest.mark.parametrize("data", [b"", b"x", b"\xff\xd8\xff"])
def test_next_to_nothing_can_be_mutated(data: bytes) -> None:
    for seed in range(100):
        assert isinstance(mutated(data, Random(seed))[0], bytes)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (mutated_json, json.dumps(SETTINGS)),
        (mutated_lines, (json.dumps(SETTINGS) + "\n") * 3),
        (mutated_csv, "frame,time_s\n0,0.5\n1,0.6\n"),
        (mutated_yaml, json.dumps(SETTINGS)),
    ],
)
def test_text_is_mutated_by_what_it_means(change: Callable, text: str) -> None:
    found = [change(text, Random(seed)) for seed in range(200)]
    assert found == [change(text, Random(seed)) for seed in range(200)]
    assert len({changed for changed, _ in found}) > 40
    readable = 0
    for changed, _ in found:
        try:
            json.loads(changed.splitlines()[0] if changed else "")
            readable += 1
        except (ValueError, RecursionError):
            continue
    assert change is mutated_csv or readable > 60


def test_an_archive_stays_one(tmp_path: Path) -> None:
    import io
    import zipfile

    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr("a.xml", DATA)
        archive.writestr("b.xml", DATA)
    for seed in range(20):
        data, how = mutated_archive(whole.getvalue(), Random(seed))
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        assert set(members) == {"a.xml", "b.xml"} and how[:5] in members
        assert sum(content != DATA for content in members.values()) <= 1


def test_a_process_of_the_tool_leaves_the_callers_alone(tmp_path: Path) -> None:
    pid = os.getpid()
    forked.in_child(lambda: (tmp_path / "seen").write_text(str(os.getpid())))
    assert int((tmp_path / "seen").read_text()) not in (pid, 0)
    with pytest.raises(RuntimeError, match="nobody expected this"):
        forked.in_child(_raise)
