"""Kinds of inputs: which sound ones they start from, how they are mutated, and which command reads them."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.fuzz import text_mutations as text
from tests.fuzz.case import Case
from tests.fuzz.corpus import Corpus
from tests.fuzz.mutations import mutated, mutated_archive
from tests.fuzz.network import MarkSender, StreamServer, stream_bytes

Maker = Callable[[Corpus, Path, Random, bool], Case]
"""Writes an input into a folder; the last argument says whether it is mutated or left as it was."""

_LIVE = ("--headless", "--csv", "rows.csv", "--events", "events.jsonl", "--json", "run.json")
_ROWS = ("rows.csv", "events.jsonl", "run.json")


@dataclass(frozen=True)
class Kind:
    """`share`: of all inputs, in parts of the kinds' sum. `parts`: of the corpus, that it needs."""

    make: Maker
    share: float
    parts: tuple[str, ...]


def _video(corpus: Corpus, folder: Path, rng: Random, damage: bool) -> Case:
    source = rng.choice(sorted(corpus.videos.iterdir()))
    how = _copied(source, folder / source.name, rng, damage)
    argv = ["--source", source.name, "--model", str(corpus.window_model), "--pace", "fast", *_LIVE]
    rows = _ROWS
    extra = rng.choice(
        ((), (), ("--record", "out.mp4"), ("--session", "kept", "--record-source"), ("--max-faces", "2"))
    )
    if "--session" in extra:
        argv = [word for word in argv if word not in (*_LIVE, *_ROWS)] + ["--headless"]
        rows = ("kept/frames.csv", "kept/events.jsonl", "kept/source/times.csv", "kept/session.json")
    return Case("run_live", (*argv, *extra), how, rows)


def _jpeg(corpus: Corpus, folder: Path, rng: Random, damage: bool) -> Case:
    pictures = [(path.name, path.read_bytes()) for path in sorted(corpus.photos.glob("*.jpg"))]
    data, how = stream_bytes([picture for _, picture in pictures], rng, damage)
    (folder / "stream.bin").write_bytes(data)
    limits = ("--open-timeout", "4", "--read-timeout", "1", "--retry-for", "0")
    argv = ("--source", "{url}", "--model", str(corpus.window_model), *limits, *_LIVE)
    return Case("run_live", argv, how, _ROWS, StreamServer("stream.bin"))


def _model(corpus: Corpus, folder: Path, rng: Random, damage: bool) -> Case:
    from tests.fuzz.model_mutations import mutated_contract, mutated_model

    if rng.random() < 0.15:
        return _bundled(corpus, folder, rng, damage)
    path = rng.choice((corpus.window_model, corpus.streaming_model))
    for other in path.parent.iterdir():
        shutil.copy(other, folder / other.name)
    how = "none"
    if damage:
        change = rng.choice((mutated, mutated_contract, mutated_model, mutated_model))
        data, how = change(path.read_bytes(), rng)
        (folder / path.name).write_bytes(data)
    if rng.random() < 0.2 and path.name == "model.onnx":
        argv = ("eval", "--data", str(corpus.store), "--model", "model.onnx", "--json", "run.json")
        return Case("train", argv, f"{path.name}: {how}", ("run.json",))
    source = ("--source", str(corpus.videos / "mpeg4.mp4"), "--pace", "fast")
    return Case("run_live", (*source, "--model", "model.onnx", *_LIVE), f"{path.name}: {how}", _ROWS)


def _bundled(corpus: Corpus, folder: Path, rng: Random, damage: bool) -> Case:
    """The model that comes with the program: a real graph, most of whose bytes are weights."""
    from stream.engine.model_file import BUNDLED_MODEL
    from tests.fuzz.model_mutations import mutated_model

    data, how = BUNDLED_MODEL.with_name("model.stream.onnx").read_bytes(), "none"
    if damage:
        data, how = rng.choice((mutated, mutated_model, mutated_model))(data, rng)
    (folder / "model.stream.onnx").write_bytes(data)
    source = ("--source", str(corpus.long_clip), "--pace", "fast")
    return Case("run_live", (*source, "--model", "model.stream.onnx", *_LIVE), f"bundled model: {how}", _ROWS)


def _replay(corpus: Corpus, folder: Path, rng: Random, damage: bool) -> Case:
    how = _tree(corpus.session, folder / "session", rng, damage, _not_the_report)
    check = ("--check",) if rng.random() < 0.7 else ("--csv", "rows.csv")
    return Case("run_live", ("--replay", "session", *check, "--headless"), how, ("rows.csv",))


