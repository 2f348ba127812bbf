"""What a fleet is to record: a YAML file that names sources, or a folder of recordings."""

import difflib
import hashlib
import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, cast

import yaml
from annotated_types import Gt, Interval, Len
from pydantic import Field, TypeAdapter, with_config
from typing_extensions import TypedDict

from model.atomic import lies_in, regular_file
from model.checked import LISTED, STRICT, MisfitError, Number, checked
from model.guards import shown
from stream.engine.model_file import EngineChoice, Provider
from stream.fleet.fleet_folder import FleetError
from stream.fleet.orders import FleetSource, RecordSettings, SourceKind
from stream.sources.base import MOST_CAMERA_FPS, SourceError, source_name

VIDEO_ENDINGS = frozenset(
    [
        ".3gp",
        ".asf",
        ".avi",
        ".flv",
        ".m2ts",
        ".m4v",
        ".mjpeg",
        ".mjpg",
        ".mkv",
        ".mov",
        ".mp4",
        ".mpeg",
        ".mpg",
        ".mts",
        ".mxf",
        ".ogv",
        ".ts",
        ".webm",
        ".wmv",
    ]
)
"""Of the files in a folder, in small letters."""
_LONGEST_ID = 100
_ID = re.compile(r"[^\W_](?:[\w.-]*[\w-])?")
_FOR_CAMERAS = ("size_px", "backend")
_FOR_LIVE = ("open_timeout_s", "read_timeout_s", "retry_for_s")

_Side = Annotated[int, Interval(ge=1, le=100_000)]
_Timeout = Annotated[Number, Interval(ge=0.05, le=3600)]
_Place = Annotated[Number, Interval(ge=0, le=1e6)]
_Text = Annotated[str, Len(1, 200)]


@with_config(STRICT)
class _Options(TypedDict, total=False):
    model: _Text
    provider: Provider
    engine: EngineChoice
    threads: Annotated[int, Interval(ge=0, le=1024)]
    max_faces: Annotated[int, Interval(ge=1, le=64)]
    face_at: Annotated[tuple[_Place, _Place], LISTED]
    one_person: bool
    detect_events: bool
    sensitivity: Annotated[Number, Gt(0), Field(le=1e6)]
    max_frames: Annotated[int, Interval(ge=1, le=10**12)]
    fps: Annotated[Number, Gt(0), Field(le=1e6)]
    size_px: Annotated[tuple[_Side, _Side], LISTED]
    backend: _Text
    open_timeout_s: _Timeout
    read_timeout_s: _Timeout
    retry_for_s: Annotated[Number, Interval(ge=1, le=1e9)]
    label: _Text
    consent: Annotated[str, Len(1, 10_000)]
    record_source: bool
    anonymise: bool


_OPTIONS = TypeAdapter(_Options)


@dataclass(frozen=True)
class SourceList:
    """`sources` by their ids, each once; `left_out`: so many files of a folder are no videos by their names."""

    sources: tuple[FleetSource, ...]
    left_out: int = 0


def read_sources(path: Path, usual: RecordSettings, out: Path) -> SourceList:
    """Of a YAML file or a folder. `usual`: what holds where the file says nothing. What lies in `out`, the fleet's own
    folder, is no source. Raises FleetError: one line with the place in the file."""
    if path.is_dir():
        return _folder(path.absolute(), usual, out)
    return SourceList(_yaml(path, usual))


def _folder(path: Path, usual: RecordSettings, out: Path) -> SourceList:
    if usual.anonymise:
        raise FleetError(f"{path}: the names of files stand in ids: to anonymise, name the sources in a YAML file")
    found: list[FleetSource] = []
    left_out = 0
    for parent, folders, names in os.walk(path):
        here = Path(parent)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and not lies_in(here / name, out))
        for name in sorted(names):
            if name.startswith("."):
                continue
            if Path(name).suffix.casefold() not in VIDEO_ENDINGS:
                left_out += 1
                continue
            found.append(
                _with_facts(
                    FleetSource(file_id(here.joinpath(name).relative_to(path)), "file", str(here / name), usual)
                )
            )
    if not found:
        raise FleetError(f"{path} holds no video: expected files such as talk.mp4, at any depth")
    return SourceList(tuple(found), left_out)


def file_id(place: Path) -> str:
    """Of a file by its place in the folder: the parts with __ between them. Where that could stand for another file too, or is
    no name for a folder, a part of its hash follows."""
    parts = place.parts
    plain = "__".join(parts)
    if all(_ID.fullmatch(part) and "__" not in part for part in parts) and len(plain) <= _LONGEST_ID:
        return plain
    digest = hashlib.sha256(os.fsencode(place.as_posix())).hexdigest()[:12]
    readable = re.sub(r"[^\w.-]", "-", "__".join(map(shown, parts))).strip("._-")
    return f"{readable[: _LONGEST_ID - 13]}-{digest}".lstrip("-")


def _with_facts(source: FleetSource) -> FleetSource:
    """Of a file, its size and when it was changed; one that is not there is told when it is opened."""
    try:
        found = os.stat(os.path.expanduser(str(source.target)))
    except OSError:
        return source
    return replace(source, size_bytes=found.st_size, changed_ns=found.st_mtime_ns)


