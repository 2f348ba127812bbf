"""What a scored run over long videos says, as tables: the scores beside chance, errors in time, subjects, other rules."""

from collections.abc import Mapping
from typing import Any

from train.prepare.overview import count
from train.text_table import TextTable

PARTS = ("micro", "macro", "overall")
NOTHING = "–"


def tables(scores: Mapping[str, Any]) -> list[TextTable]:
    """Of `scores.json`, the main one first."""
    found = [_main(scores)]
    if scores["recognition"]:
        found.append(_recognition(scores))
    if any(scores["timing"][kind]["n"] for kind in ("micro", "macro")):
        found.append(_timing(scores["timing"]))
    found += [_false(scores), _by_subject(scores["by_subject"]), _rules(scores)]
    return [*found, _published(scores)] if scores["published"]["rows"] else found


def caveats(scores: Mapping[str, Any]) -> list[str]:
    """What every number of the run depends on, a line each."""
    by = "the live program on the recorded frames" if scores["by"] == "live" else "somebody's predictions"
    return [
        f"found by {by}; least probability of a micro-expression {scores['sensitivity']['in_words']}",
        f"rules {scores['rules']}: {scores['rules_in_words']}",
        *([scores["class_map"]] if scores["class_map"] else []),
        *scores["notes"],
    ]


def _main(scores: Mapping[str, Any]) -> TextTable:
    watchable = scores["watchable_minutes"]
    told = "" if watchable is None else f", {watchable:.1f} of them watchable"
    videos, subjects = count(scores["videos_n"], "video"), count(scores["subjects_n"], "subject")
    title = f"{scores['dataset']}: {videos} of {subjects}, {scores['minutes']:.1f} min{told}"
    rows = []
    for part in PARTS:
        found, interval = scores[part], scores[part]["interval"]
        counts = (str(found[key]) for key in ("n", "tp", "fp", "fn"))
        spread = f"{interval['low']:.3f}–{interval['high']:.3f}" if interval else NOTHING
        chance = f"{found['chance']['f1']:.3f}"
        rows.append([part, *counts, *([_f1(found), spread, chance] if _counts(found) else [NOTHING] * 3)])
    heads = ["", "true", "hits", "false", "missed", "F1", "95 %", "chance"]
    note = "95 %: resampled subjects. chance: as many intervals, each as long, at random places of the same videos"
    return TextTable(title, heads, rows, note)


def _counts(found: Mapping[str, Any]) -> bool:
    """Whether there is anything to score."""
    return bool(found["tp"] or found["fp"] or found["fn"])


def _f1(found: Mapping[str, Any]) -> str:
    return f"{found['f1']:.3f}" if _counts(found) else NOTHING


def _recognition(scores: Mapping[str, Any]) -> TextTable:
    named = scores["recognition"]
    rows = [
        [name, str(one["n"]), *(f"{one[key]:.3f}" for key in ("precision", "recall", "f1"))]
        for name, one in named["per_class"].items()
    ]
    return TextTable(
        f"Recognition of the {named['n']} micro-expressions that were hit",
        ["class", "n", "precision", "recall", "F1"],
        rows,
        f"UF1 {named['uf1']:.3f}; STRS = F1 of spotting times UF1 = {scores['strs']:.3f}",
    )


def _timing(timing: Mapping[str, Any]) -> TextTable:
    rows = [
        [
            f"{kind} {name}",
            str(told["n"]) if told else "0",
            *(f"{told[f'{key}_ms']:.0f}" if told else NOTHING for key in ("median", "p95", "bias")),
            f"{told['median_frames']:g}" if told else NOTHING,
        ]
        for kind in ("micro", "macro")
        for name in ("onset", "apex", "offset")
        for told in [timing[kind][name]]
    ]
    heads = ["error of", "hits", "median ms", "95 % within ms", "bias ms", "median frames"]
    return TextTable("Errors in time, of hits", heads, rows, "bias above 0: late")


def _false(scores: Mapping[str, Any]) -> TextTable:
    rows = [
        [
            part,
            *(f"{scores[part][key]:.3f}" if _counts(scores[part]) else NOTHING for key in ("precision", "recall")),
            *(_number(scores["false"][part][key], 2) for key in ("per_min", "per_watchable_min")),
        ]
        for part in PARTS
    ]
    heads = ["", "precision", "recall", "false a minute", "false a watchable minute"]
    return TextTable("Precision, recall, false events", heads, rows)


def _by_subject(subjects: Mapping[str, Any]) -> TextTable:
    rows = [
        [
            name,
            f"{told['minutes']:.1f}",
            f"{told['min_probability']:.3f}",
            *(str(told["micro"][key]) for key in ("tp", "fp", "fn")),
            *(_f1(told[part]) for part in PARTS),
        ]
        for name, told in subjects.items()
    ]
    heads = ["subject", "min", "p", "hits", "false", "missed", *PARTS]
    note = "p: the least probability that counts. hits, false, missed: micro. The last three: F1"
    return TextTable("By subject", heads, rows, note)


def _rules(scores: Mapping[str, Any]) -> TextTable:
    rows = [
        [name, *(_f1(told[part]) for part in PARTS), told["used_by"]] for name, told in scores["under_rules"].items()
    ]
    hides = "; ".join(f"{name} hides: {told['hides']}" for name, told in scores["under_rules"].items() if told["hides"])
    return TextTable("The same events under the rules of public code", ["rules", *PARTS, "used by"], rows, hides)


def _published(scores: Mapping[str, Any]) -> TextTable:
    keys = ("micro", "macro", "overall", "strs")
    rows = [
        [f"{row['method']} ({row['year']})", *(_number(row[key], 3) for key in keys), row["rules"] or "not known"]
        for row in scores["published"]["rows"]
    ]
    ours = (_f1(scores[part]) for part in PARTS)
    rows.append(["this run", *ours, _number(scores["strs"], 3), scores["rules"]])
    note = " ".join((scores["published"]["note"], scores["published"]["unseen"]))
    return TextTable("Published, F1", ["method", *PARTS, "STRS", "rules"], rows, note, last_apart=True)


def _number(value: float | None, digits: int) -> str:
    return NOTHING if value is None else f"{value:.{digits}f}"
