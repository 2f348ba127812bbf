"""A run's folder with an untrained network: what eval and export read, without the time that training takes."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np

from model.contract import ClipContract, NetworkInput, Reference
from model.network import build_network
from tests.helpers.paths import ROOT
from tests.helpers.stores import CLASSES, FRAMES, GEOMETRY, LEAD_FRAMES
from train.clips.unit_targets import UNITS
from train.fit_config import TrainConfig


def write_run(
    path: Path,
    kind: str = "difference",
    variant: str = "plain",
    class_names: tuple[str, ...] = CLASSES,
    colour: str = "grey",
    frames: int = FRAMES - LEAD_FRAMES,
    action_units: bool = False,
) -> ClipContract:
    """model.keras with seeded random weights, contract.json and, like a real run's, samples.npy."""
    path.mkdir(parents=True)
    offset, scale = (90.0, 140.0) if kind == "pixels" else (0.0, 3.0)
    contract = ClipContract(
        class_names,
        frames,
        crop=GEOMETRY,
        input=NetworkInput(kind, 32, colour, offset, scale),  # type: ignore[arg-type]
        reference=Reference("none") if kind == "pixels" else Reference("ema", time_constant_s=2.0),
        training_data="nothing, for tests",
        action_units=replace(UNITS, threshold=0.4) if action_units else None,
    )
    config = TrainConfig(("d",), "o", variant=variant, input=kind, size_px=32, colour=colour, action_units=action_units)  # type: ignore[arg-type]
    keras.utils.set_random_seed(3)
    build_network(config.network_config(contract.frames, len(class_names), (offset, scale))).save(path / "model.keras")
    (path / "contract.json").write_text(json.dumps(json.loads(contract.to_json()), indent=2))
    clips = np.random.default_rng(4).normal(offset, scale / 3, (2, *contract.input_shape))
    np.save(path / "samples.npy", clips.clip(0, 255).astype(np.uint8) if kind == "pixels" else clips.astype(np.float16))
    return contract


def fit_killed(config: TrainConfig, epoch: int, step: int) -> None:
    """Trains in a process of its own that is killed at this step."""
    code = (
        "import io, json, os, signal, sys\n"
        "from rich.console import Console\n"
        "from train.config_file import config_from\n"
        "from train.fit.fit import fit\n"
        "from train.fit.trainer import TrainingProgress\n"
        "class Killed(TrainingProgress):\n"
        "    def step(self, epoch, step, steps, loss):\n"
        f"        if (epoch, step) == ({epoch}, {step}):\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n"
        "fit(config_from(json.loads(sys.argv[1])), Console(file=io.StringIO()), listener=Killed)\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", code, json.dumps(config.to_dict())],
        capture_output=True, timeout=300, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert process.returncode == -signal.SIGKILL, process.stderr
