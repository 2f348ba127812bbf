"""An assessment's report as tables: for a terminal, and as Markdown for a page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

Row = tuple[str, ...]


@dataclass(frozen=True)
class Sheet:
    """A table in words: title, headings, rows; the first column is text, the others numbers. `note` goes below it."""

    title: str
    headings: Row
    rows: tuple[Row, ...]
    note: str = ""


def sheets(report: Mapping[str, Any]) -> list[Sheet]:
    """The report's tables, the most important first."""
    found = [
        _whole(report),
        _bands(report),
        _difficulties(report),
        _classes(report),
        _confusion(report),
        _people(report),
    ]
    for group, title in (("rate", "By frame rate"), ("robustness", "Filmed in a worse way")):
        if any(row["group"] == group for row in report["conditions"]):
            found.append(_conditions(report, group, title))
    if "still" in report:
        found.append(_still(report["still"]))
    return found


def print_tables(report: Mapping[str, Any], console: Console) -> None:
    models = report["models"]
    console.print(
        f"{len(models)} model{'s' * (len(models) > 1)} on people {', '.join(report['people'])}: {', '.join(models)}",
        highlight=False,
        soft_wrap=True,
    )
    for sheet in sheets(report):
        table = Table(title=sheet.title, title_justify="left", caption=sheet.note or None, caption_justify="left")
        for index, heading in enumerate(sheet.headings):
            table.add_column(heading, justify="right" if index else "left")
        for row in sheet.rows:
            table.add_row(*row)
        console.print(table)


def markdown(report: Mapping[str, Any]) -> str:
    """The tables as Markdown, each under its title, ready to be pasted."""
    return "\n".join(f"### {sheet.title}\n\n{markdown_table(sheet)}" for sheet in sheets(report))


def markdown_table(sheet: Sheet) -> str:
    """A table as Markdown, its note below."""
    lines = [
        "| " + " | ".join(sheet.headings) + " |",
        "|---" + "|--:" * (len(sheet.headings) - 1) + "|",
        *("| " + " | ".join(row) + " |" for row in sheet.rows),
    ]
    return "\n".join(lines) + "\n" + (f"\n{sheet.note}\n" if sheet.note else "")


def number(found: Mapping[str, Any], digits: int = 3) -> str:
    """A spread as "0.853 ± 0.012", or its mean alone where there is one model."""
    mean = f"{found['mean']:.{digits}f}"
    return mean if found["sd"] is None else f"{mean} ± {found['sd']:.{digits}f}"


def _whole(report: Mapping[str, Any]) -> Sheet:
    plain = report["plain"]
    low, high = report["peaks_px"]
    chance = {name: f"{plain['chance'][name]['mean']:.3f}" for name in ("uf1", "uar", "accuracy")}
    rows: list[Row] = [
        ("mean ± sd" if len(report["models"]) > 1 else "the model", *_metrics(plain), number(plain["ece"]))
    ]
    if len(report["models"]) > 1:
        for index, model in enumerate(report["models"]):
            values = (plain[name]["values"][index] for name in ("uf1", "uar", "accuracy", "ece"))
            rows.append((model, *(f"{value:.3f}" for value in values)))
    rows.append(("chance", chance["uf1"], chance["uar"], chance["accuracy"], ""))
    note = (
        f"n = {plain['n']:,} clips of {len(report['people'])} people ({report['photos']} photos), peaks {low:g} to {high:g} px; "
        f"{report['lost']} of them lost by the alignment."
    )
    known = report["known_people"]
    if known:
        note += f" Not unseen: the models were trained, chosen or calibrated on {', '.join(known)}."
    title = "People of whom some are known to the models" if known else "Held-out people"
    return Sheet(title, ("", "UF1", "UAR", "accuracy", "calibration error"), tuple(rows), note)


