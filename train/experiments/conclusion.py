"""What a table by leave-one-subject-out says and what it does not, in sentences made of its numbers."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from train.experiments.left_out_rows import TICKS, LeftOutRow
from train.experiments.paired import Bootstrap, Comparison
from train.loso.predictions import COMPOSITE
from train.scores.literature import PROTOCOL_N
from train.text_table import signed

_Naming = Callable[[Comparison, Mapping[str, LeftOutRow]], str]

_SYNTHETIC = "synthetic"
_FEW_PEOPLE = 20
_NEAR_CEILING = 0.95


def conclusion(rows: Sequence[LeftOutRow], bootstrap: Bootstrap, comparisons: Sequence[Comparison]) -> list[str]:
    """Sentences: the range of scores, which rows differ from the first, what each part adds, and how far that carries."""
    first = rows[0]
    against_first = [c for c in comparisons if c.against == first.name]
    steps = [c for c in comparisons if c.against != first.name]
    by_name = {row.name: row for row in rows}
    sentences = [_range(rows), *_spread(rows, against_first), *_limits(rows, bootstrap)]
    sentences += _differences(f"Against the first row ({first.title})", against_first, by_name, _whole)
    sentences += _differences("Part by part", steps, by_name, _added)
    if len(comparisons) > 1:
        sentences.append(
            f"Of {len(comparisons)} such intervals {_small(0.05 * len(comparisons))} would miss 0 by luck alone if no part did anything."
        )
    people = len(first.run.people)
    if comparisons and people < _FEW_PEOPLE:
        sentences.append(f"With {people} people the intervals are rough themselves, though widened for so few.")
    return [*sentences, *_weights(rows), _carries(first)]


def _range(rows: Sequence[LeftOutRow]) -> str:
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


def _spread(rows: Sequence[LeftOutRow], against_first: Sequence[Comparison]) -> list[str]:
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


def _limits(rows: Sequence[LeftOutRow], bootstrap: Bootstrap) -> list[str]:
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
    opening: str, comparisons: Sequence[Comparison], rows: Mapping[str, LeftOutRow], name: _Naming
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


def _whole(comparison: Comparison, rows: Mapping[str, LeftOutRow]) -> str:
    return comparison.row


def _added(comparison: Comparison, rows: Mapping[str, LeftOutRow]) -> str:
    mine, its = rows[comparison.row], rows[comparison.against]
    added = " and ".join(TICKS[tick] for tick in mine.ticks if tick not in its.ticks)
    return f"{added} on top of {its.name}"


def difference_text(comparison: Comparison) -> str:
    """The difference with its interval: +0.012 (−0.004 to +0.027)."""
    return f"{signed(comparison.mean)} ({signed(comparison.low)} to {signed(comparison.high)})"


def _weights(rows: Sequence[LeftOutRow]) -> list[str]:
    """How much the weighted loss can do here: the weights beside the numbers of clips."""
    weighted = [row for row in rows if row.weighted]
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


def _carries(row: LeftOutRow) -> str:
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


def _uf1(row: LeftOutRow) -> float:
    return row.scores["parts"][COMPOSITE]["uf1"]["mean"]


def _pooled(sds: Sequence[float]) -> float:
    return float(np.sqrt(np.mean(np.square(sds))))


def _small(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".") if value >= 0.1 else f"{value:.2f}"
