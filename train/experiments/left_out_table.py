"""The table of rows by leave-one-subject-out as JSON, Markdown and for the terminal, in the form of the paper's ablation."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from model.complexity import count_parameters
from train.experiments.conclusion import conclusion, difference_text
from train.experiments.left_out_rows import TICKS, LeftOutRow
from train.experiments.paired import Bootstrap, Comparison
from train.loso.predictions import COMPOSITE
from train.text_table import TextTable, spread_text

SCHEMA_VERSION = 1
_SCORES = {"uf1": "UF1", "uar": "UAR", "accuracy": "ACC"}
_COLUMNS = ("weighted CCE", "CBAM", "CBAM, new channel", "MH", "MSMH")
_PAPER = "the paper's, on SMIC, by its own protocol"


def left_out_facts(title: str, rows: Sequence[LeftOutRow], command: str) -> dict[str, Any]:
    """What `ablation.json` holds: plain values alone.

    schema_version, title, command, stores, datasets, class_names, class_counts, scheme, protocol, select, epochs, seeds, n,
    people, chance (of all clips), input (frames, size_px, channels, kind), rows, comparisons (as `Comparison`, UF1) and
    text, the conclusion as a list of sentences. A row has name, title, ticks, parameters, scores (the parts of its
    `scores.json`), n, chance, uf1_interval (95 %, over people and seeds) and paper (uf1, uar, accuracy, parameters).
    """
    bootstrap = Bootstrap(rows)
    comparisons = bootstrap.comparisons()
    first = rows[0]
    run, part, network = first.run, first.scores["parts"][COMPOSITE], first.network
    labels = [sample.label for sample in run.samples.values()]
    return {
        "schema_version": SCHEMA_VERSION,
        "title": title,
        "command": command,
        "stores": list(run.stores),
        "datasets": list(run.datasets),
        "class_names": list(run.class_names),
        "class_counts": [labels.count(index) for index in range(len(run.class_names))],
        "scheme": run.scheme,
        "protocol": run.protocol,
        "select": run.select,
        "epochs": run.epochs,
        "seeds": list(run.seeds),
        "n": part["n"],
        "people": part["people"],
        "chance": part["chance"],
        "input": {
            "kind": first.config.input,
            "frames": network.depth,
            "size_px": network.size_px,
            "channels": network.channels,
        },
        "rows": [_row(row, bootstrap.interval(row.name)) for row in rows],
        "comparisons": [dataclasses.asdict(c) | {"by_seed": list(c.by_seed), "tells": c.tells} for c in comparisons],
        "text": conclusion(rows, bootstrap, comparisons),
    }


def _row(row: LeftOutRow, interval: tuple[float, float]) -> dict[str, Any]:
    variant, part = row.variant, row.scores["parts"][COMPOSITE]
    return {
        "name": row.name,
        "title": row.title,
        "ticks": {name: name in row.ticks for name in TICKS},
        "parameters": row.parameters,
        "scores": row.scores["parts"],
        "n": part["n"],
        "chance": part["chance"],
        "uf1_interval": list(interval),
        "paper": {
            "uf1": variant.published_uf1,
            "uar": variant.published_uar,
            "accuracy": variant.published_accuracy,
            "parameters": count_parameters(variant.config),
        },
    }


def markdown(facts: Mapping[str, Any]) -> str:
    """The table in the paper's form, with what is needed to read it and the conclusion. `facts` as `left_out_facts`."""
    lines = [f"# {facts['title']}: {clips_text(facts)}", "", _made(facts), "", _whole_table(facts).markdown(), ""]
    for name in facts["datasets"] if len(facts["datasets"]) > 1 else ():
        part = facts["rows"][0]["scores"][name]
        lines += [
            f"## {name}: {part['n']} clips of {part['people']} people",
            "",
            _part_table(facts, name).markdown(),
            "",
        ]
    lines += ["## What it says, and what it does not", "", *(f"- {sentence}" for sentence in facts["text"]), ""]
    return "\n".join([*lines, f"Made by `{facts['command']}`", ""])


def clips_text(facts: Mapping[str, Any]) -> str:
    """How many clips, whose, and how many seeds."""
    seeds, chosen = len(facts["seeds"]), ", ".join(facts["datasets"])
    return f"n = {facts['n']} clips of {facts['people']} people ({chosen}), {seeds} {'seed' if seeds == 1 else 'seeds'}"


