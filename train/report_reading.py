"""How to read a report, in plain words, with the run's own numbers where they make it plainer."""

from collections.abc import Sequence

from train.report_runs import ScoredRun
from train.report_view import PeopleOfDataset, whole


def reading(opened: ScoredRun, groups: Sequence[PeopleOfDataset]) -> list[tuple[str, str]]:
    """Terms and what they mean."""
    part, names = whole(opened.scores), opened.run.class_names
    people, n = part["people"], part["n"]
    one_class, one_clip = sum(g.one_class for g in groups), sum(g.one_clip for g in groups)
    accuracy = part["accuracy"]["mean"]
    error = (accuracy * (1 - accuracy) / n) ** 0.5
    most = max(person.n for group in groups for person in group.people)
    told = [
        (
            "Leave one subject out",
            f"Each of the {people} people is tested by a network that never saw them: it was trained on the others from "
            "the start. Testing on a person who was also trained on measures how well faces are remembered.",
        ),
        (
            "UF1 and UAR",
            f"The F1 score and the recall of each class, averaged over the {len(names)} classes so that a rare class "
            "counts as much as a common one. Accuracy counts clips, so it rewards answering the common class.",
        ),
        (
            "Pooled, not averaged over folds",
            "All answers of all people are put into one confusion matrix, and a score is computed from it once. An "
            f"average of one score a person would let a person with a single clip weigh as much as one with {most}.",
        ),
        (
            "Small folds",
            f"Of the {people} people {_people_have(one_class)} clips of one class only and {one_clip} a single clip. A "
            "score of such a fold is 0 or 1 by the luck of a clip or two: look at the bars for who is hard, not for scores.",
        ),
        (
            "Chance",
            "What guessing gets that knows how frequent the classes are and nothing else, by the same rules on the "
            "same clips. A score close to it means that nothing was learnt, however high it looks.",
        ),
        (
            "n and the spread",
            f"With {n} clips the accuracy alone is uncertain by about ± {error:.3f} (one standard error), UF1 and UAR "
            "by more where a class is rare, and clips of one person are alike. The ± behind a score is something else: the standard "
            "deviation over seeds, how much the same training scatters. A difference smaller than either is none.",
        ),
        (
            "Why the published protocol is optimistic",
            "Many papers keep, for every left-out person, the epoch that was best on that very person, count a fold "
            "without mistakes as 1.0, and average over folds. With a few clips a fold and many epochs to choose from, "
            "guesses reach high scores as well: its chance is far above the honest one. Such numbers compare only with "
            "numbers taken alike, and with the chance of the same protocol.",
        ),
    ]
    return told


def _people_have(count: int) -> str:
    return f"{count} has" if count == 1 else f"{count} have"
