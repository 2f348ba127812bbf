"""Mutated inputs through the real commands, a few of each cheap kind; and that the tool sees what it looks for."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.fuzz.misbehaviour import WRONG
from tests.fuzz.mutations import mutated, mutated_archive
from tests.fuzz.text_mutations import mutated_csv, mutated_json, mutated_lines, mutated_yaml
from tests.helpers.paths import ROOT

# Of commands


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@pytest.mark.parametrize(
    ("kinds", "flags"),
    [
        ("video,model,replay,report", ("--inputs", "6", "--sound")),
        ("video,model,replay,report", ("--inputs", "24", "--seed", "11")),
        ("newer", ("--inputs", "20", "--seed", "11")),
        ("long-videos", ("--inputs", "20", "--seed", "11")),
    ],
)
def test_mutated_inputs_end_as_they_should(corpus: Path, kinds: str, flags: tuple[str, ...]) -> None:
    out = corpus / "fuzz.json"
    # In a process of its own: a fork must find no threads, and other tests have made some.
    command = [
        sys.executable,
        "-m",
        "tests.fuzz",
        "--kinds",
        kinds,
        "--keep",
        str(corpus),
        "--json",
        str(out),
        "--timeout",
        "120",
        *flags,
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    facts = json.loads(out.read_text())
    assert (done.returncode, facts["failures"]) == (0, []), done.stderr
    assert facts["inputs"] == int(flags[1]) and set(facts["kinds"]) <= set(kinds.split(","))
    codes = [facts["kinds"][kind]["codes"] for kind in facts["kinds"]]
    if "--sound" not in flags:
        assert len(codes) == len(kinds.split(",")) and sum(code["1"] + code["2"] for code in codes) > 0, (
            "mutations do no harm"
        )
    assert not list(corpus.glob("0*")), "sound inputs are kept"


# Of the tool


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """In a process of its own, for the same reason."""
    folder = tmp_path_factory.mktemp("misbehaviour")
    command = [sys.executable, "-m", "tests.fuzz.misbehaviour", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_seen(name: str, seen: dict[str, Any]) -> None:
    assert name in seen[name]


def test_a_hang_is_shown_where_it_is_and_what_is_good_is_good(seen: dict[str, Any]) -> None:
    assert "in _hang" in seen["stacks"], "it does not say where"
    assert seen["good"] == []


def test_commands_run_side_by_side(seen: dict[str, Any]) -> None:
    assert seen["side by side"] == {str(number): number % 3 for number in range(7)}


def test_a_process_of_the_tool_leaves_the_callers_alone(seen: dict[str, Any]) -> None:
    caller, inner, failure = seen["in_child"]
    assert inner not in (caller, 0) and "nobody expected this" in failure


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
