"""Clip stores that are trained on together: of the same classes by the same map, and of different people."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.stores import write_store
from train.clips.samples import open_stores, samples_of
from train.datasets.class_maps import ClassMap
from train.errors import UsageError


def store(folder: Path, dataset: str, chosen: ClassMap | None = None, **settings: Any) -> str:
    """A store that says it was prepared of a dataset."""
    write_store(folder, ("ann", "bob"), clips_each=1, dataset=dataset, seed=len(dataset))
    manifest = json.loads((folder / "manifest.json").read_text())
    told = {} if chosen is None else {"class_map": {**chosen.to_dict(), "in_words": chosen.in_words()}}
    manifest["settings"] = {"source": dataset, **told, **settings}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return str(folder)


def test_stores_of_one_map_go_together_and_say_it_by_dataset(tmp_path: Path) -> None:
    chosen = ClassMap(contempt="left-out")
    stores = open_stores([store(tmp_path / name, name, chosen) for name in ("mmew", "dfme", "casme")])
    assert dict(samples_of(stores).class_map) == dict.fromkeys(("mmew", "dfme", "casme"), chosen.in_words())


@pytest.mark.parametrize("other", [ClassMap(contempt="left-out"), ClassMap(one_sided_12="happiness")])
def test_stores_of_different_maps_are_refused_in_one_line(other: ClassMap, tmp_path: Path) -> None:
    one, two = store(tmp_path / "one", "mmew", ClassMap()), store(tmp_path / "two", "dfme", other)
    chosen = f"--label-map 3, --contempt {other.contempt}, --one-sided-12 {other.one_sided_12}"
    with pytest.raises(UsageError) as refused:
        open_stores([one, two])
    assert str(refused.value) == (
        f"{two}: class map: expected --label-map 3, --contempt negative, --one-sided-12 annotated as in {one}, found {chosen}; "
        "prepare both alike"
    )


def test_a_store_of_before_there_was_a_choice_has_the_usual_map(tmp_path: Path) -> None:
    old, own = store(tmp_path / "old", "samm"), store(tmp_path / "own", "folder")
    assert open_stores([old, store(tmp_path / "new", "dfme", ClassMap()), own])
    with pytest.raises(UsageError, match="class map: expected --label-map 3, --contempt negative"):
        open_stores([own, old, store(tmp_path / "other", "dfme", ClassMap(contempt="left-out"))])


@pytest.mark.parametrize("damaged", [[], "3 classes", 7, {"in_words": ["x"]}, {"contempt": {}}])
def test_what_a_store_says_may_be_anything(damaged: Any, tmp_path: Path) -> None:
    stores = open_stores([store(tmp_path / "one", "mmew", class_map=damaged)])
    assert samples_of(stores).class_map == {}


@pytest.mark.parametrize(("one", "other"), [("smic", "smic-e"), ("samm-long", "samm")])
def test_two_recordings_of_the_same_people_are_refused(one: str, other: str, tmp_path: Path) -> None:
    stores = open_stores([store(tmp_path / "a", one, ClassMap()), store(tmp_path / "b", other, ClassMap())])
    with pytest.raises(UsageError, match=f"b: {other} shows the same people as {one} in .*a, so that nobody would"):
        samples_of(stores)
