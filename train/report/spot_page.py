"""The report of a run over long videos: scores beside chance, timelines of each video, what was false and what was missed."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from train.challenge.challenge_scores import PARTS
from train.challenge.published_spotting import published_beside
from train.challenge.rules import KINDS, RULES
from train.challenge.scored_video import FrameEvent
from train.files import write_text
from train.report.figures import MISTAKES_SHEET, PagePicture, PictureBook, draw_confusion
from train.report.html import PAGE, Report, rendered
from train.report.spot_figures import draw_f1, draw_sensitivity
from train.report.spot_moments import Moment, show_moments
from train.report.spot_run import SpotRun, VideoEvents, events_of
from train.report.text import score_text
from train.spotting.event_tables import rate_text

DATASET_TITLES: Mapping[str, str] = {
    "casme2-long": "CAS(ME)²", "samm-long": "SAMM Long Videos", "casme3": "CAS(ME)³, part A", "casme3-c": "CAS(ME)³, part C"
}  # fmt: skip
_LANE_PX = {"truth": (1.0, 7.0), "found": (9.0, 7.0)}
"""Of a timeline: where a lane begins, and its height."""
_NARROWEST = 0.25
"""An event's least width, in hundredths of the longest video."""


def write_spot_report(run: SpotRun, out: Path, most_mistakes: int) -> Report:
    """Writes the page and its pictures into the folder `out`; `most_mistakes` events are shown with pictures."""
    book = PictureBook(out)
    events = [events_of(run, video) for video in run.videos]
    context = _context(run, events, book, most_mistakes)
    filters = {"rate": rate_text, "f1": f1_text}
    write_text(out / PAGE, rendered("spot.html", context, filters))
    return Report(out / PAGE, tuple(book.files), tuple(context["notices"]))


def _context(run: SpotRun, events: Sequence[VideoEvents], book: PictureBook, most: int) -> dict[str, Any]:
    """What the page is filled with."""
    scores, title = run.scores, DATASET_TITLES.get(run.settings["dataset"], str(run.settings["dataset"]))
    micro = scores["micro"]
    lead = (
        f"Micro F1 {score_text(micro['f1'])}, where as many intervals at random places get {score_text(micro['chance']['f1'])}: "
        f"{micro['tp']} of {micro['n']} micro-expressions found, {micro['fp']} false ones in {scores['minutes']:.1f} minutes of "
        f"{scores['videos_n']} videos of {scores['subjects_n']} people."
    )
    return {
        "kind": f"{'complete' if run.finished else 'partial'} run: {run.name}",
        "title": f"Expressions found in long videos: {title}",
        "lead": lead,
        "notices": _notices(run),
        "facts": _facts(run),
        "command": run.settings.get("command", ""),
        "scores": scores,
        "parts": PARTS,
        "kinds": KINDS,
        "score_picture": book.add("scores", partial(draw_f1, scores), _f1_in_words(scores)),
        "sensitivity": _sensitivity(run, book),
        "published": published_beside(run.settings["dataset"]),
        "rules": {name: scores["under_rules"][name] for name in RULES if name in scores["under_rules"]},
        "confusion": _confusion(scores, book),
        "timelines": _timelines(events),
        "longest_s": max(one.video.seconds for one in events),
        "moments": _moments(run, events, most, book),
        "reading": _reading(scores),
    }


def f1_text(counts: Mapping[str, Any]) -> str:
    """F1; a dash where nothing is true and nothing was found."""
    return score_text(counts["f1"] if counts["tp"] or counts["fp"] or counts["fn"] else None)


def _notices(run: SpotRun) -> list[str]:
    scores, found = run.scores, []
    if not run.finished:
        done = f"The run is not finished: these are the scores of the {len(run.videos)} videos that are done."
        found.append(f"{done} Go on with: {run.settings.get('command', 'the same command')}")
    found += [str(note) for note in run.settings.get("notes", ())]
    rule = RULES[scores["rules"]]
    if rule.hides:
        found.append(f"Scored by the looser rules “{rule.name}”. What they hide: {rule.hides}")
    micro = scores["micro"]
    if micro["n"] and micro["f1"] <= micro["chance"]["high"]:
        found.append(
            "The micro F1 is no better than that of intervals at random places: 95 % of draws reach up to as much."
        )
    if not micro["n"]:
        found.append("These videos have no true micro-expression: whatever was found is false.")
    return found