def _made(facts: Mapping[str, Any]) -> str:
    taken, size = facts["input"], facts["input"]["size_px"]
    kept = "the best on validation people kept" if facts["select"] == "validation" else "the last kept"
    counts = ", ".join(f"{n} {c}" for n, c in zip(facts["class_counts"], facts["class_names"], strict=True))
    whom = (
        "everybody else" if facts["scheme"] == "cde" or len(facts["datasets"]) == 1 else "the others of their dataset"
    )
    return (
        f"Every person ({counts}) is tested by networks trained on {whom} ({facts['scheme']}). All rows: the same folds, "
        f"seeds and clips, {facts['epochs']} epoch{'s' if facts['epochs'] > 1 else ''}, {kept}; input {taken['frames']} frames of {size}×{size} px "
        f"({taken['kind']}). Scores are pooled over folds; ± is the standard deviation over seeds. UF1 − row 1: with its "
        f"95 % interval over people and seeds (paired bootstrap). MH, MSMH: multi-head and multi-scale multi-head attention "
        f"over time. In italics: {_PAPER}, so of other data and optimistic; its networks take frames of 128×128 px in "
        "colour, which cost more parameters (counted here)."
    )


def _whole_table(facts: Mapping[str, Any]) -> TextTable:
    with_published = all(row["scores"][COMPOSITE]["published"] for row in facts["rows"])
    heads = ["row", *_COLUMNS, "parameters", *_SCORES.values(), "UF1 − row 1"]
    heads += [f"{title}, published scoring (optimistic)" for title in _SCORES.values()] if with_published else []
    heads += [*(f"*paper on SMIC: {title}*" for title in _SCORES.values()), "*parameters at 128 px*"]
    differences = _against_first(facts)
    rows = []
    for row in facts["rows"]:
        part, paper = row["scores"][COMPOSITE], row["paper"]
        cells = [row["name"], *("✓" if row["ticks"][name] else "" for name in TICKS)]
        cells += [f"{row['parameters']:,}", *(spread_text(part[key]) for key in _SCORES)]
        cells += [differences.get(row["name"], "")]
        cells += [spread_text(part["published"][key]) for key in _SCORES] if with_published else []
        rows.append([*cells, *(f"*{paper[key]:.3f}*" for key in _SCORES), f"*{paper['parameters']:,}*"])
    chance = ["chance", *[""] * (len(_COLUMNS) + 1), *_chance(facts["chance"]), ""]
    chance += _chance(facts["rows"][0]["scores"][COMPOSITE]["published"]["chance"]) if with_published else []
    return TextTable("", heads, [*rows, chance], centred=range(1, len(_COLUMNS) + 1))


def _part_table(facts: Mapping[str, Any], name: str) -> TextTable:
    """One dataset's clips alone."""
    parts = {row["name"]: row["scores"][name] for row in facts["rows"]}
    rows = [[row, *(spread_text(part[key]) for key in _SCORES)] for row, part in parts.items()]
    chance = next(iter(parts.values()))["chance"]
    return TextTable("", ["row", *_SCORES.values()], [*rows, ["chance", *_chance(chance)]])


def terminal_table(facts: Mapping[str, Any]) -> TextTable:
    """The rows with their scores, chance last, narrow enough for a terminal."""
    differences, rows = _against_first(facts), []
    for row in facts["rows"]:
        part = row["scores"][COMPOSITE]
        scores = (spread_text(part["uf1"]), *(f"{part[key]['mean']:.3f}" for key in ("uar", "accuracy")))
        difference = differences.get(row["name"], "").replace(" (", "\n(")
        rows.append([row["name"], f"{row['parameters']:,}", *scores, difference])
    return TextTable(
        f"{facts['title']}: {clips_text(facts)}",
        ["row", "parameters", *_SCORES.values(), "UF1 − row 1"],
        [*rows, ["chance", "", *_chance(facts["chance"])]],
        note="± standard deviation over seeds; UF1 − row 1 with its 95 % interval over people and seeds",
        last_apart=True,
    )


def _chance(guess: Mapping[str, float]) -> list[str]:
    return [f"{guess[key]:.3f}" for key in _SCORES]


def comparisons_of(facts: Mapping[str, Any]) -> tuple[Comparison, ...]:
    """The comparisons of `facts` as records."""
    names = [field.name for field in dataclasses.fields(Comparison)]
    return tuple(
        Comparison(**{name: one[name] for name in names} | {"by_seed": tuple(one["by_seed"])})
        for one in facts["comparisons"]
    )


def _against_first(facts: Mapping[str, Any]) -> dict[str, str]:
    """By row, in words, its difference to the first."""
    return {c.row: difference_text(c) for c in comparisons_of(facts) if c.against == facts["rows"][0]["name"]}