def _yaml(path: Path, usual: RecordSettings) -> tuple[FleetSource, ...]:
    try:
        read = yaml.load(regular_file(path).read_text(encoding="utf-8"), _NoDoubles)
    except OSError as error:
        raise FleetError(f"{path}: {error.strerror or error}; expected a YAML file of sources, or a folder") from error
    except Exception as error:  # of a date or a number that is none, YAML's reader says what Python said to it
        raise FleetError(f"{path}: not YAML ({' '.join(str(error).split())})") from error
    if not isinstance(read, dict) or not isinstance(read.get("sources"), dict) or not read["sources"]:
        raise FleetError(f"{path}: expected sources: with a line ID: SOURCE for each")
    for name in read:
        if name not in ("sources", "defaults"):
            raise FleetError(f"{path}: {shown(str(name))}: expected sources or defaults")
    try:
        usual = _settings(path, "defaults", read.get("defaults") or {}, usual)
        sources = tuple(_source(path, key, value, usual) for key, value in read["sources"].items())
    except RecursionError:
        raise FleetError(f"{path}: something in it holds itself") from None
    by_name = Counter(source.id.casefold() for source in sources)
    for source in sources:
        if by_name[source.id.casefold()] > 1:
            raise FleetError(f"{path}: sources.{source.id}: another id differs from it in small and large letters only")
    return sources


def _source(path: Path, key: object, value: object, usual: RecordSettings) -> FleetSource:
    """`value`: the source itself, or an object with `source` and options."""
    place = f"sources.{shown(str(key))}"
    if not (isinstance(key, str) and _ID.fullmatch(key) and len(key) <= _LONGEST_ID):
        raise FleetError(
            f"{path}: {place}: expected an id of letters, digits and .-_ that can name a folder, and in quotes if it is a number"
        )
    options = dict(value) if isinstance(value, dict) else {"source": value}
    target = options.pop("source", None)
    if (
        isinstance(target, bool)
        or not isinstance(target, int | str)
        or target == ""
        or (isinstance(target, int) and target < 0)
    ):
        raise FleetError(
            f"{path}: {place}.source: expected a camera's number, a file, a URL or demo, found {_kind_words(target)}"
        )
    kind = _kind(target)
    if kind == "file":
        if target == "-":
            raise FleetError(f"{path}: {place}.source: a pipe is for one program only: give a file")
        target = str(path.absolute().parent / os.path.expanduser(str(target)))
    settings = _settings(path, place, options, _fitting(usual, kind), kind)
    try:
        source_name(target)
    except SourceError as error:
        raise FleetError(f"{path}: {place}.source: {error}") from None
    source = FleetSource(key, kind, target, settings)
    return _with_facts(source) if kind == "file" else source


def _kind(target: int | str) -> SourceKind:
    if isinstance(target, int):
        return "camera"
    return "stream" if "://" in target else "demo" if target == "demo" else "file"


def _kind_words(value: object) -> str:
    """Nothing of a value that may hold a password."""
    return "nothing" if value is None else repr(value) if isinstance(value, int | float) else type(value).__name__


def _fitting(usual: RecordSettings, kind: SourceKind) -> RecordSettings:
    """Defaults hold for the sources that they fit."""
    standard = RecordSettings()
    return replace(usual, **{name: getattr(standard, name) for name in _unfit(kind)})


def _unfit(kind: SourceKind) -> tuple[str, ...]:
    """Options that a source of this kind cannot have."""
    live = () if kind in ("camera", "stream") else _FOR_LIVE
    rate = ("fps",) if kind in ("stream", "demo") else ()
    return (*live, *rate, *(() if kind == "camera" else _FOR_CAMERAS))


def _settings(
    path: Path, place: str, options: object, usual: RecordSettings, kind: SourceKind | None = None
) -> RecordSettings:
    """`usual` with the options. `kind` None: of sources of all kinds."""
    try:
        given = cast(dict[str, Any], checked(_OPTIONS, options))
    except MisfitError as error:
        raise FleetError(
            f"{path}: {place}.{error}{_meant(options)}".replace(f"{place}.expected", f"{place}: expected")
        ) from None
    for name in _unfit(kind) if kind is not None else ():
        if name in given:
            raise FleetError(f"{path}: {place}.{name}: not for a {kind}")
    if kind == "camera" and given.get("fps", 0) > MOST_CAMERA_FPS:
        raise FleetError(f"{path}: {place}.fps: expected up to {MOST_CAMERA_FPS:g} of a camera, found {given['fps']:g}")
    if "model" in given:
        given["model"] = path.absolute().parent / os.path.expanduser(given["model"])
    if not str(given.get("label", "")).isprintable():
        raise FleetError(f"{path}: {place}.label: expected letters on one line")
    settings = replace(usual, **given)
    if settings.one_person and settings.max_faces > 1:
        raise FleetError(f"{path}: {place}.one_person: follows one face: leave out max_faces {settings.max_faces}")
    return settings


def _meant(options: object) -> str:
    """A name that is all but right."""
    known = [field.name for field in fields(RecordSettings)]
    for name in options if isinstance(options, Mapping) else ():
        if name not in known and (close := difflib.get_close_matches(str(name), known, 1)):
            return f"; did you mean {close[0]}?"
    return ""


class _NoDoubles(yaml.SafeLoader):
    """YAML in which no name stands twice: of two sources of one id the first would be gone without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        for name, count in names.items():
            if count > 1:
                raise yaml.constructor.ConstructorError(None, None, f"{name!r} stands there twice", node.start_mark)
        return super().construct_mapping(node, deep)
