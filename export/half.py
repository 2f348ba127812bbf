"""Half-precision variants for GPU providers."""

from typing import Any

import onnx
from onnxruntime.transformers.float16 import convert_float_to_float16

# The converter takes names as well as a bool, which its annotation does not say.
_OUTSIDE: Any = ["clip", "frame", "probabilities"]


def half_precision(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with float16 arithmetic and states; clip or frame in and probabilities out stay as they are."""
    halved = convert_float_to_float16(model, keep_io_types=_OUTSIDE, op_block_list=[])
    assert isinstance(halved, onnx.ModelProto)
    return halved
