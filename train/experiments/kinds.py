"""The kinds of rows that a table of experiments may have. TensorFlow comes in only when one is asked."""

from collections.abc import Mapping

from model.quiet import native_log_held_back
from train.experiments.rows import LiveLine, RowAnswers, RowKind, RowTask


def _network_answers(task: RowTask) -> RowAnswers:
    with native_log_held_back():
        from train.experiments.network_row import answers

    return answers(task)


def _network_live(task: RowTask) -> LiveLine:
    from train.experiments.live_cost import network_live

    return network_live(task)


def _shallow_flow_answers(task: RowTask) -> RowAnswers:
    with native_log_held_back():
        from train.experiments.shallow_flow import flow_answers

    return flow_answers(task)


def _landmark_rule_answers(task: RowTask) -> RowAnswers:
    from train.experiments.landmark_rule import rule_answers

    return rule_answers(task)


def _majority_answers(task: RowTask) -> RowAnswers:
    from train.experiments.landmark_rule import majority_answers

    return majority_answers(task)


def _no_live(task: RowTask) -> None:
    """Baselines look for the largest motion of a whole clip."""


KINDS: Mapping[str, RowKind] = {
    "network": RowKind(_network_answers, _network_live),
    "shallow_flow": RowKind(_shallow_flow_answers, _no_live),
    "landmark_rule": RowKind(_landmark_rule_answers, _no_live),
    "majority": RowKind(_majority_answers, _no_live),
}
"""By the name in a spec."""
