"""Folders of leave-one-subject-out runs over real, small clip stores, with seeded answers and losses of our choosing."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from train.clips.store import ClipRecord, ClipStore
from train.fit_config import TrainConfig
from train.loso.pooled_scores import write_scores

EPOCHS = 5


def write_loso(
    folder: Path,
    stores: Sequence[ClipStore],
    seeds: Sequence[int] = (0,),
    finished: int | None = None,
    skill: float = 2.0,
    protocol: str = "honest",
    select: str = "validation",
    settings: Mapping[str, Any] | None = None,
) -> Path:
    """A run over all clips of the stores, a fold a person. With `finished` it stopped after so many folds.

    `skill` is added to the true class's logit, the others are noise. Finished runs have their scores.json.
    """
    folder.mkdir(parents=True)
    names = stores[0].manifest.class_names
    config = TrainConfig(tuple(str(store.path) for store in stores), str(folder), epochs=EPOCHS, **(settings or {}))
    head = {"schema_version": 1, "config": config.to_dict(), "scheme": "cde", "protocol": protocol, "select": select}
    head |= {"seeds": list(seeds), "class_names": list(names), "stores": [str(store.path) for store in stores]}
    head |= {"pretrain": None, "command": f"python -m train loso --out {folder}"}
    (folder / "loso.json").write_text(json.dumps(head))
    samples = [_sample(store, row, len(stores) > 1) for store in stores for row in range(len(store))]
    _write(folder / "samples.jsonl", samples)
    predictions: list[dict[str, Any]] = []
    folds: list[dict[str, Any]] = []
    people = list(dict.fromkeys(sample["person"] for sample in samples))
    wanted = [(seed, person) for seed in seeds for person in people][:finished]
    for seed, person in wanted:
        test = [sample for sample in samples if sample["person"] == person]
        rng = np.random.default_rng([seed, *person.encode()])
        truth = np.array([names.index(sample["label"]) for sample in test])
        by_epoch = [_probabilities(truth, len(names), skill, rng) for _ in range(EPOCHS)]
        predictions += [
            {"seed": seed, "fold": person, "id": sample["id"], "label": sample["label"]}
            | {"answer": names[int(np.argmax(row))], "probabilities": dict(zip(names, row.tolist(), strict=True))}
            for sample, row in zip(test, by_epoch[-1], strict=True)
        ]
        fold = {"seed": seed, "fold": person, "train_n": len(samples) - len(test), "test_n": len(test)}
        fold |= {"validation_people": [p for p in people if p != person][:1] if select == "validation" else []}
        fold |= {"epoch": EPOCHS, "epochs": _epochs(select == "validation", rng), "test_epochs": None}
        if protocol == "published":
            answers = [row.argmax(axis=1).tolist() for row in by_epoch]
            fold["test_epochs"] = {"ids": [sample["id"] for sample in test], "answers": answers}
        folds.append(fold | {"seconds": 12.5, "clips_per_s": 20.0})
    _write(folder / "predictions.jsonl", predictions)
    _write(folder / "folds.jsonl", folds)
    if len(wanted) == len(seeds) * len(people):
        write_scores(folder)
    return folder


def _sample(store: ClipStore, row: int, several: bool) -> dict[str, Any]:
    record: ClipRecord = store.records[row]
    sample_id = f"{store.path.name}/{record.id}" if several else record.id
    sample = {"id": sample_id, "person": f"{record.dataset}/{record.subject}", "dataset": record.dataset}
    return sample | {"label": record.label, "store": str(store.path), "row": row}


def _probabilities(
    truth: NDArray[np.int64], classes: int, skill: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    logits = rng.normal(0, 1, (len(truth), classes))
    logits[np.arange(len(truth)), truth] += skill
    powers = np.exp(logits)
    return powers / powers.sum(axis=1, keepdims=True)


def _epochs(validated: bool, rng: np.random.Generator) -> list[dict[str, Any]]:
    return [
        {"epoch": epoch, "loss": 3 * 0.7**epoch + float(rng.uniform(0, 0.05))}
        | {"val_loss": 0.4 + 0.8**epoch + float(rng.uniform(0, 0.2)) if validated else None}
        | {"val_uf1": float(rng.uniform(0.3, 0.8)) if validated else None}
        for epoch in range(1, EPOCHS + 1)
    ]


def _write(path: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
