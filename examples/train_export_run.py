"""From made clips to a model that runs live, small enough for a coffee break: `python examples/train_export_run.py out`.

Needs the training extra: `pip install "microlive[train]"`. For a model worth having see the README's training chapter.
"""

import subprocess
import sys
from pathlib import Path

from microlive import Recognizer


def run(*command: str) -> None:
    subprocess.run([sys.executable, "-m", *command], check=True)


def main(out: str, clips: str = "200", epochs: str = "3") -> None:
    data, trained, exported = (str(Path(out) / name) for name in ("data", "run", "exported"))
    run("train", "synth", "--out", data, "--clips", clips)
    run("train", "fit", "--data", data, "--out", trained, "--input", "flow", "--size-px", "48", "--epochs", epochs)
    run("export", trained, "--out", exported)
    with Recognizer(Path(exported) / "model.onnx") as recognizer:
        labels = [result.prediction.label for result in recognizer.run("demo") if result.prediction]
    print({label: labels.count(label) for label in sorted(set(labels))})


if __name__ == "__main__":
    main(*sys.argv[1:4])
