"""The streaming graph: frame by frame it answers as the network does on whole windows."""

from collections import deque
from dataclasses import replace
from itertools import pairwise

import keras
import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.streaming.build import StreamingUnsupported, build_streaming_graph, stream_states
from export.streaming.graph import GraphBuilder, Streams
from export.streaming.plan import Edge, StreamPlan
from export.window_model import outputs_of
from model.config import NetworkConfig
from model.network import build_network
from model.variants import VARIANTS

SMALL = NetworkConfig(depth=30, size_px=32, channels=1, offset=113.0, scale=70.0)


class Stepper:
    """The plainest engine: keeps the past values of every state, and looks them up by age."""

    def __init__(self, model: onnx.ModelProto, batch: int = 1) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        self._states = stream_states(model)
        self._outputs = {tensor.name for tensor in model.graph.output}
        self._batch = batch
        self.reset()

    def reset(self) -> None:
        self._past = {
            state.name: deque(
                [np.zeros((self._batch, *state.shape), np.float32)] * state.ages[-1], maxlen=state.ages[-1]
            )
            for state in self._states
        }

    def step(self, frame: np.ndarray) -> np.ndarray:
        """The probabilities, and beside them those of the action units where there are any: (batch, values)."""
        feeds = {state.input(age): self._past[state.name][-age] for state in self._states for age in state.ages}
        answers = [name for name in ("probabilities", "action_units") if name in self._outputs]
        found = self._session.run([*answers, *(state.output for state in self._states)], {"frame": frame, **feeds})
        for state, value in zip(self._states, found[len(answers) :], strict=True):
            self._past[state.name].append(value)
        return np.concatenate(found[: len(answers)], axis=1)


def network_of(config: NetworkConfig, seed: int = 1) -> keras.Model:
    """A network whose biases are not zero and whose answers are far from uniform and from constant."""
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    network = build_network(config)
    for weight in network.weights:
        if "bias" in weight.path:
            weight.assign(rng.normal(0, 0.3, weight.shape))
    logits = network.get_layer("logits")
    logits.kernel.assign(logits.kernel * 6)
    return network


def video(config: NetworkConfig, frames: int, seed: int = 0) -> np.ndarray:
    """Noise whose brightness changes from frame to frame, (frames, height, width, channels)."""
    rng = np.random.default_rng(seed)
    shape = (frames, *config.input_shape[1:])
    values = rng.uniform(0, 255, shape) * rng.uniform(0.1, 1, (frames, 1, 1, 1))
    return values.astype(config.input_dtype)


def windows_of(frames: np.ndarray, depth: int) -> np.ndarray:
    return np.stack([frames[start : start + depth] for start in range(len(frames) - depth + 1)])


def assert_streams_like_the_window(config: NetworkConfig, extra: int) -> None:
    network = network_of(config)
    stepper = Stepper(build_streaming_graph(network, config))
    for seed in (0, 1):  # the second video starts after a reset
        frames = video(config, config.depth + extra, seed)
        answers = outputs_of(network(windows_of(frames, config.depth), training=False))
        expected = np.concatenate([np.asarray(values) for values in answers.values()], axis=1)
        assert expected.shape[1] == config.classes + 2 * config.action_units
        answers = np.concatenate([stepper.step(frame[np.newaxis]) for frame in frames])
        np.testing.assert_allclose(answers[config.depth - 1 :], expected, atol=1e-5)
        # Windows one frame apart differ by far more than the tolerance, so the comparison would notice a wrong frame.
        assert np.median(np.abs(np.diff(expected, axis=0)).max(axis=1)) > 1e-4
        stepper.reset()


def test_equals_the_window_well_past_one_window_and_after_a_reset():
    assert_streams_like_the_window(SMALL, extra=65)


def test_frames_before_the_window_do_not_count():
    config = replace(SMALL, depth=10)
    stepper = Stepper(build_streaming_graph(network_of(config), config))
    frames = video(config, 16, seed=5)
    fresh = [stepper.step(frame[np.newaxis]) for frame in frames][9:]
    for frame in video(config, 12, seed=6):
        stepper.step(frame[np.newaxis])
    after_others = [stepper.step(frame[np.newaxis]) for frame in frames][9:]
    np.testing.assert_allclose(after_others, fresh, atol=1e-5)


@pytest.mark.parametrize("depth", [*range(10, 20), 27, 31, 32, 95])
def test_every_depth_equals_the_window(depth):
    assert_streams_like_the_window(replace(SMALL, depth=depth), extra=12)


@pytest.mark.parametrize("size_px", [33, 34, 35, 44, 50])
def test_every_size_equals_the_window(size_px):
    assert_streams_like_the_window(replace(SMALL, depth=13, size_px=size_px, channels=3), extra=4)


@pytest.mark.parametrize("name", [name for name in VARIANTS if name not in ("paper", "weighted")])
def test_every_variant_equals_the_window(name):
    config = VARIANTS[name].config
    assert_streams_like_the_window(
        replace(SMALL, channel_attention=config.channel_attention, temporal_attention=config.temporal_attention),
        extra=6,
    )


