"""`python -m model`: the architectures, their parameters and their work."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace

from rich.table import Table

from model.complexity import count_gflop, count_parameters, layer_costs
from model.config import MIN_DEPTH, MIN_SIZE_PX, NetworkConfig
from model.console import CleanConsole
from model.variants import VARIANTS, variant

_EPILOG = """examples:
  python -m model                          the paper's network and its ablation rows
  python -m model --depth 10               the same for clips of 10 frames (SMIC)
  python -m model --layers paper           one network, layer by layer
  python -m model --json                   for scripts

A GFLOP is 1e9 floating-point operations of one forward pass over one clip; a multiply-add counts as two.
Published scores are those of the paper on SMIC, chosen per left-out subject, hence optimistic."""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    geometry = {"depth": options.depth, "size_px": options.size, "channels": options.channels}
    try:
        configs = {
            row.name: replace(row.config, classes=options.classes, **geometry)
            for row in ([variant(options.layers)] if options.layers else VARIANTS.values())
        }
    except ValueError as error:
        print(f"python -m model: {error}", file=sys.stderr)
        return 2
    if options.layers:
        config = configs[options.layers]
        print(json.dumps(_layers_json(config), indent=2)) if options.json else _print_layers(options.layers, config)
    else:
        print(json.dumps(_variants_json(configs), indent=2)) if options.json else _print_variants(configs)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m model",
        description="Show the network and its ablation variants: parameters and work for one clip.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    paper = NetworkConfig()
    parser.add_argument("--layers", metavar="NAME", help=f"show one variant by layer: {', '.join(VARIANTS)}")
    parser.add_argument(
        "--depth", type=int, default=paper.depth, help=f"frames in a clip, at least {MIN_DEPTH} (%(default)s)"
    )
    parser.add_argument(
        "--size",
        type=int,
        default=paper.size_px,
        help=f"frame height and width in pixels, at least {MIN_SIZE_PX} (%(default)s)",
    )
    parser.add_argument("--channels", type=int, default=paper.channels, help="1 (grey) or 3 (colour) (%(default)s)")
    parser.add_argument(
        "--classes", type=int, default=paper.classes, help="number of classes, at least 2 (%(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser


def _variants_json(configs: dict[str, NetworkConfig]) -> list[dict[str, object]]:
    return [
        asdict(VARIANTS[name])
        | {"config": config.to_dict(), "parameters": count_parameters(config), "gflop": round(count_gflop(config), 3)}
        for name, config in configs.items()
    ]


def _layers_json(config: NetworkConfig) -> dict[str, object]:
    return {
        "config": config.to_dict(),
        "parameters": count_parameters(config),
        "gflop": round(count_gflop(config), 3),
        "layers": [asdict(cost) for cost in layer_costs(config)],
    }


def _print_variants(configs: dict[str, NetworkConfig]) -> None:
    first = next(iter(configs.values()))
    title = f"3DCNN + GRU for {_geometry(first)}"
    table = Table(
        title=title, caption="WCCE: weighted cross-entropy. GFLOP a clip. UF1, UAR, ACC: as published for SMIC."
    )
    table.add_column("name", no_wrap=True)
    table.add_column("attention", no_wrap=True)
    table.add_column("loss", no_wrap=True)
    for heading in ("parameters", "GFLOP", "UF1", "UAR", "ACC"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, config in configs.items():
        row = VARIANTS[name]
        scores = (f"{score:.3f}" for score in (row.published_uf1, row.published_uar, row.published_accuracy))
        loss = "WCCE" if row.weighted_loss else "CCE"
        counts = f"{count_parameters(config):,}", f"{count_gflop(config):.2f}"
        table.add_row(name, row.attention, loss, *counts, *scores)
    CleanConsole().print(table)


def _print_layers(name: str, config: NetworkConfig) -> None:
    table = Table(title=f"Network “{name}” for {_geometry(config)}", show_footer=True)
    costs = layer_costs(config)
    table.add_column("layer", footer="together")
    table.add_column("output")
    table.add_column("parameters", justify="right", footer=f"{count_parameters(config):,}")
    table.add_column("MFLOP a clip", justify="right", footer=f"{1e3 * count_gflop(config):,.1f}")
    for cost in costs:
        shape = "×".join(map(str, cost.output_shape))
        table.add_row(cost.name, shape, f"{cost.parameters:,}", f"{2e-6 * cost.multiply_adds:,.1f}")
    CleanConsole().print(table)


def _geometry(config: NetworkConfig) -> str:
    depth, size, _, channels = config.input_shape
    return f"{depth} frames of {size}×{size}×{channels}, {config.classes} classes"


if __name__ == "__main__":
    sys.exit(main())
