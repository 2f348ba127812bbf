"""Parameters and work of a network, counted from its config alone. No TensorFlow here."""

from dataclasses import dataclass

from model.config import (
    ATTENTION_REDUCTION,
    BRANCH_FILTERS,
    BRANCH_KERNELS,
    GRU_UNITS,
    HEAD_UNITS,
    SPATIAL_ATTENTION_KERNEL,
    STEP_UNITS,
    TRUNK_FILTERS,
    TRUNK_KERNEL,
    UNIT_UNITS,
    NetworkConfig,
    pooled,
)


@dataclass(frozen=True)
class LayerCost:
    """One layer of a network: its output shape without the batch, its parameters, its multiply-adds a clip."""

    name: str
    output_shape: tuple[int, ...]
    parameters: int
    multiply_adds: int


def layer_costs(config: NetworkConfig) -> tuple[LayerCost, ...]:
    """The layers that multiply, in order. Taps that fall into the zero padding count as work, as is usual."""
    depth, size = config.depth, config.size_px
    costs = [
        _conv(f"branch {kernel}×{kernel}×{kernel}", (depth, size, size), config.channels, BRANCH_FILTERS, kernel)
        for kernel in BRANCH_KERNELS
    ]
    joined = (pooled(depth), pooled(size), pooled(size))
    costs.append(_conv("trunk", joined, BRANCH_FILTERS * len(BRANCH_KERNELS), TRUNK_FILTERS, TRUNK_KERNEL))
    steps, pixels = config.steps, config.trunk_px
    if config.channel_attention != "none":
        costs.append(_channel_attention(mlps=1 if config.channel_attention == "cbam" else 2))
        shape = (steps, pixels, pixels)
        costs.append(_conv("spatial attention", shape, 2, TRUNK_FILTERS, SPATIAL_ATTENTION_KERNEL))
    features = pixels * pixels * TRUNK_FILTERS
    for i, units in enumerate(STEP_UNITS, start=1):
        costs.append(_dense(f"step dense {i}", features, units, steps))
        features = units
    # A GRU with reset_after has an input and a recurrent bias for each of its three gates.
    gru_weights = 3 * GRU_UNITS * (features + GRU_UNITS)
    costs.append(LayerCost("gru", (steps, GRU_UNITS), gru_weights + 6 * GRU_UNITS, gru_weights * steps))
    features = GRU_UNITS
    if config.head_sizes:
        costs.append(_temporal_attention(config.head_sizes, steps))
        features = sum(config.head_sizes)
    answer = features
    for i, units in enumerate((*HEAD_UNITS, config.classes), start=1):
        costs.append(_dense(f"head dense {i}", features, units))
        features = units
    if config.action_units:
        costs.append(_dense("unit dense 1", answer, UNIT_UNITS))
        costs.append(_dense("unit dense 2", UNIT_UNITS, 2 * config.action_units))
    return tuple(costs)


def count_parameters(config: NetworkConfig) -> int:
    """Trainable parameters of the network; there are no others."""
    return sum(cost.parameters for cost in layer_costs(config))


def count_gflop(config: NetworkConfig) -> float:
    """Work of one forward pass over one clip in 1e9 floating-point operations, a multiply-add counting as two.

    Activations, poolings and element-wise products are left out (under 1 %).
    """
    return 2e-9 * sum(cost.multiply_adds for cost in layer_costs(config))


def _conv(name: str, shape: tuple[int, int, int], inputs: int, filters: int, kernel: int) -> LayerCost:
    weights = kernel**3 * inputs * filters
    return LayerCost(name, (*shape, filters), weights + filters, weights * shape[0] * shape[1] * shape[2])


def _dense(name: str, inputs: int, units: int, steps: int | None = None) -> LayerCost:
    shape = (units,) if steps is None else (steps, units)
    return LayerCost(name, shape, inputs * units + units, inputs * units * (steps or 1))


def _channel_attention(mlps: int) -> LayerCost:
    hidden = TRUNK_FILTERS // ATTENTION_REDUCTION
    weights = 2 * TRUNK_FILTERS * hidden
    return LayerCost("channel attention", (TRUNK_FILTERS,), mlps * (weights + hidden + TRUNK_FILTERS), 2 * weights)


def _temporal_attention(sizes: tuple[int, ...], steps: int) -> LayerCost:
    projections = sum(3 * GRU_UNITS * size for size in sizes)
    outputs = sum(size * size for size in sizes)
    # Scores of every query with every key, then one weighted sum of the values.
    products = sum(size * (steps * steps + steps) for size in sizes)
    parameters = projections + outputs + 4 * sum(sizes)
    return LayerCost("temporal attention", (sum(sizes),), parameters, projections * steps + outputs + products)
