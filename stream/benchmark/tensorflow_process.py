"""The window in a compiled TensorFlow function, in a process of its own: the live process never loads TensorFlow."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Self

from model.contract import ClipContract

_ROOT = Path(__file__).resolve().parent.parent.parent


class TensorflowWindow:
    """Asks the other process for one step at a time, so that its steps alternate with those measured here."""

    @classmethod
    def start(cls, contract: ClipContract, threads: int) -> Self | None:
        """None where TensorFlow is not installed or does not start."""
        if importlib.util.find_spec("tensorflow") is None:
            return None
        process = cls(contract, threads)
        if process._answer() is None:
            process.close()
            return None
        return process

    def __init__(self, contract: ClipContract, threads: int) -> None:
        frames, size_px, _, channels = contract.input_shape
        settings = {
            "depth": frames, "size_px": size_px, "channels": channels,
            "classes": len(contract.class_names), "input_dtype": contract.input.dtype, "threads": threads,
        }  # fmt: skip
        self._process = subprocess.Popen(
            [sys.executable, "-m", "model.time_window", json.dumps(settings)],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"},
        )

    def step_ms(self) -> float | None:
        """Milliseconds of one call on one window; None when the process has ended."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write("step\n")
            self._process.stdin.flush()
        except OSError:
            return None
        return self._answer()

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _answer(self) -> float | None:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        return float(line) if line else None
