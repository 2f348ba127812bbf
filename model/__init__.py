"""The network, its contract and the one preprocessing. Importing this folder loads no training framework."""

from model.contract import ClipContract
from model.errors import ContractError
from model.types import Frame, FrameResult, Prediction

__all__ = ["ClipContract", "ContractError", "Frame", "FrameResult", "Prediction"]
