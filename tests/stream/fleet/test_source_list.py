"""What a fleet is asked to record: the YAML file, the folder, and one line for everything that is wrong with either."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.fleet.fleet_folder import FleetError
from stream.fleet.orders import RecordSettings
from stream.fleet.source_list import file_id, read_sources

USUAL = RecordSettings()


def read(folder: Path, text: str, usual: RecordSettings = USUAL):
    path = folder / "sources.yaml"
    path.write_text(text, encoding="utf-8")
    return {source.id: source for source in read_sources(path, usual, folder / "out").sources}


def test_sources_of_all_kinds_with_defaults_where_they_fit(tmp_path: Path) -> None:
    (tmp_path / "talk.mp4").write_bytes(b"12345")
    found = read(
        tmp_path,
        """
defaults: {sensitivity: 0.5, size_px: [640, 480], fps: 30, retry_for_s: 5, model: own.onnx}
sources:
  door: 0
  hall: {source: "rtsp://anna:secret@10.0.0.7/stream", max_faces: 3, anonymise: true}
  talk: {source: talk.mp4, fps: 200, model: other.onnx}
  show: demo
""",
    )
    door, hall, talk, show = (found[name] for name in ("door", "hall", "talk", "show"))
    assert [one.kind for one in (door, hall, talk, show)] == ["camera", "stream", "file", "demo"]
    assert (door.target, door.endless, door.settings.size_px, door.settings.fps) == (0, True, (640, 480), 30)
    assert door.settings.live(True).camera.size_px == (640, 480) and door.settings.live(True).retry_for_s == 5
    assert hall.settings.max_faces == 3 and hall.settings.size_px is None and hall.settings.fps is None
    assert talk.target == str(tmp_path / "talk.mp4") and talk.size_bytes == 5 and talk.changed_ns is not None
    assert talk.settings.fps == 200 and talk.settings.model == tmp_path / "other.onnx" and not talk.endless
    assert show.settings.fps is None and show.settings.model == tmp_path / "own.onnx"
    assert all(one.settings.sensitivity == 0.5 for one in found.values())


def test_no_password_is_told(tmp_path: Path) -> None:
    found = read(tmp_path, 'sources: {hall: "rtsp://anna:secret@10.0.0.7/pw"}')["hall"]
    assert found.target == "rtsp://anna:secret@10.0.0.7/pw"
    assert "secret" not in repr(found) and "secret" not in str(found.told()) and found.name == "rtsp://10.0.0.7/…"
    hidden = read(tmp_path, "sources: {ward: {source: 1, anonymise: true}}")["ward"]
    assert hidden.name == "ward"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sources: {door: {source: 0, max_faces: 0}}", "sources.door.max_faces: expected 1 or more, found 0"),
        ("sources: {door: {source: 0, max_face: 2}}", "sources.door.max_face: expected no field of that name, found 2; did you mean max_faces?"),
        ("sources: {door: {source: 0, face_at: [1]}}", "sources.door.face_at"),
        ("sources: {talk: {source: a.mp4, size_px: [1, 1]}}", "sources.talk.size_px: not for a file"),
        ("sources: {hall: {source: 'rtsp://h/s', fps: 5}}", "sources.hall.fps: not for a stream"),
        ("sources: {door: {source: 0, fps: 5000}}", "sources.door.fps: expected up to 1000 of a camera"),
        ("sources: {door: {source: 0, one_person: true, max_faces: 2}}", "sources.door.one_person: follows one face"),
        ("sources: {door: {max_faces: 2}}", "sources.door.source: expected a camera's number, a file, a URL or demo, found nothing"),
        ("sources: {door: true}", "sources.door.source: expected a camera's number"),
        ("sources: {door: -1}", "sources.door.source: expected a camera's number"),
        ("sources: {../door: 0}", "sources.../door: expected an id of letters"),
        ("sources: {door: 0, Door: 1}", "another id differs from it in small and large letters only"),
        ("sources: {7: 0}", "sources.7: expected an id of letters"),
        ("sources: {door: '-'}", "sources.door.source: a pipe is for one program only"),
        ("sources: {door: 'anna:secret@10.0.0.7/pw'}", "sources.door"),
        ("defaults: {sensitivity: high}\nsources: {door: 0}", "defaults.sensitivity: expected a finite number, found 'high'"),
        ("defaults: 5\nsources: {door: 0}", "defaults: expected an object, found 5"),
        ("sources: [0, 1]", "expected sources: with a line ID: SOURCE for each"),
        ("sources: {}", "expected sources: with a line ID: SOURCE for each"),
        ("source: {door: 0}\nsources: {door: 0}", "source: expected sources or defaults"),
        ("sources:\n  door: 0\n  door: 1", "'door' stands there twice"),
        ("sources: {door: [", "not YAML"),
    ],
)  # fmt: skip
def test_one_line_says_where_and_what(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(FleetError) as caught:
        read(tmp_path, text)
    words = str(caught.value)
    assert said in words and str(tmp_path / "sources.yaml") in words and "\n" not in words and "secret" not in words


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 70) | st.floats(-1, 9) | st.text(max_size=6)
    | st.sampled_from(["demo", "rtsp://h/s", "a.mp4", "cpu", "auto"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["source", "max_faces", "fps", "face_at", "model", "label", "size_px"]) | st.text(max_size=4), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=40)
@given(
    st.dictionaries(
        st.sampled_from(["sources", "defaults", "x"]), st.dictionaries(st.text(max_size=4), VALUES, max_size=3)
    )
)
def test_any_file_is_read_or_refused_in_one_line(tmp_path_factory: pytest.TempPathFactory, values: dict) -> None:
    folder = tmp_path_factory.getbasetemp()
    try:
        found = read(folder, yaml.safe_dump(values))
    except FleetError as error:
        assert "\n" not in str(error)
    else:
        assert set(found) == set(values["sources"])
        for source in found.values():
            assert source.told()["source"]


def test_a_folder_at_any_depth_without_what_is_no_video_or_the_fleets_own(tmp_path: Path) -> None:
    for name in (
        "b.mp4",
        "sub/a.MKV",
        "sub/notes.txt",
        ".hidden.mp4",
        ".git/c.mp4",
        "out/sessions/x/0001/source/0001.mkv",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    listed = read_sources(tmp_path, RecordSettings(max_faces=2), tmp_path / "out")
    assert [source.id for source in listed.sources] == ["b.mp4", "sub__a.MKV"] and listed.left_out == 1
    assert all(source.settings.max_faces == 2 and source.size_bytes == 1 for source in listed.sources)
    with pytest.raises(FleetError, match="holds no video"):
        read_sources(tmp_path / "out" / "sessions", USUAL, tmp_path / "out")
    with pytest.raises(FleetError, match="name the sources in a YAML file"):
        read_sources(tmp_path, RecordSettings(anonymise=True), tmp_path / "out")


PARTS = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=30).filter(
    lambda part: part not in (".", "..")
)


@settings(max_examples=40)
@given(
    st.lists(
        st.lists(st.sampled_from(["a", "b", "_", "a_", "_b", "a__b", "__"]) | PARTS, min_size=1, max_size=4),
        min_size=2,
        max_size=12,
    )
)
def test_ids_are_names_for_folders_and_each_stands_for_one_file(places: list[list[str]]) -> None:
    paths = {Path(*parts) for parts in places}
    ids = {file_id(path) for path in paths}
    assert len(ids) == len(paths)
    for name in ids:
        assert name and len(name) <= 100 and "/" not in name and name not in (".", "..") and not name.startswith(".")
        assert name.isprintable() or any(not letter.isascii() for letter in name)