def _facts(run: SpotRun) -> list[tuple[str, str]]:
    """What the run is, as terms and descriptions."""
    settings, scores = run.settings, run.scores
    by = settings.get("by", "live")
    watchable = scores["watchable_minutes"]
    events = ", ".join(f"{scores[kind]['n']} {kind}" for kind in KINDS)
    empty = sum(not video.truth for video in run.videos)
    told = [
        ("Data", f"{scores['videos_n']} videos of {scores['subjects_n']} people, {scores['minutes']:.1f} minutes; {empty} without any event"),
        ("True expressions", events),
        ("Found by", f"the live program, model {settings.get('model', '–')}" if by == "live" else f"predictions: {settings.get('predictions', '–')}"),
        ("Sensitivity", scores["sensitivity"]["in_words"]),
        ("Rules", f"{scores['rules']}: {scores['rules_in_words']}"),
        ("Watchable", "not known" if watchable is None else f"{watchable:.1f} minutes, in which a micro-expression of usual size would be noticed"),
        ("Classes", ", ".join(map(str, settings.get("classes", ()))) or "–"),
        ("Class map", str(settings.get("class_map", ""))),
        ("Version", f"Microlive {settings.get('microlive', '–')}"),
    ]  # fmt: skip
    return [(term, text) for term, text in told if text]


def _f1_in_words(scores: Mapping[str, Any]) -> str:
    told = "; ".join(f"{part} {scores[part]['f1']:.3f}, chance {scores[part]['chance']['f1']:.3f}" for part in PARTS)
    return f"F1 by kind beside chance: {told}."


def _sensitivity(run: SpotRun, book: PictureBook) -> dict[str, Any]:
    curve = run.scores["curve"]
    chosen = [one["min_probability"] for one in run.scores["by_subject"].values()]
    best = max(curve, key=lambda point: (point["f1"], point["min_probability"]))
    words = run.scores["sensitivity"]["in_words"]
    alt = f"Micro F1 over the least probability that counts: best {best['f1']:.3f} at {best['min_probability']:.2f}."
    picture = book.add("sensitivity", partial(draw_sensitivity, curve, chosen), alt)
    return {"picture": picture, "words": words, "best": best, "low": min(chosen), "high": max(chosen)}


def _confusion(scores: Mapping[str, Any], book: PictureBook) -> PagePicture | None:
    named = scores["recognition"]
    if not named or not named["n"]:
        return None
    rows, answers = named["confusion"], named["answers"]
    if not any(row[-1] for row in rows):
        rows, answers = [row[:-1] for row in rows], answers[:-1]
    told = (
        f"of {truth} " + ", ".join(f"{count} {answer}" for count, answer in zip(row, answers, strict=True))
        for truth, row in zip(named["classes"], rows, strict=True)
    )
    draw = partial(draw_confusion, [rows], named["classes"], f"hits, n = {named['n']}", answers=answers)
    return book.add("confusion", draw, f"Confusion matrix of the hits' classes. Answers: {'; '.join(told)}.")


# Timelines


def _timelines(events: Sequence[VideoEvents]) -> list[dict[str, Any]]:
    """A group a person: the rows of the videos in which something is or was found, and the names of the others."""
    longest = max(one.video.seconds for one in events)
    groups: dict[str, dict[str, Any]] = {}
    for one in events:
        group = groups.setdefault(one.video.subject, {"subject": one.video.subject, "rows": [], "empty": []})
        if one.hits or one.missed or one.false:
            group["rows"].append(_row(one, longest))
        else:
            group["empty"].append(one.video.video)
    return list(groups.values())