def _bands(report: Mapping[str, Any]) -> Sheet:
    rows = tuple(
        (name, str(band["n"]), *_metrics(band), f"{band['chance']['uf1']['mean']:.3f}")
        for name, band in report["by_peak"].items()
    )
    neutral = max((band["n_neutral"] for band in report["by_peak"].values()), default=0)
    note = (
        f"n counts the clips with an event in the band. With them go all {neutral} neutral clips, weighted to count as much "
        "as a class with an event does on average; UF1 is over all classes."
    )
    return Sheet("By peak motion", ("peak", "n", "UF1", "UAR", "accuracy", "chance UF1"), rows, note)


def _classes(report: Mapping[str, Any]) -> Sheet:
    rows = tuple(
        (name, str(found["n"]), *(number(found[key]) for key in ("recall", "precision", "f1")))
        for name, found in report["plain"]["per_class"].items()
    )
    return Sheet("By class", ("class", "n", "recall", "precision", "F1"), rows)


def _confusion(report: Mapping[str, Any]) -> Sheet:
    """All models' answers together."""
    names, confusions = report["class_names"], report["plain"]["confusions"]
    sums = [
        [sum(confusion[row][column] for confusion in confusions) for column in range(len(names))]
        for row in range(len(names))
    ]
    rows = tuple((name, *map(str, row)) for name, row in zip(names, sums, strict=True))
    note = f"Answers of {len(confusions)} models together." if len(confusions) > 1 else ""
    return Sheet("Confusion", ("truth, answered as", *names), rows, note)


def _people(report: Mapping[str, Any]) -> Sheet:
    return Sheet("By person", ("person", "n", "UF1", "UAR", "accuracy"), _groups(report["by_person"]))


def _difficulties(report: Mapping[str, Any]) -> Sheet:
    note = "Hard: people talk, turn and move more, and the camera is worse."
    return Sheet("By difficulty", ("clips", "n", "UF1", "UAR", "accuracy"), _groups(report["by_difficulty"]), note)


def _groups(groups: Mapping[str, Any]) -> tuple[Row, ...]:
    return tuple((name, str(found["n"]), *_metrics(found)) for name, found in groups.items())


def _conditions(report: Mapping[str, Any], group: str, title: str) -> Sheet:
    chosen = [row for row in report["conditions"] if row["group"] in ("plain", group)]
    rows = tuple((row["name"], *_metrics(row), number(row["ece"]), str(row["lost"])) for row in chosen)
    chance = chosen[0]["chance"]["uf1"]
    note = (
        f"The same {chosen[0]['n']} clips in every row; chance UF1 {chance['mean']:.3f}. "
        "Lost: clips of which the alignment lost more than 3 frames."
    )
    return Sheet(title, ("clips", "UF1", "UAR", "accuracy", "calibration error", "lost"), rows, note)


def _still(still: Mapping[str, Any]) -> Sheet:
    rows: list[Row] = []
    for what, found in (
        ("the models, shown the apex standing still", still["model"]),
        ("logistic regression on the clip's first frame", still["first"]),
        ("logistic regression on the apex", still["picture"]),
    ):
        if found is not None:
            chance = found["chance"]["accuracy"]
            rows.append(
                (
                    what,
                    str(found["n"]),
                    _value(found["uf1"]),
                    _value(found["accuracy"]),
                    f"{chance['mean']:.3f} ({chance['low']:.3f} to {chance['high']:.3f})",
                    "yes" if found["at_chance"] else "no",
                )
            )
    note = (
        "Chance: guessing classes by their frequency, with the range of 95 % of guesses. The regression answers each person "
        "from the others; at the apex an expression shows in a single picture too."
    )
    headings = ("one frame of the clip", "n", "UF1", "accuracy", "chance accuracy", "at chance")
    return Sheet("Static frames", headings, tuple(rows), note)


def _value(found: Mapping[str, Any] | float) -> str:
    return number(found) if isinstance(found, Mapping) else f"{found:.3f}"


def _metrics(found: Mapping[str, Any]) -> Sequence[str]:
    return [number(found[name]) for name in ("uf1", "uar", "accuracy")]
