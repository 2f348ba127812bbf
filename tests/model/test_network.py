"""The network: parameter counts, shapes, configs, saving and loading."""

import json
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.__main__ import main
from model.attention import ChannelAttention, TemporalAttention
from model.complexity import count_gflop, count_parameters, layer_costs
from model.config import NetworkConfig
from model.network import InputScaling, build_network, load_network, network_config
from model.variants import VARIANTS, variant

SMALL = NetworkConfig(depth=10, size_px=32, channels=1, offset=113.0, scale=140.0)


def random_clips(config: NetworkConfig, count: int = 2, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    shape = (count, *config.input_shape)
    if config.input_dtype == "uint8":
        return rng.integers(0, 256, shape, dtype=np.uint8)
    return rng.normal(size=shape).astype(np.float32)


def predict(network: keras.Model, clips: np.ndarray) -> np.ndarray:
    return np.asarray(network(clips, training=False))


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("plain", 1_961_891),
        ("weighted", 1_961_891),
        ("cbam", 1_963_943),
        ("enhanced", 1_964_235),
        ("mh", 10_827_979),
        ("paper", 2_836_759),
    ],
)
def test_parameters_are_exactly_those_published(name, parameters):
    config = variant(name).config
    network = build_network(config)
    assert network.count_params() == parameters
    assert sum(int(np.prod(weight.shape)) for weight in network.trainable_weights) == parameters
    assert count_parameters(config) == parameters
    assert network_config(network) == config


@pytest.mark.parametrize(
    "config",
    [
        NetworkConfig(depth=9, size_px=32, channels=1, classes=2, input_dtype="float32"),
        NetworkConfig(depth=10, size_px=40, channels=3, classes=5, channel_attention="cbam", temporal_attention="none"),
        NetworkConfig(depth=31, size_px=33, channels=1, classes=3, fusion="sum"),
        NetworkConfig(depth=12, size_px=45, channels=3, classes=7, channel_attention="none", temporal_attention="mh"),
        NetworkConfig(depth=95, size_px=32, channels=1, classes=4),  # 11 steps, more than the paper's pooling covers
    ],
    ids=lambda config: f"{config.depth}x{config.size_px}x{config.channels}-{config.classes}",
)
@pytest.mark.filterwarnings("ignore:You are using a softmax over axis")  # depth 9 leaves one step: its weight is 1
def test_any_geometry_gives_one_distribution_a_clip(config):
    network = build_network(config)
    assert network.input_shape == (None, *config.input_shape)
    assert network.inputs[0].dtype == config.input_dtype
    assert network.count_params() == count_parameters(config)
    assert network_config(network) == replace(config, fusion=network_config(network).fusion)
    probabilities = predict(network, random_clips(config))
    assert probabilities.shape == (2, config.classes)
    assert probabilities.dtype == np.float32
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-6)
    assert np.abs(probabilities[0] - probabilities[1]).max() > 0


def test_costs_name_the_shapes_of_the_built_layers():
    config = replace(SMALL, depth=30, size_px=50)
    network = build_network(config)
    shapes = {cost.name: cost.output_shape for cost in layer_costs(config)}
    built = {
        "branch 5×5×5": "branch_5",
        "branch 3×3×3": "branch_3",
        "trunk": "trunk",
        "spatial attention": "spatial_attention",
        "step dense 2": "step_2",
        "gru": "gru",
        "temporal attention": "temporal_attention",
        "head dense 3": "logits",
    }
    for cost_name, layer_name in built.items():
        assert network.get_layer(layer_name).output.shape[1:] == shapes[cost_name]


WITH_UNITS = replace(SMALL, action_units=3)


@pytest.mark.parametrize("temporal_attention", ["msmh", "none"])
def test_action_units_are_a_second_output(temporal_attention):
    config = replace(WITH_UNITS, temporal_attention=temporal_attention)
    network = build_network(config)
    assert network_config(network) == config
    assert network.count_params() == count_parameters(config)
    answers: Any = network(random_clips(config, 3), training=False)
    assert {name: tuple(values.shape) for name, values in answers.items()} == {
        "probabilities": (3, 3),
        "action_units": (3, 6),
    }
    units = np.asarray(answers["action_units"])
    assert units.dtype == np.float32 and (units > 0).all() and (units < 1).all()
    costs = {cost.name: cost.output_shape for cost in layer_costs(config)}
    assert (costs["unit dense 1"], costs["unit dense 2"]) == ((128,), (6,))


