"""Keras network → ONNX graph that takes one frame at a time and answers exactly as the whole window would.

A window that slides by one frame repeats nearly all its arithmetic. Convolution is a sum over taps in time and pooling
a maximum, so what earlier frames contributed can be kept and used again: stream_plan.py says which values, of which
age; stream_front.py and stream_trunk.py compute them; stream_head.py does what depends on the whole window.

Only 2-D convolutions and standard operators are used, so any ONNX Runtime provider runs the graph, and the CPU provider
can choose its blocked memory layout, which it has for 2-D convolutions alone.
"""

from dataclasses import replace

import keras
import onnx

from export.streaming.graph import BATCH, GraphBuilder, Streams, StreamState, stream_states
from export.streaming.head import HeadGraph
from export.streaming.layers import Branch, Frames, Trunk
from export.streaming.plan import StreamingUnsupported, StreamPlan
from model.config import BRANCH_KERNELS, NetworkConfig
from model.network import network_config

__all__ = ["StreamState", "StreamingUnsupported", "build_streaming_graph", "stream_states"]


def build_streaming_graph(network: keras.Model, config: NetworkConfig) -> onnx.ModelProto:
    """The streaming graph of a network built from `config`, without metadata.

    Inputs: "frame" (batch, size_px, size_px, channels) of `config.input_dtype`, and `state_<name>_<age>`, float32.
    Outputs: "probabilities" (batch, classes), "action_units" (batch, 2 units) where the network tells them, and
    `next_state_<name>`, float32. `StreamState` says how they belong together. The members of a batch are independent streams.

    A caller keeps the last max(ages)+1 values of each state in a ring of buffers, binds the oldest one as the output
    and the others by age as inputs, and moves one place on after each frame; nothing needs to be copied. From zero
    states, the answer is that of the window once `config.depth` frames have been seen; earlier ones mean nothing.
    Frames before the window change an answer by rounding at most, so states need not be cleared to begin anew.

    Raises:
        StreamingUnsupported: the depth is too small for values that can be kept (below 10 frames).
        ValueError: `network` was not built from `config`.
    """
    found = network_config(network)
    if config.channel_attention != "enhanced":
        config = replace(config, fusion=found.fusion)  # has no effect
    if found != config:
        raise ValueError(f"streaming export: expected a network built from {config}, found one built from {found}")
    plan = StreamPlan(config.depth)
    graph = GraphBuilder("microlive_streaming")
    streams = Streams(graph)
    frames = Frames(graph, streams, config)
    branches = [
        Branch(graph, streams, frames, plan, config, *network.get_layer(f"branch_{kernel}").get_weights())
        for kernel in BRANCH_KERNELS
    ]
    trunk = Trunk(graph, streams, branches, plan, config, *network.get_layer("trunk").get_weights())
    answers = HeadGraph(graph, network, config).answers(trunk.steps())
    widths = {"probabilities": config.classes, "action_units": 2 * config.action_units}
    for tensor, (name, width) in zip(answers, widths.items(), strict=False):
        graph.output(tensor, name, (BATCH, width))
    streams.add_outputs()
    return graph.model("microlive")
