"""Named settings of `train fit`."""

from pathlib import Path
from typing import Any

import pytest

import train.fit.fit
from train.__main__ import main
from train.config_file import PRESETS, config_from, preset
from train.errors import UsageError
from train.fit_config import TrainConfig


def asked(monkeypatch: pytest.MonkeyPatch, *flags: str) -> TrainConfig:
    """The config that `train fit` would run."""
    found: list[TrainConfig] = []

    def fit(config: TrainConfig, *_: Any, **__: Any) -> dict[str, Any]:
        found.append(config)
        return {}

    monkeypatch.setattr(train.fit.fit, "fit", fit)
    assert main(["fit", "--data", "d", "--out", "o", *flags]) == 0
    return found[0]


def test_the_papers_preset_is_its_input_and_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    config = asked(monkeypatch, "--preset", "paper")
    assert (config.input, config.colour, config.size_px, config.reference) == ("pixels", "rgb", 128, "none")
    assert (config.variant, config.epochs, config.batch, config.learning_rate) == ("paper", 200, 8, 1e-3)
    assert (config.decay, config.decay_epochs, config.dropout) == (0.9, 40, 0.3)
    assert config.network_config(30, 3, (0.0, 1.0)).input_shape == (30, 128, 128, 3)


def test_file_and_flags_override_a_preset(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("epochs: 3\ncolour: grey\n")
    config = asked(monkeypatch, "--preset", "paper", "--config", str(tmp_path / "c.yaml"), "--epochs", "2")
    assert (config.input, config.colour, config.epochs) == ("pixels", "grey", 2)


def test_every_means_against_overtraining_has_its_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    flags = (
        "--dropout .5 --average .999 --select last --flow-gains .4 --flow-noise .3 --flow-cutout .2 --flow-elastic .1"
    )
    config = asked(monkeypatch, *flags.split())
    assert (config.dropout, config.average, config.select) == (0.5, 0.999, "last")
    assert (config.flow_gains, config.flow_noise, config.flow_cutout, config.flow_elastic) == (0.4, 0.3, 0.2, 0.1)
    plain = asked(monkeypatch)
    assert (plain.average, plain.select, plain.flow_noise) == (0.0, "validation", 0.0)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_a_config(name: str) -> None:
    settings = preset(name)
    assert config_from({"data": "d", "out": "o"} | settings)
    settings["epochs"] = 0
    assert preset(name)["epochs"] != 0
    with pytest.raises(UsageError, match="preset: expected paper, found"):
        preset(name + "s")