@pytest.mark.parametrize("temporal_attention", ["msmh", "none"])
def test_action_units_equal_the_windows_too(temporal_attention):
    config = replace(SMALL, depth=14, action_units=3, temporal_attention=temporal_attention)
    assert_streams_like_the_window(config, extra=4)


def test_action_units_cost_one_wider_product_and_one_more():
    config = replace(SMALL, depth=14)
    plain, more = (build_streaming_graph(network_of(each), each) for each in (config, replace(config, action_units=3)))
    products = [sum(node.op_type in ("Gemm", "MatMul") for node in model.graph.node) for model in (plain, more)]
    assert products[1] == products[0] + 1
    (output,) = [tensor for tensor in more.graph.output if tensor.name == "action_units"]
    assert [dim.dim_param or dim.dim_value for dim in output.type.tensor_type.shape.dim] == ["batch", 6]


def test_added_fusion_more_classes_and_float_input_equal_the_window():
    config = replace(
        SMALL, channels=3, fusion="sum", classes=7, input_dtype="float32", offset=-3.5, scale=41.0, depth=14
    )
    assert_streams_like_the_window(config, extra=6)


def test_streams_of_a_batch_are_independent():
    config = replace(SMALL, depth=10)
    model = build_streaming_graph(network_of(config), config)
    both, single = Stepper(model, batch=2), Stepper(model)
    first, second = video(config, 14, seed=5), video(config, 14, seed=6)
    together = [both.step(np.stack(pair)) for pair in zip(first, second, strict=True)]
    alone = [single.step(frame[np.newaxis])[0] for frame in first]
    np.testing.assert_allclose([pair[0] for pair in together], alone, atol=1e-6)
    single.reset()
    alone = [single.step(frame[np.newaxis])[0] for frame in second]
    np.testing.assert_allclose([pair[1] for pair in together], alone, atol=1e-6)


def test_the_graph_is_standard_and_describes_itself():
    config = replace(SMALL, channels=3)
    model = build_streaming_graph(network_of(config), config)
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 17)]
    assert all(node.domain == "" for node in model.graph.node)
    assert not {node.op_type for node in model.graph.node} & {"Loop", "Scan", "If", "Identity"}
    kernels = [attribute.ints for node in model.graph.node for attribute in node.attribute if attribute.name == "pads"]
    assert kernels and all(len(pads) == 4 for pads in kernels)  # two-dimensional convolutions and poolings only
    states = stream_states(model)
    expected_inputs = {"frame"} | {state.input(age) for state in states for age in state.ages}
    assert {tensor.name for tensor in model.graph.input} == expected_inputs
    assert {tensor.name for tensor in model.graph.output} == {"probabilities"} | {state.output for state in states}
    assert all(state.ages[0] >= 1 for state in states)
    dims = [dim.dim_param or dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    assert dims == ["batch", 32, 32, 3]
    assert model.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8


def test_nine_frames_are_refused_with_the_reason():
    config = replace(SMALL, depth=9)
    with pytest.raises(StreamingUnsupported, match=r"streaming 9 frames: .*one end of the window.*window model"):
        build_streaming_graph(build_network(config), config)


def test_a_network_of_another_config_is_refused():
    with pytest.raises(ValueError, match=r"expected a network built from .*depth=13.*found .*depth=30"):
        build_streaming_graph(build_network(SMALL), replace(SMALL, depth=13))


def test_ages_of_the_papers_window():
    plan = StreamPlan(30)
    assert plan.steps == 4
    assert [plan.step_age(step) for step in range(3)] == [19, 10, 1]
    assert [(ref.edge, ref.distance, ref.age) for ref in plan.right_group(reach=2)] == [
        (Edge.INNER, 0, 0),
        (Edge.RIGHT, 1, 0),
        (Edge.RIGHT, 0, 0),
    ]
    assert [(ref.edge, ref.distance, ref.age) for ref in plan.left_group(reach=2)] == [
        (Edge.LEFT, 0, 2),
        (Edge.LEFT, 1, 1),
        (Edge.INNER, 0, 0),
    ]


@given(st.integers(10, 300))
def test_every_depth_from_ten_has_a_plan_that_looks_back_only(depth):
    plan = StreamPlan(depth)
    ages = [plan.step_age(step) for step in range(plan.steps - 1)]
    refs = [*plan.left_group(1), *plan.inner_group(1), *plan.right_group(1), *plan.right_group(2)]
    assert min(ages) >= 0 and min(ref.age for ref in refs) >= 0
    assert plan.last_inner_group_age >= 0
    assert ages == sorted(ages, reverse=True)
    assert all(earlier - later == 9 for earlier, later in pairwise(ages[1:]))
    members = [index for group in range(plan.first.groups) for index in plan.first.members(group)]
    assert members == list(range(depth))


def test_streams_refuse_unknown_ages_and_double_names():
    streams = Streams(GraphBuilder("test"))
    streams.define("a", (1,), lambda: "x")
    with pytest.raises(ValueError, match="stream a: expected an age >= 0, found -1"):
        streams.value("a", -1)
    with pytest.raises(ValueError, match="stream a: expected a new name"):
        streams.define("a", (1,), lambda: "x")
