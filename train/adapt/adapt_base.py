"""The model that adapting begins with: a run's, or one that is exported, whose network is made of it again."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from model.atomic import regular_file
from model.config import NetworkConfig
from model.contract import ClipContract
from model.quiet import native_log_held_back
from model.variants import VARIANTS
from stream.engine.model_file import BUNDLED_MODEL
from train.config_file import config_from
from train.errors import UsageError
from train.files import RunDir, write_with
from train.fit.pretrained import Pretrained, require_strangers
from train.fit_config import TrainConfig
from train.scores.evaluate import OnnxPredictor, open_model

BUNDLED = "bundled"


@dataclass(frozen=True, eq=False)
class AdaptBase:
    """`name`: as it is to be told. `sha256`: of the file that was given. `network`: in Keras, with what it was built from."""

    name: str
    sha256: str
    contract: ClipContract
    network: Any
    architecture: NetworkConfig

    def save(self, folder: Path) -> Pretrained:
        """The network as a file, which folds in other processes go on from."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "model.keras"
        write_with(path, self.network.save)
        return Pretrained(str(path.resolve()), self.contract.class_names)

    @property
    def scaling(self) -> tuple[float, float]:
        return self.contract.input.offset, self.contract.input.scale

    def config(self, data: Sequence[str], out: str, settings: dict[str, Any]) -> TrainConfig:
        """A training of this network on these stores: its architecture and input are the base's. Raises UsageError."""
        recipe, reference, network = self.contract.input, self.contract.reference, self.architecture
        return config_from(
            {
                "data": list(data),
                "out": out,
                "variant": self._variant(),
                "fusion": network.fusion,
                "input": recipe.kind,
                "size_px": recipe.size_px,
                "fps": self.contract.fps,
                "colour": recipe.colour,
                "reference": reference.kind,
                "time_constant_s": reference.time_constant_s,
                "lag_s": reference.lag_s,
                "flow_finest_scale": recipe.flow_finest_scale,
                "flow_smoothness": recipe.flow_smoothness,
                "flow_smoothing_px": recipe.flow_smoothing_px,
                "strain_gain": recipe.strain_gain,
                "dropout": network.dropout,
                "action_units": bool(network.action_units),
            }
            | settings
        )

    def _variant(self) -> str:
        """Of the rows with this architecture the one with a weighted loss, which is the later one."""
        kinds = (self.architecture.channel_attention, self.architecture.temporal_attention)
        rows = (r for r in VARIANTS.values() if (r.config.channel_attention, r.config.temporal_attention) == kinds)
        return [row.name for row in rows][-1]


def base_file(given: str) -> tuple[str, Path]:
    """What the base is called, and its .onnx or .keras file. Raises UsageError."""
    if given == BUNDLED:
        return "the bundled model", BUNDLED_MODEL
    path = Path(given)
    if path.is_dir():
        path = next((path / name for name in ("model.keras", "model.onnx") if (path / name).is_file()), path)
    if not path.is_file():
        raise UsageError(f"--from {given}: expected {BUNDLED}, a finished run or an exported model.onnx, found none")
    return path.parent.name or path.name, path


def open_base(given: str, people: Sequence[str]) -> AdaptBase:
    """The base that a user names.

    Raises:
        UsageError: it cannot be read, or is a run that was trained on any of `people`.
    """
    name, path = base_file(given)
    run = RunDir(path.parent)
    if path.suffix == ".keras" and run.data.is_file():
        require_strangers(run, people, "--from", "leave them out with --exclude-people")
    with native_log_held_back():
        from model.network import load_network, network_config
        from train.adapt.exported_network import network_of

        predictor = open_model(path)
        network = network_of(path) if isinstance(predictor, OnnxPredictor) else load_network(path)
    contract, decision = predictor.contract, predictor.contract.decision
    if decision is not None:
        # It weighs the answers of the network before, among other things.
        words = f"{decision.training_data}; fitted to the network before it was adapted"
        contract = replace(contract, decision=replace(decision, training_data=words))
    sha256 = hashlib.sha256(regular_file(path).read_bytes()).hexdigest()
    return AdaptBase(name, sha256, contract, network, network_config(network))