def _report(corpus: Corpus, folder: Path, rng: Random, damage: bool) -> Case:
    how = _tree(corpus.eventful, folder / "session", rng, damage, _not_the_report)
    return Case("run_live", ("--report", "session"), how, ())


def _photos(corpus: Corpus, folder: Path, rng: Random, damage: bool) -> Case:
    source = rng.choice(sorted(corpus.photos.iterdir()))
    (folder / "photos").mkdir()
    how = _copied(source, folder / "photos" / source.name, rng, damage)
    argv = ("synth", "--faces", "photos", "--clips", "4", "--jobs", "1", "--out", "made")
    return Case("train", argv, how, ("made/clips.jsonl", "made/manifest.json"))


def _frames(corpus: Corpus, folder: Path, rng: Random, damage: bool) -> Case:
    how = _tree(corpus.frames, folder / "clips", rng, damage)
    argv = ("prepare", "--dataset", "folder", "--root", "clips", "--frames", "9", "--lead-frames", "2", "--jobs", "1")
    return Case("train", (*argv, "--out", "made"), how, ("made/clips.jsonl", "made/manifest.json"))


def _marks(corpus: Corpus, folder: Path, rng: Random, damage: bool) -> Case:
    messages = [
        b'{"mark": "stimulus 1"}',
        b'{"mark": "b", "sent_s": 1.5}\n{"subscribe": true}',
        b'{"subscribe": false}',
    ]
    told = []
    for number in range(12):
        message, how = rng.choice(messages), "none"
        if damage and rng.random() < 0.5:
            message, how = mutated(message, rng)
        elif damage:
            changed, how = text.mutated_json(message.splitlines()[0].decode(), rng)
            message = changed.encode("utf-8", "surrogatepass")
        (folder / f"{number:02d}.datagram").write_bytes(message[:65_000])
        told.append(how)
    source = ("--source", str(corpus.videos / "mpeg4.mp4"), "--model", str(corpus.window_model))
    argv = (*source, "--marker-port", "{port}", "--markers", "marks.jsonl", *_LIVE)
    return Case("run_live", argv, "; ".join(told), (*_ROWS, "marks.jsonl"), MarkSender())


def _settings(corpus: Corpus, folder: Path, rng: Random, damage: bool) -> Case:
    name = rng.choice(("config.yaml", "spec.yaml"))
    found, how = (corpus.settings / name).read_text(), "none"
    if damage:
        found, how = text.mutated_yaml(found, rng)
    (folder / name).write_text(found, encoding="utf-8", errors="surrogatepass")
    if name == "config.yaml":
        command = rng.choice(("loso", "ablate"))
        argv = (command, "--config", name, "--data", "no-such-store", "--out", "out")
    else:
        argv = ("experiments", name, "--data", "no-such-store", "--out", "out")
    return Case("train", argv, f"{name}: {how}", (), sound_code=2)


def _sheets(corpus: Corpus, folder: Path, rng: Random, damage: bool) -> Case:
    name = rng.choice(("casme2", "samm", "smic"))
    shutil.copytree(corpus.datasets / name, folder / name)
    how = "none"
    if damage:
        sheet = next((folder / name).glob("*.xlsx"))
        data, how = rng.choice((mutated, mutated_archive, mutated_archive))(sheet.read_bytes(), rng)
        sheet.write_bytes(data)
    form = rng.choice(((), ("--json",), ("--canonical",)))
    return Case("train", ("list", "--dataset", name, "--root", name, *form), f"{name}: {how}", ())


def _newer(corpus: Corpus, folder: Path, rng: Random, damage: bool) -> Case:
    """The newer datasets of clips: their sheets and their trees."""
    from tests.fuzz.dataset_mutations import mutated_dataset

    name = rng.choice(sorted(path.name for path in corpus.newer.iterdir()))
    shutil.copytree(corpus.newer / name, folder / "data")
    given, how = mutated_dataset(folder / "data", rng) if damage else ([], "none")
    sheets = ("--annotation", *(str(path.relative_to(folder)) for path in given)) if given else ()
    classes = {"dfme": "7", "4dme": "4", "smic-e": "3"}.get(name, rng.choice(("4", "7")))
    form = rng.choice(
        (
            (),
            ("--json",),
            ("--canonical",),
            ("--label-map", classes),
            ("--one-sided-12", "contempt"),
            ("--contempt", "left-out"),
        )
    )
    return Case("train", ("list", "--dataset", name, "--root", "data", *sheets, *form), f"{name}: {how}", ())


