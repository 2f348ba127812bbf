"""The ablation table as JSON, Markdown and for the terminal.

What an ablation says and what it does not, in sentences made of its numbers.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from rich.markup import escape
from rich.table import Table

from model.complexity import count_parameters
from train.ablation.rows import TICKS, AblationRow, Bootstrap, Comparison, title_of
from train.loso.predictions import COMPOSITE
from train.scores.literature import PROTOCOL_N

_Naming = Callable[[Comparison, Mapping[str, AblationRow]], str]

_SYNTHETIC = "synthetic"
_FEW_PEOPLE = 20
_NEAR_CEILING = 0.95
SCHEMA_VERSION = 1
_SCORES = {"uf1": "UF1", "uar": "UAR", "accuracy": "ACC"}
_COLUMNS = ("weighted CCE", "CBAM", "CBAM, new channel", "MH", "MSMH")
_PAPER = "the paper's, on SMIC, by its own protocol"


def conclusion(rows: Sequence[AblationRow], bootstrap: Bootstrap, comparisons: Sequence[Comparison]) -> list[str]:
    """Sentences: the range of scores, which rows differ from the first, what each part adds, and how far that carries."""
    first = rows[0]
    against_first = [c for c in comparisons if c.against == first.name]
    steps = [c for c in comparisons if c.against != first.name]
    by_name = {row.name: row for row in rows}
    sentences = [_range(rows), *_spread(rows, against_first), *_limits(rows, bootstrap)]
    sentences += _differences(f"Against the first row ({title_of(first.ticks)})", against_first, by_name, _whole)
    sentences += _differences("Part by part", steps, by_name, _added)
    if len(comparisons) > 1:
        sentences.append(
            f"Of {len(comparisons)} such intervals {_small(0.05 * len(comparisons))} would miss 0 by luck alone if no part did anything."
        )
    people = len(first.run.people)
    if comparisons and people < _FEW_PEOPLE:
        sentences.append(f"With {people} people the intervals are rough themselves, though widened for so few.")
    return [*sentences, *_weights(rows), _carries(first)]


def _range(rows: Sequence[AblationRow]) -> str:
    run, part = rows[0].run, rows[0].scores["parts"][COMPOSITE]
    low, high = min(rows, key=_uf1), max(rows, key=_uf1)
    span = (
        f"UF1 is {_uf1(low):.3f}"
        if low is high
        else f"UF1 lies between {_uf1(low):.3f} ({low.name}) and {_uf1(high):.3f} ({high.name})"
    )
    often = "one seed" if len(run.seeds) == 1 else f"each of {len(run.seeds)} seeds"
    return (
        f"On {part['n']} clips of {part['people']} people, each left out once with {often}, "
        f"{span}; guessing by the classes' frequencies gets {part['chance']['uf1']:.3f}."
    )


def _spread(rows: Sequence[AblationRow], against_first: Sequence[Comparison]) -> list[str]:
    """How much the seeds alone move scores and differences."""
    sds = [row.scores["parts"][COMPOSITE]["uf1"]["sd"] for row in rows]
    if sds[0] is None:
        return [
            "There is one seed only: how far another would move the scores is not known, so no difference is shown."
        ]
    told = f"Another seed alone moves a row's UF1 by {_pooled(sds):.3f}"
    if not against_first:
        return [f"{told} (standard deviation)."]
    moved = _pooled([c.sd or 0.0 for c in against_first])
    return [f"{told}, and its distance to the first row by {moved:.3f} (standard deviations, pooled over rows)."]


def _limits(rows: Sequence[AblationRow], bootstrap: Bootstrap) -> list[str]:
    told = []
    chance = rows[0].scores["parts"][COMPOSITE]["chance"]["uf1"]
    guessing = [row.name for row in rows if bootstrap.interval(row.name)[0] <= chance]
    if guessing:
        told.append(f"Not shown to be above guessing (95 % interval): {', '.join(guessing)}.")
    best = max(_uf1(row) for row in rows)
    if best > _NEAR_CEILING:
        told.append(f"The best row leaves {1 - best:.3f} to gain: so near the ceiling differences are squeezed.")
    return told


def _differences(
    opening: str, comparisons: Sequence[Comparison], rows: Mapping[str, AblationRow], name: _Naming
) -> list[str]:
    if not comparisons:
        return []
    clear, unclear = (
        "; ".join(f"{name(c, rows)} {difference_text(c)}" for c in comparisons if c.tells is tells)
        for tells in (True, False)
    )
    sentences = (
        [f"{opening}, a difference is shown (95 % interval without 0, more than its sd over seeds) for {clear}."]
        if clear
        else []
    )
    if unclear:
        one_seed = comparisons[0].sd is None
        why = "there is one seed only" if one_seed else "the interval holds 0, or the seeds' spread is larger"
        begin = "None is shown" if clear else f"{opening}, no difference is shown"
        sentences.append(f"{begin} ({why}) for {unclear}.")
    return sentences


def _whole(comparison: Comparison, rows: Mapping[str, AblationRow]) -> str:
    return comparison.row


def _added(comparison: Comparison, rows: Mapping[str, AblationRow]) -> str:
    mine, its = rows[comparison.row], rows[comparison.against]
    added = " and ".join(TICKS[tick] for tick in mine.ticks if tick not in its.ticks)
    return f"{added} on top of {its.name}"


def difference_text(comparison: Comparison) -> str:
    """The difference with its interval: +0.012 (−0.004 to +0.027)."""
    return f"{signed(comparison.mean)} ({signed(comparison.low)} to {signed(comparison.high)})"


def signed(value: float) -> str:
    """Three decimals with a sign, a real minus; no sign for what rounds to nothing."""
    text = f"{value:+.3f}".replace("-", "−")
    return "0.000" if text in ("+0.000", "−0.000") else text


def _weights(rows: Sequence[AblationRow]) -> list[str]:
    """How much the weighted loss can do here: the weights beside the numbers of clips."""
    weighted = [row for row in rows if row.variant.weighted_loss]
    if not weighted or len(weighted) == len(rows):
        return []
    run = weighted[0].run
    counts = [sum(s.label == index for s in run.samples.values()) for index in range(len(run.class_names))]
    if not all(counts):
        return []
    weights = np.array(weighted[0].config.loss_weights(run.class_names, counts))
    listed = ", ".join(
        f"{w:.2f} for the {n} {name}" for w, n, name in zip(weights, counts, run.class_names, strict=True)
    )
    influence = weights * counts
    before, after = max(counts) / min(counts), influence.max() / influence.min()
    return [
        f"The weighted loss takes {listed} clips: the class that counts most counts {after:.2f} times as much as the one "
        f"that counts least, without weights {before:.2f} times."
    ]


def _carries(row: AblationRow) -> str:
    """What the data are, and that they are not those of the paper."""
    datasets = row.run.datasets
    if datasets == (_SYNTHETIC,):
        told = "All people and expressions are synthetic: this compares the parts on the program's own clips, and says nothing of real faces."
    elif _SYNTHETIC in datasets:
        told = f"Some of the people are synthetic ({_SYNTHETIC}), the others are of {', '.join(d for d in datasets if d != _SYNTHETIC)}."
    else:
        told = f"The clips are of {', '.join(datasets)}."
    same = datasets == ("smic",) and len(row.run.samples) == PROTOCOL_N["smic"]
    other = "scored by another protocol" if same else "of another dataset (SMIC) and another protocol"
    return f"{told} The paper's numbers are {other} (the epoch that did best on each left-out person, averaged over folds) and cannot be compared with these."


def _uf1(row: AblationRow) -> float:
    return row.scores["parts"][COMPOSITE]["uf1"]["mean"]


def _pooled(sds: Sequence[float]) -> float:
    return float(np.sqrt(np.mean(np.square(sds))))


def _small(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".") if value >= 0.1 else f"{value:.2f}"


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