def test_without_action_units_the_network_is_the_one_before():
    """The same weights in the same order, and the same answers of the class where both have them."""
    plain, more = build_network(SMALL), build_network(WITH_UNITS)
    assert not [layer.name for layer in plain.layers if "unit" in layer.name]
    names = [weight.path for weight in plain.weights]
    assert names == [weight.path for weight in more.weights if "unit" not in weight.path]
    for layer in plain.layers:
        more.get_layer(layer.name).set_weights(layer.get_weights())
    clips = random_clips(SMALL)
    answers: Any = more(clips, training=False)
    np.testing.assert_allclose(np.asarray(answers["probabilities"]), predict(plain, clips), atol=1e-6)


def test_a_network_with_action_units_reads_back(tmp_path):
    network = build_network(WITH_UNITS)
    network.save(tmp_path / "units.keras")
    loaded = load_network(tmp_path / "units.keras")
    assert network_config(loaded) == WITH_UNITS
    clips = random_clips(WITH_UNITS)
    before, after = (model(clips, training=False) for model in (network, loaded))
    for name in ("probabilities", "action_units"):
        np.testing.assert_array_equal(np.asarray(before[name]), np.asarray(after[name]))


def test_the_papers_clip_costs_sixteen_gflop():
    assert count_gflop(variant("paper").config) == pytest.approx(16.41, abs=0.01)
    # By hand, the first convolutions: 30 frames of 128 x 128, 3 channels in, 32 out, 125 and 27 taps.
    first = sum(cost.multiply_adds for cost in layer_costs(variant("paper").config)[:2])
    assert first == 30 * 128 * 128 * 3 * 32 * (125 + 27)


@pytest.mark.parametrize(
    ("setting", "expected", "found"),
    [
        ({"depth": 8}, "integer >= 9", "8"),
        ({"depth": 30.0}, "integer >= 9", "30.0"),
        ({"size_px": 31}, "integer >= 32", "31"),
        ({"channels": 2}, "1 or 3", "2"),
        ({"channels": True}, "1 or 3", "True"),
        ({"classes": 1}, "integer >= 2", "1"),
        ({"action_units": -1}, "integer >= 0", "-1"),
        ({"dropout": 1.0}, "0 <= dropout < 1", "1.0"),
        ({"dropout": "no"}, "finite number", "'no'"),
        ({"scale": 0.0}, "above 0", "0.0"),
        ({"offset": float("nan")}, "finite number", "nan"),
        ({"channel_attention": "se"}, "enhanced, cbam, none", "'se'"),
        ({"fusion": "max"}, "difference, sum", "'max'"),
        ({"temporal_attention": None}, "msmh, mh, none", "None"),
        ({"input_dtype": "float16"}, "uint8, float32", "'float16'"),
    ],
)
def test_bad_settings_say_what_was_expected_and_found(setting, expected, found):
    with pytest.raises(ValueError, match="network config") as caught:
        NetworkConfig(**setting)
    assert next(iter(setting)) in str(caught.value)
    assert expected in str(caught.value)
    assert str(caught.value).endswith(f"found {found}")


@given(
    depth=st.integers(9, 200),
    size_px=st.integers(32, 300),
    channels=st.sampled_from([1, 3]),
    scale=st.floats(0.001, 1000),
    temporal=st.sampled_from(["msmh", "mh", "none"]),
)
def test_config_survives_json(depth, size_px, channels, scale, temporal):
    config = NetworkConfig(depth=depth, size_px=size_px, channels=channels, scale=scale, temporal_attention=temporal)
    assert NetworkConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_config_from_dict_refuses_unknown_names():
    with pytest.raises(ValueError, match="found \\['frames'\\]"):
        NetworkConfig.from_dict({"frames": 30})


def test_unknown_variant_is_refused():
    with pytest.raises(ValueError, match=r"expected one of plain, .*found 'best'"):
        variant("best")


def test_scaling_is_inside_the_network():
    scaled, plain = build_network(SMALL), build_network(replace(SMALL, offset=0.0, scale=1.0, input_dtype="float32"))
    plain.set_weights(scaled.get_weights())
    clips = random_clips(SMALL)
    by_hand = (clips.astype(np.float32) - SMALL.offset) / SMALL.scale
    np.testing.assert_allclose(predict(scaled, clips), predict(plain, by_hand), atol=1e-6)


def test_scaling_refuses_zero():
    with pytest.raises(ValueError, match="found 0"):
        InputScaling(scale=0)