def _long_videos(corpus: Corpus, folder: Path, rng: Random, damage: bool) -> Case:
    from tests.fuzz.dataset_mutations import mutated_dataset

    name = rng.choice(sorted(path.name for path in corpus.long_videos.iterdir()))
    shutil.copytree(corpus.long_videos / name, folder / "data")
    given, how = mutated_dataset(folder / "data", rng) if damage else ([], "none")
    sheets = ("--annotation", *(str(path.relative_to(folder)) for path in given)) if given else ()
    form = rng.choice(((), ("--json",), ("--canonical",), ("--max-frames", "10")))
    return Case("train", ("list", "--dataset", name, "--root", "data", *sheets, *form), f"{name}: {how}", ())


def _scores(corpus: Corpus, folder: Path, rng: Random, damage: bool) -> Case:
    how = _tree(corpus.loso, folder / "run", rng, damage)
    return Case("train", ("report", "run", "--open", "no", "--mistakes", "2"), how, ())


def _store(corpus: Corpus, folder: Path, rng: Random, damage: bool) -> Case:
    how = _tree(corpus.store, folder / "store", rng, damage)
    model = str(corpus.window_model)
    return Case("train", ("eval", "--data", "store", "--model", model, "--json", "run.json"), how, ("run.json",))


def _trained(corpus: Corpus, folder: Path, rng: Random, damage: bool) -> Case:
    how = _tree(corpus.trained, folder / "run", rng, damage)
    if rng.random() < 0.3:
        argv = ("eval", "--model", "run", "--data", str(corpus.plain_store), "--json", "run.json")
        return Case("train", argv, how, ("run.json",))
    return Case("export", ("run", "--out", "exported"), how, ("exported/parity.json",))


KINDS: dict[str, Kind] = {
    "video": Kind(_video, 26, ("videos",)),
    "jpeg": Kind(_jpeg, 10, ("photos",)),
    "model": Kind(_model, 20, ("videos", "store")),
    "replay": Kind(_replay, 10, ("session",)),
    "report": Kind(_report, 12, ("session", "eventful")),
    "photos": Kind(_photos, 3, ("photos",)),
    "frames": Kind(_frames, 3, ("frames",)),
    "marks": Kind(_marks, 2, ("videos",)),
    "settings": Kind(_settings, 6, ("settings",)),
    "sheets": Kind(_sheets, 4, ("datasets",)),
    "newer": Kind(_newer, 4, ("newer",)),
    "long-videos": Kind(_long_videos, 4, ("long-videos",)),
    "scores": Kind(_scores, 3, ("loso",)),
    "store": Kind(_store, 4, ("store",)),
    "trained": Kind(_trained, 1, ("trained", "loso")),
}


def make_case(
    names: Sequence[str], corpus: Corpus, folder: Path, seed: int, number: int, damage: bool
) -> tuple[str, Case]:
    """The kind and the case of an input: the same for the same corpus, kinds, seed and number."""
    rng = Random(f"{seed}-{number}")
    name = rng.choices(names, [KINDS[name].share for name in names])[0]
    return name, KINDS[name].make(corpus, folder, rng, damage)


def _not_the_report(path: Path) -> bool:
    return path.name != "report.html"


def _tree(
    source: Path, target: Path, rng: Random, damage: bool, wanted: Callable[[Path], bool] = lambda _: True
) -> str:
    """A copy of a folder in which one file, now and then two, is mutated, missing, or something else than a file."""
    shutil.copytree(source, target)
    files = sorted(path for path in target.rglob("*") if path.is_file() and wanted(path))
    told = []
    for path in rng.sample(files, min(len(files), rng.choice((1, 1, 1, 2)))) if damage else ():
        told.append(f"{path.relative_to(target)}: {_damaged(path, rng)}")
    return "; ".join(told) or "none"


def _damaged(path: Path, rng: Random) -> str:
    chance = rng.random()
    if chance < 0.04:
        path.unlink()
        return "missing"
    if chance < 0.08:
        path.unlink()
        path.mkdir()
        return "a folder"
    by_suffix = {
        ".json": text.mutated_json, ".jsonl": text.mutated_lines, ".csv": text.mutated_csv, ".yaml": text.mutated_yaml
    }  # fmt: skip
    if chance < 0.75 and path.suffix in by_suffix:
        changed, how = by_suffix[path.suffix](path.read_text(encoding="utf-8"), rng)
        path.write_text(changed, encoding="utf-8", errors="surrogatepass", newline="")
        return how
    data, how = mutated(path.read_bytes(), rng)
    path.write_bytes(data)
    return how


def _copied(source: Path, target: Path, rng: Random, damage: bool) -> str:
    data, how = mutated(source.read_bytes(), rng) if damage else (source.read_bytes(), "none")
    target.write_bytes(data)
    return f"{source.name}: {how}"
