"""Contracts in the metadata of exported models, also another one for those that are exported already: their graphs and
weights stay.

And the learned decision about movements (`model.decision`), read from the file that a fit of it has written.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from export.errors import ExportError
from model.atomic import regular_file
from model.contract import METADATA_KEY, ClipContract
from model.decision import SpottingDecision
from model.errors import ContractError
from model.guards import other_model
from stream.events.judgement import Judge

_STREAMING = ".stream.onnx"


def store_contract(model: Any, contract: ClipContract) -> None:
    """Puts the contract into the model's metadata, in the place of one that is there."""
    told = contract.to_metadata()
    kept = [(entry.key, entry.value) for entry in model.metadata_props if entry.key not in told]
    del model.metadata_props[:]
    for key, value in (*kept, *told.items()):
        model.metadata_props.add(key=key, value=value)


def model_pair(path: Path) -> tuple[Path, ...]:
    """The window model and the streaming model beside it, those of the two that are there, whichever is given."""
    stem = path.name.removesuffix(_STREAMING).removesuffix(".onnx")
    pair = (path.with_name(f"{stem}.onnx"), path.with_name(f"{stem}{_STREAMING}"))
    return tuple(part for part in pair if part == path or part.is_file())


def with_decision(contract: ClipContract, path: Path) -> ClipContract:
    """The contract with the decision of a JSON file (`dataclasses.asdict` of a `SpottingDecision`).

    Raises ExportError for a file that holds none, or one that the live program would not take.
    """
    try:
        decision = SpottingDecision.from_json(json.loads(regular_file(path).read_text(encoding="utf-8")))
        Judge(decision)
    except OSError as error:
        raise ExportError(f"{path}: {error.strerror}") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise ExportError(f"{path}: expected a decision in JSON ({' '.join(str(error).split())})") from error
    return replace(contract, decision=decision)


def restamped(path: Path, change: Callable[[ClipContract], ClipContract]) -> tuple[dict[str, Any], ClipContract]:
    """The models of `model_pair` by file name, with what `change` makes of their contract in them; and that contract.

    Raises:
        ExportError: a file is no exported model, or the two have different contracts.
    """
    models = {part.name: _opened(part) for part in model_pair(path)}
    (name, contract), *others = [(name, _contract_of(model, name)) for name, model in models.items()]
    for other, told in others:
        if told != contract:
            raise ExportError(f"{other}: expected the contract of {name}, found another one; export both again")
    contract = change(contract)
    for model in models.values():
        store_contract(model, contract)
    return models, contract


def _opened(path: Path) -> Any:
    import onnx

    if (other := other_model(path)) is not None:
        raise ExportError(other)
    # The parser's own errors have no common base; what is wrong is the same for all of them.
    model = None
    with suppress(Exception):
        model = onnx.load_from_string(regular_file(path).read_bytes())
    if model is None or not model.graph.node:
        raise ExportError(f"{path}: expected an exported model, found what cannot be read as ONNX")
    return model


def _contract_of(model: Any, name: str) -> ClipContract:
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    if METADATA_KEY not in metadata:
        raise ExportError(f"{name}: an ONNX model, but none of Microlive's (its metadata has no {METADATA_KEY})")
    try:
        return ClipContract.from_metadata(metadata)
    except ContractError as error:
        raise ExportError(f"{name}: {error}") from error
