"""The ablation table as JSON, Markdown and for the terminal."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from model.complexity import count_parameters
from train.ablate_compare import Bootstrap, Comparison
from train.ablate_rows import TICKS, AblationRow, title_of
from train.ablate_words import conclusion, difference_text
from train.loso_scores import COMPOSITE

SCHEMA_VERSION = 1
_SCORES = {"uf1": "UF1", "uar": "UAR", "accuracy": "ACC"}
_COLUMNS = ("weighted CCE", "CBAM", "CBAM, new channel", "MH", "MSMH")
_PAPER = "the paper's, on SMIC, by its own protocol"


def ablation_facts(rows: Sequence[AblationRow], command: str) -> dict[str, Any]:
    """What `ablation.json` holds: plain values alone.

    schema_version, command, stores, datasets, class_names, class_counts, scheme, protocol, select, epochs, seeds, n,
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


def _row(row: AblationRow, interval: tuple[float, float]) -> dict[str, Any]:
    variant, part = row.variant, row.scores["parts"][COMPOSITE]
    return {
        "name": row.name,
        "title": title_of(row.ticks),
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
    """The table in the paper's form, with what is needed to read it and the conclusion. `facts` as `ablation_facts`."""
    lines = [f"# Ablation: {clips_text(facts)}", "", _made(facts), "", *_markdown_table(facts), ""]
    for name in facts["datasets"] if len(facts["datasets"]) > 1 else ():
        part = facts["rows"][0]["scores"][name]
        lines += [f"## {name}: {part['n']} clips of {part['people']} people", "", *_part_table(facts, name), ""]
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


def _markdown_table(facts: Mapping[str, Any]) -> list[str]:
    with_published = all(row["scores"][COMPOSITE]["published"] for row in facts["rows"])
    heads = ["row", *_COLUMNS, "parameters", *_SCORES.values(), "UF1 − row 1"]
    heads += [f"{title}, published scoring (optimistic)" for title in _SCORES.values()] if with_published else []
    heads += [*(f"*paper on SMIC: {title}*" for title in _SCORES.values()), "*parameters at 128 px*"]
    against_first = _against_first(facts)
    lines = [_line(heads), _line(["---", *[":-:"] * len(_COLUMNS), *["--:"] * (len(heads) - len(_COLUMNS) - 1)])]
    for row in facts["rows"]:
        part, paper = row["scores"][COMPOSITE], row["paper"]
        cells = [row["name"], *("✓" if row["ticks"][name] else "" for name in TICKS)]
        cells += [f"{row['parameters']:,}", *(spread_text(part[key]) for key in _SCORES)]
        cells += [difference_text(against_first[row["name"]]) if row["name"] in against_first else ""]
        cells += [spread_text(part["published"][key]) for key in _SCORES] if with_published else []
        cells += [*(f"*{paper[key]:.3f}*" for key in _SCORES), f"*{paper['parameters']:,}*"]
        lines.append(_line(cells))
    cells = ["chance", *[""] * (len(_COLUMNS) + 1), *(f"{facts['chance'][key]:.3f}" for key in _SCORES), ""]
    if with_published:
        guess = facts["rows"][0]["scores"][COMPOSITE]["published"]["chance"]
        cells += [f"{guess[key]:.3f}" for key in _SCORES]
    return [*lines, _line([*cells, *[""] * 4])]


def _part_table(facts: Mapping[str, Any], name: str) -> list[str]:
    lines = [_line(["row", *_SCORES.values()]), _line(["---", "--:", "--:", "--:"])]
    for row in facts["rows"]:
        lines.append(_line([row["name"], *(spread_text(row["scores"][name][key]) for key in _SCORES)]))
    chance = facts["rows"][0]["scores"][name]["chance"]
    return [*lines, _line(["chance", *(f"{chance[key]:.3f}" for key in _SCORES)])]


def terminal_table(facts: Mapping[str, Any]) -> Table:
    """The rows with their scores, chance last, for the terminal."""
    caption = "± standard deviation over seeds; UF1 − row 1 with its 95 % interval over people and seeds"
    table = Table("row", title=f"Ablation: {clips_text(facts)}", caption=caption)
    for heading in ("parameters", *_SCORES.values(), "UF1 − row 1"):
        table.add_column(heading, justify="right")
    against_first = _against_first(facts)
    for row in facts["rows"]:
        part, found = row["scores"][COMPOSITE], against_first.get(row["name"])
        scores = (spread_text(part["uf1"]), *(f"{part[key]['mean']:.3f}" for key in ("uar", "accuracy")))
        difference = difference_text(found).replace(" (", "\n(") if found else ""
        table.add_row(escape(row["name"]), f"{row['parameters']:,}", *scores, difference)
    table.add_section()
    table.add_row("chance", "", *(f"{facts['chance'][key]:.3f}" for key in _SCORES), "")
    return table


def spread_text(found: Mapping[str, Any]) -> str:
    """Mean and, with several seeds, standard deviation."""
    return f"{found['mean']:.3f}" + (f" ± {found['sd']:.3f}" if found["sd"] is not None else "")


def comparisons_of(facts: Mapping[str, Any]) -> tuple[Comparison, ...]:
    """The comparisons of `facts` as records."""
    names = [field.name for field in dataclasses.fields(Comparison)]
    return tuple(
        Comparison(**{name: one[name] for name in names} | {"by_seed": tuple(one["by_seed"])})
        for one in facts["comparisons"]
    )


def _against_first(facts: Mapping[str, Any]) -> dict[str, Comparison]:
    return {c.row: c for c in comparisons_of(facts) if c.against == facts["rows"][0]["name"]}


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
