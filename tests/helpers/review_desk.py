"""A desk for the tests: the program itself on a loopback port, and material to look through."""

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from tests.helpers.paths import ROOT


@contextlib.contextmanager
def desk(*argv: object, folder: Path = ROOT) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The program's process and the address that it prints."""
    command = [sys.executable, str(ROOT / "run_live.py"), "--review", *map(str, argv)]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        try:
            assert process.stdout is not None
            said: list[str] = []
            for line in process.stdout:
                said.append(line)
                if found := re.search(r"The desk of .*: (http://\S+)", line):
                    yield process, found[1]
                    break
            else:
                raise AssertionError("".join(said))
        finally:
            process.kill()


def get(url: str, path: str) -> Any:
    with urlopen(url + path, timeout=60) as answer:
        return json.load(answer)


def post(url: str, path: str, **body: object) -> Any:
    """As the page does it. Raises HTTPError for what is refused."""
    headers = {"Content-Type": "application/json", "Origin": url.rstrip("/")}
    request = Request(url + path, json.dumps({"material": 0, **body}).encode(), headers)
    with urlopen(request, timeout=60) as answer:
        return json.load(answer)


def made_session(folder: Path, events: int, rejected_share: float = 0.8) -> Path:
    """A session without pictures: its facts, and so many candidates, one every two seconds."""
    folder.mkdir()
    facts = {
        "schema_version": 1,
        "state": "ended",
        "model": {"class_names": ["negative", "positive", "surprise", "neutral"]},
        "decision": {
            "sensitivity": 0.5,
            "curve": [
                {"min_probability": 0.1, "false_per_min": 5.0, "recall": 0.8},
                {"min_probability": 0.5, "false_per_min": 0.5, "recall": 0.4},
            ],
        },
    }
    (folder / "session.json").write_text(json.dumps(facts))
    with (folder / "events.jsonl").open("w") as file:
        for number in range(events):
            probability = (number * 37 % 100) / 100
            event = {
                "kind": "micro", "label": ("negative", "positive", "surprise")[number % 3], "onset_s": 2.0 * number + 1,
                "apex_s": 2.0 * number + 1.2, "offset_s": 2.0 * number + 1.4, "confidence": 0.9, "peak_px": 1.5, "track": 1,
                "probability": probability, "action_units": ["4", "L12"],
            }  # fmt: skip
            if probability < rejected_share:
                event["rejected"] = "no_expression"
            file.write(json.dumps(event) + "\n")
    return folder
