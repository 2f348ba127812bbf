"""The table of experiments as JSON, Markdown and for the terminal.

The table of experiments as a picture: UF1 of every seed beside chance, and what a frame costs live.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.markup import escape
from rich.table import Table

from train.ablation.table import spread_text
from train.clips.samples import Samples, open_stores, samples_of, split_by_people
from train.experiments.live_cost import CAMERA_FPS, LiveCost
from train.experiments.rows import Answers
from train.experiments.schedule import Finished, SchedulePlan
from train.files import write_with
from train.fit_config import TrainConfig
from train.loso.pooled_scores import spread
from train.report.figures import LIGHT, Theme, label, legend, png
from train.scores.metrics import by_peak, chance, confusion_matrix, join, scores

SCHEMA_VERSION = 1
VALIDATION = "validation"
_WIDTH_IN, _HEAD_IN, _ROW_IN = 10.0, 1.6, 0.34


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
        lines += [*_markdown_table(facts, name), ""]
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


def _chance(part: Mapping[str, Any], columns: int) -> list[str]:
    guess = part["chance"]
    return ["chance", "", "", f"{guess['uf1']:.3f}", f"{guess['uar']:.3f}", *[""] * (columns - 5)]


def _markdown_table(facts: Mapping[str, Any], name: str) -> list[str]:
    heads = _heads(facts["rows"][0]["parts"][name]["by_peak"])
    lines = [_line(heads), _line(["---", *["--:"] * (len(heads) - 1)])]
    for row in facts["rows"]:
        told = f"{row['name']}: {row['about']}" if row["about"] else row["name"]
        lines.append(_line([told, *_cells(row, name)]))
    return [*lines, _line(_chance(facts["parts"][name], len(heads)))]


def terminal_table(facts: Mapping[str, Any], name: str) -> Table:
    """One part's rows, chance last: what fits into 80 columns; the rest is in the Markdown."""
    part, first = facts["parts"][name], facts["rows"][0]["parts"][name]
    caption = "± standard deviation over seeds; ms: preprocessing and model of a frame, one thread, rows in turn"
    table = Table(title=f"{facts['title']}. {part_title(name)}: {clips_text(part)}", caption=caption)
    table.add_column("row", overflow="fold", min_width=10)
    for heading in ("UF1", "UAR", *(f"UF1\n{peak}" for peak in first["by_peak"]), "live\nms"):
        table.add_column(heading, justify="right")
    for row in facts["rows"]:
        found, live = row["parts"][name], row["live"]
        spreads = [found["uf1"], found["uar"], *(one["uf1"] for one in found["by_peak"].values())]
        cells = [spread_text(one).replace(" ± ", "\n± ") for one in spreads]
        table.add_row(escape(row["name"]), *cells, f"{live['sum_ms']:.2f}" if live else "–")
    table.add_section()
    guess = part["chance"]
    table.add_row("chance", f"{guess['uf1']:.3f}", f"{guess['uar']:.3f}")
    return table


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def draw_experiments(facts: Mapping[str, Any], path: Path, theme: Theme = LIGHT) -> None:
    """Draws the facts of `train.experiments.comparison.experiments_facts` as PNG."""
    content = png(experiments_figure(facts, theme))
    write_with(path, lambda temporary: temporary.write_bytes(content))


def experiments_figure(facts: Mapping[str, Any], theme: Theme) -> Figure:
    """Rows from top to bottom; scores on the left, of each part with a mark of its own, milliseconds on the right."""
    rows = facts["rows"]
    with_live = any(row["live"] for row in rows)
    size = (_WIDTH_IN, _HEAD_IN + _ROW_IN * len(rows))
    figure = Figure(figsize=size, layout="constrained", facecolor=theme.surface)
    figure.suptitle(f"{facts['title']}: {clips_text(facts['parts'][VALIDATION])}", color=theme.ink, fontsize="large")
    axes = figure.subplots(1, 2 if with_live else 1, sharey=True, squeeze=False, width_ratios=[3, 2][: 1 + with_live])
    for ax in axes[0]:
        ax.set_facecolor(theme.surface)
        ax.tick_params(colors=theme.ink, length=0)
        ax.grid(axis="x", color=theme.grid, linewidth=0.8)
        ax.set_axisbelow(True)
        for spine in ax.spines.values():
            spine.set_visible(False)
    axes[0][0].set_yticks(range(len(rows)), [row["name"] for row in rows])
    axes[0][0].set_ylim(len(rows) - 0.4, -0.6)
    _draw_scores(axes[0][0], facts, theme)
    if with_live:
        _draw_costs(axes[0][1], rows, theme)
    return figure


def _draw_scores(ax: Axes, facts: Mapping[str, Any], theme: Theme) -> None:
    for number, (name, part) in enumerate(facts["parts"].items()):
        colour = theme.series[number % len(theme.series)]
        for y, row in enumerate(facts["rows"]):
            found = row["parts"][name]["uf1"]
            ax.plot(found["by_seed"], [y] * len(found["by_seed"]), "o", color=colour, markersize=4, alpha=0.5)
            ax.plot(found["mean"], y, "|", color=colour, markersize=15, markeredgewidth=2.5)
        # Nothing to see, but an entry of the legend.
        ax.plot([], [], "o", color=colour, label=part_title(name))
        ax.axvline(part["chance"]["uf1"], color=theme.muted, linestyle=":", linewidth=1.2)
    ax.plot([], [], color=theme.muted, linestyle=":", label="chance")
    ax.set_xlim(0, 1)
    label(ax, theme, xlabel="UF1: a dot for each seed, a bar for their mean")
    legend(ax, theme, loc="lower left")


def _draw_costs(ax: Axes, rows: Sequence[Mapping[str, Any]], theme: Theme) -> None:
    places = [y for y, row in enumerate(rows) if row["live"]]
    pre = [rows[y]["live"]["preprocess"]["p50_ms"] for y in places]
    model = [rows[y]["live"]["model"]["p50_ms"] for y in places]
    ax.barh(places, pre, height=0.6, color=theme.series[2], label="preprocessing")
    ax.barh(places, model, left=pre, height=0.6, color=theme.series[3], label="model")
    label(ax, theme, xlabel="ms a frame, one thread")
    legend(ax, theme, loc="best")
