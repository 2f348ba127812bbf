"""An assessment's report as tables and as one picture: UF1 by peak motion and condition, and how far confidences carry."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.console import Console

from train.assessment.unit_table import unit_table
from train.charts import write_png
from train.text_table import TextTable, spread_text

Row = tuple[str, ...]
_MODELS, _CHANCE, _PLAIN = "#2a6f97", "#999999", "#014f86"


def sheets(report: Mapping[str, Any]) -> list[TextTable]:
    """The report's tables, the most important first."""
    found = [
        _whole(report),
        _bands(report),
        _difficulties(report),
        _classes(report),
        _confusion(report),
        _people(report),
    ]
    if "action_units" in report:
        found.insert(4, unit_table(report["action_units"]))
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
        console.print(sheet.shown())


def markdown(report: Mapping[str, Any]) -> str:
    """The tables as Markdown, each under its title, ready to be pasted."""
    return "\n".join(f"### {sheet.title}\n\n{sheet.markdown()}\n" for sheet in sheets(report))


def _whole(report: Mapping[str, Any]) -> TextTable:
    plain = report["plain"]
    low, high = report["peaks_px"]
    chance = {name: f"{plain['chance'][name]['mean']:.3f}" for name in ("uf1", "uar", "accuracy")}
    rows: list[Row] = [
        ("mean ± sd" if len(report["models"]) > 1 else "the model", *_metrics(plain), spread_text(plain["ece"]))
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
    return TextTable(title, ("", "UF1", "UAR", "accuracy", "calibration error"), tuple(rows), note)


def _bands(report: Mapping[str, Any]) -> TextTable:
    rows = tuple(
        (name, str(band["n"]), *_metrics(band), f"{band['chance']['uf1']['mean']:.3f}")
        for name, band in report["by_peak"].items()
    )
    neutral = max((band["n_neutral"] for band in report["by_peak"].values()), default=0)
    note = (
        f"n counts the clips with an event in the band. With them go all {neutral} neutral clips, weighted to count as much "
        "as a class with an event does on average; UF1 is over all classes."
    )
    return TextTable("By peak motion", ("peak", "n", "UF1", "UAR", "accuracy", "chance UF1"), rows, note)


def _classes(report: Mapping[str, Any]) -> TextTable:
    rows = tuple(
        (name, str(found["n"]), *(spread_text(found[key]) for key in ("recall", "precision", "f1")))
        for name, found in report["plain"]["per_class"].items()
    )
    return TextTable("By class", ("class", "n", "recall", "precision", "F1"), rows)


def _confusion(report: Mapping[str, Any]) -> TextTable:
    """All models' answers together."""
    names, confusions = report["class_names"], report["plain"]["confusions"]
    sums = [
        [sum(confusion[row][column] for confusion in confusions) for column in range(len(names))]
        for row in range(len(names))
    ]
    rows = tuple((name, *map(str, row)) for name, row in zip(names, sums, strict=True))
    note = f"Answers of {len(confusions)} models together." if len(confusions) > 1 else ""
    return TextTable("Confusion", ("truth, answered as", *names), rows, note)


def _people(report: Mapping[str, Any]) -> TextTable:
    return TextTable("By person", ("person", "n", "UF1", "UAR", "accuracy"), _groups(report["by_person"]))


def _difficulties(report: Mapping[str, Any]) -> TextTable:
    note = "Hard: people talk, turn and move more, and the camera is worse."
    return TextTable("By difficulty", ("clips", "n", "UF1", "UAR", "accuracy"), _groups(report["by_difficulty"]), note)


def _groups(groups: Mapping[str, Any]) -> tuple[Row, ...]:
    return tuple((name, str(found["n"]), *_metrics(found)) for name, found in groups.items())


def _conditions(report: Mapping[str, Any], group: str, title: str) -> TextTable:
    chosen = [row for row in report["conditions"] if row["group"] in ("plain", group)]
    rows = tuple((row["name"], *_metrics(row), spread_text(row["ece"]), str(row["lost"])) for row in chosen)
    chance = chosen[0]["chance"]["uf1"]
    note = (
        f"The same {chosen[0]['n']} clips in every row; chance UF1 {chance['mean']:.3f}. "
        "Lost: clips of which the alignment lost more than 3 frames."
    )
    return TextTable(title, ("clips", "UF1", "UAR", "accuracy", "calibration error", "lost"), rows, note)


def _still(still: Mapping[str, Any]) -> TextTable:
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
    return TextTable("Static frames", headings, tuple(rows), note)


def _value(found: Mapping[str, Any] | float) -> str:
    return spread_text(found) if isinstance(found, Mapping) else f"{found:.3f}"


def _metrics(found: Mapping[str, Any]) -> Sequence[str]:
    return [spread_text(found[name]) for name in ("uf1", "uar", "accuracy")]


def draw_assessment(report: Mapping[str, Any], path: Path) -> None:
    """Writes the chart as PNG: bars are means over the models, whiskers their sd, points the models, the dotted line chance."""
    conditions = report["conditions"]
    rates = [row for row in conditions if row["group"] in ("plain", "rate")]
    worse = [row for row in conditions if row["group"] in ("plain", "robustness")]
    figure = Figure(figsize=(11, 8.5 if conditions else 4.5), layout="constrained")
    axes = figure.subplots(2 if conditions else 1, 2, squeeze=False)
    bands = report["by_peak"]
    _bars(axes[0, 0], [f"{name}\nn = {band['n']}" for name, band in bands.items()], list(bands.values()))
    axes[0, 0].set_title("By peak motion")
    _reliability(axes[0, 1], report["reliability"])
    if conditions:
        _bars(axes[1, 0], [_short(row["name"]) for row in rates], rates)
        axes[1, 0].set_title(f"By frame rate (n = {rates[0]['n']})")
        _bars(axes[1, 1], [_short(row["name"]).replace("\n", ", ") for row in worse], worse, lying=True)
        axes[1, 1].set_title(f"Filmed in a worse way (n = {worse[0]['n']})")
    models = len(report["models"])
    unseen = " never trained on" if not report["known_people"] else ", some known to the models"
    figure.suptitle(
        f"{report['plain']['n']:,} clips of {len(report['people'])} people{unseen}; {models} model{'s' * (models > 1)}"
    )
    write_png(figure, path, 110)


def _bars(ax: Axes, names: Sequence[str], rows: Sequence[Mapping[str, Any]], lying: bool = False) -> None:
    """UF1 of each row; `lying` draws the bars from left to right, for many or long names."""
    places = range(len(names))
    means = [row["uf1"]["mean"] for row in rows]
    sds = None if rows[0]["uf1"]["sd"] is None else [row["uf1"]["sd"] for row in rows]
    colours = [_PLAIN if row.get("group") == "plain" else _MODELS for row in rows]
    chance = rows[0]["chance"]["uf1"]["mean"]
    points = [(place, value) for place, row in zip(places, rows, strict=True) for value in row["uf1"]["values"]]
    if lying:
        ax.barh(places, means, xerr=sds, color=colours, alpha=0.85, capsize=3)
        ax.scatter([value for _, value in points], [place for place, _ in points], s=9, color="black", zorder=3)
        ax.set_yticks(places, names)
        ax.invert_yaxis()
        ax.axvline(chance, color=_CHANCE, linestyle=":")
        ax.set(xlabel="UF1", xlim=(0, 1))
        ax.grid(alpha=0.3, axis="x")
    else:
        ax.bar(places, means, yerr=sds, color=colours, alpha=0.85, capsize=3)
        ax.scatter(*zip(*points, strict=True), s=9, color="black", zorder=3)
        ax.set_xticks(places, names)
        ax.axhline(chance, color=_CHANCE, linestyle=":")
        ax.set(ylabel="UF1", ylim=(0, 1))
        ax.grid(alpha=0.3, axis="y")


def _reliability(ax: Axes, models: Sequence[Sequence[Mapping[str, float]]]) -> None:
    ax.plot([0, 1], [0, 1], color=_CHANCE, linestyle=":")
    for bins in models:
        ax.plot([b["confidence"] for b in bins], [b["accuracy"] for b in bins], marker="o", markersize=4, alpha=0.8)
    ax.set(title="Confidence", xlabel="confidence", ylabel="share that is right", xlim=(0, 1), ylim=(0, 1))
    ax.grid(alpha=0.3)


def _short(name: str) -> str:
    return name.replace(" frames a second", "/s").replace("as made, 30 a second", "30/s\nas made")
