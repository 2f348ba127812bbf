"""The least probability that counts, chosen for a subject on all others."""

from hypothesis import given
from hypothesis import strategies as st

from train.challenge.least_probability import chosen_by_others, in_words
from train.challenge.scored_video import FrameEvent, ScoredVideo
from train.spotting.match import Counts

OTHERWISE = 0.7


def event(onset: int, probability: float | None = None) -> FrameEvent:
    return FrameEvent("micro", onset, onset + 9, probability=probability)


def video(subject: str, truth: tuple[int, ...], found: dict[int, float]) -> ScoredVideo:
    """True micro-expressions at these frames, found ones at those with their probabilities."""
    return ScoredVideo(
        subject, "v", 30.0, 0, 999, tuple(map(event, truth)), tuple(event(at, p) for at, p in found.items())
    )


def test_by_hand() -> None:
    """For a, b and c are best with .6: two hits, nothing false; .2 adds a false one, .8 loses a hit. For b it is .9, since
    of a's and c's candidates only that is a hit; for c, .9 and .6 of a and b."""
    a = video("a", (100,), {100: 0.9})
    b = video("b", (100, 300), {100: 0.8, 300: 0.6, 500: 0.2})
    c = video("c", (100,), {500: 0.85})
    assert chosen_by_others([a, b, c], OTHERWISE) == {"a": 0.6, "b": 0.9, "c": 0.6}


def test_without_a_hit_of_others_nothing_is_chosen() -> None:
    a, b = video("a", (100,), {100: 0.9}), video("b", (100,), {500: 0.4})
    assert chosen_by_others([a, b], OTHERWISE) == {"a": OTHERWISE, "b": 0.9}
    assert chosen_by_others([a], OTHERWISE) == {"a": OTHERWISE}
    assert chosen_by_others([video("a", (100,), {}), b], OTHERWISE) == {"a": OTHERWISE, "b": OTHERWISE}


places = st.integers(0, 9).map(lambda place: 100 * place)
chances = st.sampled_from([0.1, 0.2, 0.3, 0.5, 0.7, 0.9])
videos = st.builds(
    video,
    st.sampled_from("abc"),
    st.sets(places, max_size=4).map(lambda found: tuple(sorted(found))),
    st.dictionaries(places, chances, max_size=6),
)


@given(st.lists(videos, min_size=1, max_size=6))
def test_it_is_the_best_for_the_others_and_the_largest_of_equals(made: list[ScoredVideo]) -> None:
    chosen = chosen_by_others(made, OTHERWISE)
    for subject, least in chosen.items():
        others = [video for video in made if video.subject != subject]
        tried = {e.probability for video in others for e in video.found}
        scored = {p: plain_f1(others, p) for p in tried}
        best = max(scored.values(), default=0.0)
        assert least == (max(p for p, f1 in scored.items() if f1 == best) if best > 0 else OTHERWISE)


@given(st.lists(videos, min_size=1, max_size=6), videos)
def test_a_subjects_own_videos_do_not_matter(made: list[ScoredVideo], other: ScoredVideo) -> None:
    subject = other.subject
    without = [video for video in made if video.subject != subject]
    assert (
        chosen_by_others([*without, other], OTHERWISE)[subject]
        == chosen_by_others([*without, video(subject, (), {})], OTHERWISE)[subject]
    )


def plain_f1(videos: list[ScoredVideo], least: float) -> float:
    """Events lie at the same frames or far apart: they match where their onsets are the same."""
    total = Counts(0, 0, 0)
    for one in videos:
        truth, found = {e.onset for e in one.truth}, {e.onset for e in one.found if (e.probability or 0) >= least}
        total += Counts(len(truth & found), len(found - truth), len(truth - found))
    return total.f1


def test_how_it_was_chosen_is_said() -> None:
    assert in_words("fixed", 0.25, given=True) == "fixed in advance: 0.25, as asked for"
    assert in_words("fixed", 0.25, given=False) == "fixed in advance: 0.25, the model's own"
    assert in_words("fixed", 0.0, given=False) == "fixed in advance: 0, all that was found counts"
    assert "all other subjects" in in_words("loso", 0.25, given=False)
