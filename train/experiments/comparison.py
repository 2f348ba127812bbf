"""The table of rows compared on validation people as JSON, Markdown and for the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from train.clips.samples import Samples, open_stores, samples_of, split_by_people
from train.experiments.live_cost import CAMERA_FPS, LiveCost
from train.experiments.rows import Answers
from train.experiments.schedule import Finished, SchedulePlan
from train.fit_config import TrainConfig
from train.loso.pooled_scores import spread
from train.scores.metrics import by_peak, chance, confusion_matrix, join, scores
from train.text_table import TextTable, spread_text

SCHEMA_VERSION = 1
VALIDATION = "validation"


def experiments_facts(
    plan: SchedulePlan,
    finished: Sequence[Finished],
    live: Mapping[str, LiveCost],
    machine: Mapping[str, Any],
    command: str,
) -> dict[str, Any]:
    """What `experiments.json` holds: plain values alone.

    schema_version, title, command, data, base (settings), train (n, people), parts (by name, "validation" and each test
    store: n, people, chance of uf1 and uar), machine, rows, and unfinished (names of rows without an answer). A row has
    name, about, kind, settings, seeds, parameters, seconds (median of a seed), live (`LiveCost` or None) and parts: by
    name, uf1, uar and accuracy, each mean, sd and by_seed, and by_peak: by bin, n and uf1.

    Raises:
        UsageError: rows were validated on different clips.
    """
    names = [VALIDATION, *plan.test]
    rows: list[dict[str, Any]] = []
    truths = {name: _Truth.of(name, finished[0].config) for name in names}
    for row in plan.spec.rows:
        mine = [one for one in finished if one.row.name == row.name]
        if not mine:
            continue
        rows.append(
            {
                "name": row.name,
                "about": row.about,
                "kind": row.kind,
                "settings": {**row.overrides, **row.settings},
                "seeds": [one.config.seed for one in mine],
                "parameters": mine[0].answers.parameters,
                "seconds": float(np.median([one.seconds for one in mine])),
                "live": live[row.name].to_dict() if row.name in live else None,
                "parts": {name: truths[name].part([_answers(one, name) for one in mine]) for name in names},
            }
        )
    config = finished[0].config
    samples = samples_of(open_stores(config.data))
    train = split_by_people(samples, config).train
    return {
        "schema_version": SCHEMA_VERSION,
        "title": plan.spec.title,
        "command": command,
        "data": list(config.data),
        "base": dict(plan.spec.base),
        "train": {"n": len(train), "people": samples.people_of(train)},
        "parts": {name: truth.facts() for name, truth in truths.items()},
        "machine": dict(machine),
        "rows": rows,
        "unfinished": [row.name for row in plan.spec.rows if row.name not in {one["name"] for one in rows}],
    }


def _answers(one: Finished, name: str) -> Answers:
    return one.answers.validation if name == VALIDATION else one.answers.test[name]


class _Truth:
    """The clips of one part and what they show."""

    def __init__(self, samples: Samples, rows: Sequence[int]) -> None:
        self._names = samples.class_names
        self._labels = [(samples.ids[row], int(samples.labels[row])) for row in rows]
        self._peaks = [samples.peaks_px[row] for row in rows]
        self._people = sorted({samples.people[row] for row in rows})

    @classmethod
    def of(cls, name: str, config: TrainConfig) -> "_Truth":
        samples = samples_of(open_stores(config.data if name == VALIDATION else (name,)))
        if name == VALIDATION:
            return cls(samples, split_by_people(samples, config).validation.tolist())
        return cls(samples, range(len(samples.ids)))

    def facts(self) -> dict[str, Any]:
        counts = np.bincount([label for _, label in self._labels], minlength=len(self._names))
        guess = chance(counts)
        return {
            "n": len(self._labels),
            "people": self._people,
            "class_counts": dict(zip(self._names, counts.tolist(), strict=True)),
            "chance": {"uf1": guess.uf1, "uar": guess.uar},
        }

    def part(self, seeds: Sequence[Answers]) -> dict[str, Any]:
        """Scores of one row over its seeds."""
        found, bins = [], []
        for answers in seeds:
            guessed = zip(answers.ids, answers.probabilities.argmax(axis=1).tolist(), strict=True)
            truth, guess = join(self._labels, guessed)
            found.append(scores(confusion_matrix(truth, guess, len(self._names)), self._names))
            bins.append(by_peak(truth, guess, self._peaks, self._names))
        return {
            **{name: spread([getattr(one, name) for one in found]) for name in ("uf1", "uar", "accuracy")},
            "by_peak": {
                name: {"n": part["n"], "uf1": spread([one[name]["uf1"] for one in bins])}
                for name, part in bins[0].items()
            },
        }


def markdown(facts: Mapping[str, Any]) -> str:
    """The tables, one for each part, with what is needed to read them."""
    lines = [f"# {facts['title']}", ""]
    for name, part in facts["parts"].items():
        lines += [f"## {part_title(name)}: {clips_text(part)}", "", _made(facts, name), ""]
        lines += [_whole_table(facts, name).markdown(), ""]
    if facts["unfinished"]:
        lines += [f"Not finished: {', '.join(facts['unfinished'])}.", ""]
    return "\n".join([*lines, f"Made by `{facts['command']}`", ""])


def part_title(name: str) -> str:
    return "Validation people" if name == VALIDATION else f"Test people ({name})"


def clips_text(part: Mapping[str, Any]) -> str:
    people = [person.split("/", 1)[1] for person in part["people"]]
    return f"n = {part['n']} clips of {len(people)} people ({', '.join(people)})"


def _made(facts: Mapping[str, Any], name: str) -> str:
    role = (
        "The epoch of each run, and whatever is chosen by this table, is chosen on these people."
        if name == VALIDATION
        else "Nothing was chosen on these people."
    )
    base = ", ".join(f"{key} {_in_words(value)}" for key, value in facts["base"].items())
    return (
        f"{role} Trained alike on {facts['train']['n']} clips of {len(facts['train']['people'])} other people "
        f"({base}). ± is the standard deviation over seeds. UF1 by peak motion is over the classes that move. Live: "
        f"median CPU milliseconds a frame on one thread, all rows in turn; load is the share of a core at {CAMERA_FPS:g} "
        "camera frames a second."
    )


def _in_words(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _heads(bins: Mapping[str, Any]) -> list[str]:
    peaks = [f"UF1 {name} (n {part['n']})" for name, part in bins.items()]
    return ["row", "seeds", "parameters", "UF1", "UAR", *peaks, "preprocessing ms", "model ms", "sum ms", "load"]


def _cells(row: Mapping[str, Any], name: str) -> list[str]:
    part, live = row["parts"][name], row["live"]
    peaks = [spread_text(one["uf1"]) for one in part["by_peak"].values()]
    cost = ["–"] * 4
    if live:
        cost = [f"{live[key]['p50_ms']:.2f}" for key in ("preprocess", "model")]
        cost += [f"{live['sum_ms']:.2f}", f"{100 * live['load']:.1f} %"]
    told = [str(len(row["seeds"])), f"{row['parameters']:,}", spread_text(part["uf1"]), spread_text(part["uar"])]
    return [*told, *peaks, *cost]


def _whole_table(facts: Mapping[str, Any], name: str) -> TextTable:
    heads = _heads(facts["rows"][0]["parts"][name]["by_peak"])
    rows = [[_titled(row), *_cells(row, name)] for row in facts["rows"]]
    guess = facts["parts"][name]["chance"]
    return TextTable("", heads, [*rows, ["chance", "", "", f"{guess['uf1']:.3f}", f"{guess['uar']:.3f}"]])


def _titled(row: Mapping[str, Any]) -> str:
    return f"{row['name']}: {row['about']}" if row["about"] else row["name"]


def terminal_table(facts: Mapping[str, Any], name: str) -> TextTable:
    """One part's rows, chance last: what fits into 80 columns; the rest is in the Markdown."""
    part, rows = facts["parts"][name], []
    for row in facts["rows"]:
        found, live = row["parts"][name], row["live"]
        spreads = [found["uf1"], found["uar"], *(one["uf1"] for one in found["by_peak"].values())]
        cells = [spread_text(one).replace(" ± ", "\n± ") for one in spreads]
        rows.append([row["name"], *cells, f"{live['sum_ms']:.2f}" if live else "–"])
    peaks = facts["rows"][0]["parts"][name]["by_peak"]
    guess = part["chance"]
    return TextTable(
        f"{facts['title']}. {part_title(name)}: {clips_text(part)}",
        ["row", "UF1", "UAR", *(f"UF1\n{peak}" for peak in peaks), "live\nms"],
        [*rows, ["chance", f"{guess['uf1']:.3f}", f"{guess['uar']:.3f}"]],
        note="± standard deviation over seeds; ms: preprocessing and model of a frame, one thread, rows in turn",
        last_apart=True,
    )
