"""Folders of leave-one-subject-out runs as the loso command writes them, with answers of our choosing."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

NAMES = ("negative", "positive", "surprise")

Answer = Callable[[int, str, int], int]
"""(seed, sample id, true class index) to the class index answered."""


def counted(dataset: str, supports: Sequence[Sequence[int]]) -> dict[str, list[int]]:
    """People "dataset/s01" … with so many clips of each class: {person: class indices of their clips}."""
    return {
        f"{dataset}/s{number:02d}": np.repeat(range(len(support)), support).tolist()
        for number, support in enumerate(supports, start=1)
    }


def write_loso_run(
    folder: Path,
    people: Mapping[str, Sequence[int]],
    answer: Answer,
    seeds: Sequence[int] = (0,),
    protocol: str = "honest",
    epoch_answer: Callable[[int, int, str, int], int] | None = None,
    epochs: int = 4,
) -> list[str]:
    """A finished run over these people's clips; `epoch_answer(epoch, seed, id, label)` for test_epochs. Sample ids."""
    folder.mkdir(parents=True)
    head = {
        "schema_version": 1,
        "config": {"data": ["store"], "out": str(folder), "epochs": epochs},
        "scheme": "cde",
        "protocol": protocol,
        "select": "fixed",
        "seeds": list(seeds),
        "class_names": list(NAMES),
        "stores": ["store"],
        "pretrain": None,
        "command": "python -m train loso --data store --out run",
    }
    (folder / "loso.json").write_text(json.dumps(head))
    samples = [
        {"id": f"{person}/c{k}", "person": person, "dataset": person.split("/")[0], "label": NAMES[label]}
        for person, labels in people.items()
        for k, label in enumerate(labels)
    ]
    samples = [sample | {"store": "store", "row": row} for row, sample in enumerate(samples)]
    write_lines(folder / "samples.jsonl", samples)
    predictions, folds = [], []
    for seed in seeds:
        for person in people:
            test = [sample for sample in samples if sample["person"] == person]
            for sample in test:
                label = NAMES.index(str(sample["label"]))
                given = answer(seed, str(sample["id"]), label)
                line = {"seed": seed, "fold": person, "id": sample["id"], "label": sample["label"]}
                share = {name: 0.5 if k == given else 0.25 for k, name in enumerate(NAMES)}
                predictions.append(line | {"answer": NAMES[given], "probabilities": share})
            tested = epoch_answer and {
                "ids": [sample["id"] for sample in test],
                "answers": [
                    [epoch_answer(e, seed, str(s["id"]), NAMES.index(str(s["label"]))) for s in test]
                    for e in range(epochs)
                ],
            }
            told = [{"epoch": e + 1, "loss": 1 / (e + 1), "val_loss": None, "val_uf1": None} for e in range(epochs)]
            line = {"seed": seed, "fold": person, "train_n": len(samples) - len(test), "test_n": len(test)}
            line |= {"validation_people": [], "epoch": epochs, "epochs": told, "test_epochs": tested}
            folds.append(line | {"seconds": 1.5, "clips_per_s": 20.0})
    write_lines(folder / "predictions.jsonl", predictions)
    write_lines(folder / "folds.jsonl", folds)
    return [str(sample["id"]) for sample in samples]


def read_lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def write_lines(path: Path, lines: Sequence[Mapping]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