@pytest.mark.parametrize("name", ["weighted", "cbam", "enhanced", "mh", "paper"])
def test_saved_network_answers_the_same(tmp_path, name):
    config = replace(variant(name).config, depth=10, size_px=32, channels=1, offset=113.0, scale=140.0)
    network = build_network(config)
    path = tmp_path / "network.keras"
    network.save(path)
    loaded = load_network(path)
    clips = random_clips(config)
    np.testing.assert_array_equal(predict(loaded, clips), predict(network, clips))
    assert network_config(loaded) == config
    assert len(loaded.losses) == len(network.losses) > 0


def test_load_network_explains_bad_files(tmp_path):
    with pytest.raises(ValueError, match="no such file"):
        load_network(tmp_path / "none.keras")
    damaged = tmp_path / "damaged.keras"
    damaged.write_bytes(b"not a zip archive")
    with pytest.raises(ValueError, match=r"damaged.keras: not a Keras model"):
        load_network(damaged)
    other = tmp_path / "other.keras"
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save(other)
    with pytest.raises(ValueError, match=r"other.keras: expected a network built by build_network"):
        load_network(other)


def test_mixed_precision_computes_low_and_answers_in_float32():
    keras.mixed_precision.set_global_policy("mixed_bfloat16")  # float16 has no 3-D pooling on the CPU
    try:
        network = build_network(replace(SMALL, input_dtype="uint8"))
    finally:
        keras.mixed_precision.set_global_policy("float32")
    full = build_network(SMALL)
    full.set_weights(network.get_weights())
    assert network.get_layer("branch_5").compute_dtype == "bfloat16"
    assert network.get_layer("channel_attention").max_mlp.layers[0].compute_dtype == "bfloat16"
    clips = random_clips(SMALL)
    probabilities = predict(network, clips)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-6)
    np.testing.assert_allclose(probabilities, predict(full, clips), atol=0.05)


@pytest.mark.parametrize(("fusion", "shared"), [("difference", False), ("sum", False), ("sum", True)])
def test_channel_attention_against_numpy(fusion, shared):
    x = np.random.default_rng(3).normal(size=(2, 4, 5, 6, 32)).astype(np.float32)
    layer = ChannelAttention(fusion=fusion, shared_mlp=shared)
    found = np.asarray(layer(x))

    def mlp(values, weights):
        hidden = values @ weights[0] + weights[1]
        return np.where(hidden > 0, hidden, 0.2 * hidden) @ weights[2] + weights[3]

    maximum = mlp(x.max(axis=(1, 2, 3)), layer.max_mlp.get_weights())
    average = mlp(x.mean(axis=(1, 2, 3)), layer.avg_mlp.get_weights())
    fused = maximum + average if fusion == "sum" else 0.5 * (maximum - average)
    assert found.shape == (2, 1, 1, 1, 32)
    np.testing.assert_allclose(found[:, 0, 0, 0], 1 / (1 + np.exp(-fused)), atol=1e-5)
    assert len(layer.trainable_weights) == (4 if shared else 8)


def test_temporal_attention_against_numpy():
    x = np.random.default_rng(4).normal(size=(2, 4, 12)).astype(np.float32)
    layer = TemporalAttention((6, 3))
    found = np.asarray(layer(x))
    expected = []
    for i, size in enumerate((6, 3)):
        query, key, value, output = (
            part[i].get_weights() for part in (layer.queries, layer.keys, layer.values, layer.outputs)
        )
        q, k, v = (x @ weights[0] + weights[1] for weights in (query, key, value))
        scores = (q @ k.transpose(0, 2, 1) / np.sqrt(size)).max(axis=1, keepdims=True)
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        weights /= weights.sum(axis=-1, keepdims=True)
        expected.append((weights @ v)[:, 0] @ output[0] + output[1])
    np.testing.assert_allclose(found, np.concatenate(expected, axis=1), atol=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [(lambda: ChannelAttention(fusion="product"), "found 'product'"), (lambda: TemporalAttention(()), "found \\(\\)")],
)
def test_attention_layers_refuse_bad_settings(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_command_lists_variants_as_json(capsys):
    assert main(["--json", "--depth", "10"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == list(VARIANTS)
    assert all(row["config"]["depth"] == 10 and row["parameters"] > 1_900_000 for row in rows)


def test_command_lists_layers(capsys):
    assert main(["--layers", "paper", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert sum(layer["parameters"] for layer in report["layers"]) == report["parameters"] == 2_836_759
    assert main(["--layers", "paper"]) == 0
    assert "2,836,759" in capsys.readouterr().out


def test_command_explains_bad_settings(capsys):
    assert main(["--depth", "5"]) == 2
    assert "depth: expected an integer >= 9, found 5" in capsys.readouterr().err
    assert main(["--layers", "best"]) == 2
    assert "found 'best'" in capsys.readouterr().err
