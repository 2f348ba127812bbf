"""Folds that start from a finished run's weights: whether it may be used for them, and the weights themselves.

No TensorFlow until the weights are read.
"""

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.contract import ClipContract
from model.errors import ContractError
from model.variants import variant
from train.config_file import config_from, read_config_file
from train.errors import UsageError
from train.files import RunDir, parsed_json
from train.fit_config import TrainConfig

_ANSWERS = "logits"
"""The layer whose shape and meaning depend on the classes."""


@dataclass(frozen=True)
class Pretrained:
    """A finished run to start from: its `model.keras`, and the classes it was trained on."""

    model: str
    class_names: tuple[str, ...]


def open_pretrained(
    path: Path | str, config: TrainConfig, contract: ClipContract, people: Iterable[str]
) -> tuple[Pretrained, list[str]]:
    """The run at `path`, and in words what differs between its clips and `contract`'s without forbidding its use.

    Raises:
        UsageError: it is no finished run, another architecture, takes another input, or was trained on any of `people`
            ("dataset/subject"), whose folds would then not be honest.
    """
    run = RunDir(path)
    for file in (run.model, run.contract, run.data, run.config):
        if not file.is_file():
            raise UsageError(
                f"--pretrain {path}: expected a finished run of `python -m train fit` with {file.name}, found none"
            )
    require_strangers(run, people, "--pretrain", "leave them out with --exclude-people")
    _require_architecture(run, config)
    try:
        before = ClipContract.from_json(run.contract.read_text(encoding="utf-8"))
    except (ContractError, UnicodeDecodeError) as error:
        raise UsageError(f"{run.contract}: {error}") from error
    for what, flag, theirs, ours in (
        ("input", "--input", before.input.kind, contract.input.kind),
        ("size", "--size-px", f"{before.input.size_px} px", f"{contract.input.size_px} px"),
        ("colour", "--colour", before.input.colour, contract.input.colour),
        ("frames a clip", "--data", before.frames, contract.frames),
    ):
        if theirs != ours:
            raise UsageError(
                f"--pretrain {path}: {what}: that run takes {theirs}, this one {ours}; change {flag}, or pretrain again"
            )
    return Pretrained(str(run.model.resolve()), before.class_names), _other_differences(before, contract)


def transfer(pretrained: Pretrained, network: Any, class_names: tuple[str, ...]) -> None:
    """Puts the pretrained weights into `network`, whose classes these are.

    The last layer keeps its fresh weights unless it has the same classes in the same order. The input's scaling is no
    weight, and stays that of the network.

    Raises:
        UsageError: other layers differ.
    """
    weights = _weights(pretrained.model)
    for layer in network.layers:
        if not layer.weights or (layer.name == _ANSWERS and class_names != pretrained.class_names):
            continue
        before = weights.get(layer.name, [])
        if [w.shape for w in before] != [tuple(w.shape) for w in layer.weights]:
            raise UsageError(
                f"{pretrained.model}: layer {layer.name}: expected weights {[tuple(w.shape) for w in layer.weights]}, found {[w.shape for w in before]}"
            )
        layer.set_weights(before)


@functools.cache
def _weights(model: str) -> dict[str, list[Any]]:
    """The weights of every layer by its name, read once a process."""
    from model.network import load_network

    try:
        network = load_network(model)
    except ValueError as error:
        raise UsageError(str(error)) from error
    return {layer.name: layer.get_weights() for layer in network.layers}


def require_strangers(run: RunDir, people: Iterable[str], flag: str, otherwise: str) -> None:
    """Raises UsageError where the run was trained on any of `people`; `otherwise`: what else can be done about it."""
    try:
        facts = parsed_json(run.data.read_text(encoding="utf-8"))
        seen = {person for part in ("train", "validation") for person in facts[part]["people"]}
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{run.data}: expected the people of a run, found something else ({error!r})") from error
    both = sorted(seen & set(people))
    if both:
        shown = ", ".join(both[:12]) + (f" and {len(both) - 12} more" if len(both) > 12 else "")
        raise UsageError(
            f"{flag} {run.path}: it has seen people of this data ({shown}), so that their folds would test on what "
            f"was trained on; take one that was trained on others, or {otherwise}"
        )


def _require_architecture(run: RunDir, config: TrainConfig) -> None:
    before = config_from(read_config_file(run.config))
    ours, theirs = ((variant(c.variant).config, c.fusion) for c in (config, before))
    if ours != theirs:
        raise UsageError(
            f"--pretrain {run.path}: expected the same network, found --variant {before.variant} --fusion {before.fusion} "
            f"there and --variant {config.variant} --fusion {config.fusion} here"
        )


def _other_differences(before: ClipContract, contract: ClipContract) -> list[str]:
    flow = ("flow_finest_scale", "flow_smoothness", "flow_smoothing_px", "strain_gain")
    pairs = [(name, getattr(before, name), getattr(contract, name)) for name in ("fps", "crop", "reference")]
    if contract.input.has_flow:
        pairs += [(name, getattr(before.input, name), getattr(contract.input, name)) for name in flow]
    return [f"{name} was {old}, is {new}" for name, old, new in pairs if old != new]