def _row(one: VideoEvents, longest: float) -> dict[str, Any]:
    video = one.video
    bars = [_bar(one, true, "truth", "hit") for true, _ in one.hits]
    bars += [_bar(one, true, "truth", "miss") for true in one.missed]
    bars += [_bar(one, found, "found", "hit") for _, found in one.hits]
    bars += [_bar(one, found, "found", "false") for found in one.false]
    for bar in bars:
        bar["x"], bar["width"] = (
            round(100 * bar["x"] / longest, 3),
            round(max(_NARROWEST, 100 * bar["width"] / longest), 3),
        )
    told = f"{len(one.hits)} hits, {len(one.missed)} missed, {len(one.false)} false"
    return {"video": video.video, "width": round(100 * video.seconds / longest, 3), "bars": bars, "told": told}


def _bar(one: VideoEvents, event: FrameEvent, lane: str, state: str) -> dict[str, Any]:
    """x and width in seconds; macro-expressions half as high."""
    video, (top, height) = one.video, _LANE_PX[lane]
    begin_s = (event.onset - video.first) / video.fps
    low = event.kind == "macro"
    words = (
        {"hit": "hit", "miss": "missed", "false": "false"}[state]
        if lane == "found" or state == "miss"
        else "true, found"
    )
    told = [f"{words}: {event.kind} at {begin_s:.2f} s, {event.frames} frames"]
    told += [event.label] if event.label else []
    told += [f"probability {event.probability:.2f}"] if event.probability is not None else []
    return {
        "x": begin_s, "width": event.frames / video.fps, "y": top + (height / 2 if low else 0), "height": height / 2 if low else height,
        "class": f"{state} {event.kind}", "told": ", ".join(told),
    }  # fmt: skip


# False and missed events with pictures


def _moments(run: SpotRun, events: Sequence[VideoEvents], most: int, book: PictureBook) -> dict[str, Any]:
    """The likeliest false micro-expressions and the first missed ones, half of `most` each where there are so many."""
    placed = list(zip(events, run.pictures, strict=True))
    false = [Moment("false", one.video, e, where) for one, where in placed for e in one.false if e.kind == "micro"]
    missed = [Moment("missed", one.video, e, where) for one, where in placed for e in one.missed if e.kind == "micro"]
    false.sort(key=lambda moment: -(moment.event.probability or 0.0))
    few = min(len(missed), most // 2)
    chosen_false = false[: most - few]
    chosen = [*chosen_false, *missed[: most - len(chosen_false)]]
    text = f"{len(false)} false and {len(missed)} missed micro-expressions."
    if not chosen:
        return {"text": text, "shown": (), "problems": (), "rows": [*false, *missed]}
    sheet = book.path(MISTAKES_SHEET)
    shown, problems = show_moments(chosen, sheet)
    if not shown:
        book.files.remove(sheet)
    return {"text": text, "shown": shown, "problems": problems, "rows": [*false, *missed]}


def _reading(scores: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Terms and what they mean."""
    draws = scores["micro"]["chance"].get("draws", "")
    return [
        (
            "A hit",
            "A found and a true event of the same kind whose frames overlap by half of all that either has (intersection over "
            "union, IoU). Every event is in one pair at most, and pairs are chosen so that there are as many as can be.",
        ),
        (
            "Pooled",
            "Hits, false events and misses of all videos are added before F1 is taken, those of videos without any event "
            "included. Whoever leaves those out does not count what is falsely found there.",
        ),
        (
            "Chance",
            f"As many intervals, each as long as one that was found, at random places of the same videos, counted by the same "
            f"rules: the mean of {draws} draws and the range of 95 % of them. Little above it means that little was found.",
        ),
        (
            "95 % over subjects",
            "People are drawn anew with replacement, a thousand times: how much F1 would be another with other people of the "
            "same kind. With few people it is wide, and says so.",
        ),
        (
            "STRS",
            "Spot, then recognise: micro F1 times the UF1 of the classes over the hits alone. A class without a hit counts 0. "
            "Published figures multiply with the harmonic mean of mean precision and mean recall, which stands beside it.",
        ),
        (
            "False events a minute",
            "Of all video, and of the time in which a face was large, upright and calm enough for a micro-expression of usual "
            "size to be noticed. Who has to look through what was found feels this number.",
        ),
    ]
