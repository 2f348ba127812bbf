"""The kinds of rows that a table of experiments may have. TensorFlow comes in only when one is asked."""

from collections.abc import Mapping

from model.quiet import native_log_held_back
from train.experiments import LiveLine, RowAnswers, RowKind, RowTask


def _network_answers(task: RowTask) -> RowAnswers:
    with native_log_held_back():
        from train.experiments_network import answers

    return answers(task)


def _network_live(task: RowTask) -> LiveLine:
    from train.experiments_live import network_live

    return network_live(task)


def _shallow_flow_answers(task: RowTask) -> RowAnswers:
    with native_log_held_back():
        from train.baselines.flow_row import flow_answers

    return flow_answers(task)


def _landmark_rule_answers(task: RowTask) -> RowAnswers:
    from train.baselines.rule_row import rule_answers

    return rule_answers(task)


def _majority_answers(task: RowTask) -> RowAnswers:
    from train.baselines.majority_row import majority_answers

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
