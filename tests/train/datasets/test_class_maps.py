"""Which emotion is which class: in every spelling, whatever is chosen, and said in words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from train.datasets.au_codes import parse_units
from train.datasets.class_maps import (
    EMOTIONS,
    OTHERS,
    SEVEN_CLASSES,
    ClassMap,
    emotions_in,
    is_one_sided_12,
    unknown_emotions,
)
from train.datasets.labels import CASME2_LABELS, SAMM_LABELS, megc2019_words
from train.datasets.source import THREE_CLASSES, DatasetError

MAPS = st.builds(
    ClassMap,
    st.sampled_from([3, 4, 7]),
    st.sampled_from(["negative", "left-out"]),
    st.sampled_from(["annotated", "contempt", "happiness"]),
)
UNITS = st.lists(st.sampled_from(["12", "L12", "R12B", "U12", "L12|R12", "4", "6", "1", "2", "R14"]), max_size=3)


@pytest.mark.parametrize(
    ("emotion", "three", "four", "seven"),
    [
        ("Anger", "negative", "negative", "anger"),
        ("contempt", "negative", "negative", "contempt"),
        ("disgust ", "negative", "negative", "disgust"),
        ("fear", "negative", "negative", "fear"),
        ("sad", "negative", "negative", "sadness"),
        ("Sadness", "negative", "negative", "sadness"),
        ("repression", "negative", "negative", None),
        ("Negative", "negative", "negative", None),
        ("Happy", "positive", "positive", "happiness"),
        ("happiness", "positive", "positive", "happiness"),
        ("Positive", "positive", "positive", None),
        ("surprise", "surprise", "surprise", "surprise"),
        ("Other", None, "others", None),
        ("Others", None, "others", None),
        ("tense", None, "others", None),
        ("Surprise+Positive", None, None, None),
        ("Negative + Repression", "negative", "negative", None),
        ("fear, Sadness", "negative", "negative", None),
        ("happy and happiness", "positive", "positive", "happiness"),
        ("positive+others", None, None, None),
        ("others & tense", None, "others", None),
        ("ambivalence", None, None, None),
        ("", None, None, None),
    ],
)
def test_an_emotion_is_of_one_class_in_every_spelling(emotion, three, four, seven):
    assert [ClassMap(classes).label(emotion) for classes in (3, 4, 7)] == [three, four, seven]


@given(chosen=MAPS, emotion=st.one_of(st.sampled_from(EMOTIONS), st.text(max_size=30)), units=UNITS)
def test_a_label_is_a_class_or_none(chosen: ClassMap, emotion: str, units: list[str]) -> None:
    label = chosen.label(emotion, units)
    assert label is None or label in chosen.class_names
    assert label == chosen.label(f"  {emotion.upper()} ", units) or emotion.upper().casefold() != emotion.casefold()
    if chosen.classes == 4:
        three = ClassMap(3, chosen.contempt, chosen.one_sided_12).label(emotion, units)
        assert three == (None if label == OTHERS else label)


@given(chosen=MAPS, emotions=st.lists(st.sampled_from(EMOTIONS), min_size=1, max_size=4))
def test_several_emotions_are_of_a_class_when_all_are_in_any_order(chosen: ClassMap, emotions: list[str]) -> None:
    labels = {chosen.label(emotion) for emotion in emotions}
    expected = labels.pop() if len(labels) == 1 else None
    assert chosen.label("+".join(emotions)) == chosen.label(", ".join(reversed(emotions))) == expected


@given(chosen=MAPS, emotion=st.sampled_from(EMOTIONS), units=UNITS)
def test_a_one_sided_12_decides_alone_and_only_where_it_is_asked_to(
    chosen: ClassMap, emotion: str, units: list[str]
) -> None:
    plain = ClassMap(chosen.classes, chosen.contempt)
    decides = chosen.one_sided_12 != "annotated" and is_one_sided_12(units)
    assert chosen.label(emotion, units) == plain.label(chosen.one_sided_12 if decides else emotion)


@pytest.mark.parametrize(
    ("text", "alone"),
    [
        ("L12", True), ("R12C", True), ("U12", True), ("L12 or R12", True), ("l 12", True), ("R12A/B", True),
        ("12", False), ("A12", False), ("L12+14", False), ("L14", False), ("L12 or L14", False), ("", False), ("L1", False),
    ],
)  # fmt: skip
def test_what_a_one_sided_12_alone_is(text: str, alone: bool) -> None:
    assert is_one_sided_12(parse_units(text).units) == alone


@given(emotion=st.sampled_from(EMOTIONS))
def test_left_out_contempt_is_in_no_class_and_nothing_else_changes(emotion: str) -> None:
    for classes in (3, 4):
        left_out = ClassMap(classes, "left-out").label(emotion)
        assert left_out == (None if emotion == "contempt" else ClassMap(classes).label(emotion))
    assert ClassMap(7, "left-out").label(emotion) == ClassMap(7).label(emotion)


def test_published_classes_go_first_where_there_are_three() -> None:
    for published in (CASME2_LABELS, SAMM_LABELS):
        for emotion, label in published.items():
            assert ClassMap().label(emotion, (), published) == label
    assert (ClassMap().label("fear", (), CASME2_LABELS), ClassMap(4).label("fear", (), CASME2_LABELS)) == (
        None, "negative",
    )  # fmt: skip
    contempt = ClassMap(one_sided_12="contempt")
    assert contempt.label("happiness", ("R12",), CASME2_LABELS) == "negative"


def test_the_words_say_what_was_chosen() -> None:
    assert ClassMap().in_words() == (
        "3 classes: negative (anger, contempt, disgust, fear, negative, repression, sadness), positive (happiness, positive), "
        "surprise; in none: others, tense; a one-sided 12 alone: as annotated"
    )
    assert ClassMap(7, one_sided_12="contempt").in_words() == (
        "7 classes: anger, contempt, disgust, fear, happiness, sadness, surprise; in none: negative, repression, positive, "
        "others, tense; a one-sided 12 alone: contempt"
    )
    assert megc2019_words("casme2") == (
        "3 classes: negative (disgust, repression), positive (happiness), surprise; in none: others, sadness, fear; "
        "a one-sided 12 alone: as annotated"
    )
    assert [megc2019_words("composite").count(name) for name in ("smic: ", "casme2: ", "samm: ")] == [1, 1, 1]


@given(chosen=MAPS)
def test_different_choices_have_different_words_where_they_matter(chosen: ClassMap) -> None:
    words = chosen.in_words()
    assert all(name in words for name in chosen.class_names)
    other = ClassMap(chosen.classes, "negative" if chosen.contempt == "left-out" else "left-out", chosen.one_sided_12)
    assert (other.in_words() != words) == (chosen.classes != 7)


def test_what_is_no_setting_is_refused() -> None:
    with pytest.raises(DatasetError, match="class map: expected classes to be one of 3, 4, 7, found 5"):
        ClassMap(5)  # type: ignore[arg-type]
    with pytest.raises(DatasetError, match="expected contempt to be one of negative, left-out, found 'positive'"):
        ClassMap(contempt="positive")  # type: ignore[arg-type]


def test_a_cell_of_blanks_and_signs_is_read_at_once() -> None:
    assert emotions_in("sad" + " " * 200_000 + "+" * 200_000 + " happy") == ("sadness", "happiness")


def test_names() -> None:
    assert ClassMap().class_names == THREE_CLASSES
    assert ClassMap(4).class_names == (*THREE_CLASSES, OTHERS)
    assert ClassMap(7).class_names == SEVEN_CLASSES
    assert emotions_in(" Sad ;happy\uff0cOther") == ("sadness", "happiness", "others")
    assert unknown_emotions(emotions_in("sad+hapiness")) == ("hapiness",)
