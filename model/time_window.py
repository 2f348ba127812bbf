"""`python -m model.time_window SETTINGS`: times the network in a compiled TensorFlow function, one call a line of input.

Part of the benchmark, in a process of its own. SETTINGS is JSON: NetworkConfig's depth, size_px, channels, classes and
input_dtype, and `threads`. Prints 0 when ready, then the milliseconds of one call for every line read. The weights are
random: they do not change the time.
"""

import json
import sys
import time
from typing import Any

from model.config import NetworkConfig


def main() -> None:
    settings = json.loads(sys.argv[1])
    threads = settings.pop("threads")

    import tensorflow as tf

    from model.network import build_network

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    config = NetworkConfig(**settings)
    network: Any = build_network(config)
    call: Any = tf.function(lambda clip: network(clip, training=False), jit_compile=False)
    clip = tf.cast(tf.random.uniform((1, *config.input_shape), 0, 255), config.input_dtype)
    for _ in range(3):
        call(clip).numpy()
    print(0.0, flush=True)
    for _ in sys.stdin:
        started_s = time.perf_counter()
        call(clip).numpy()
        print(1000 * (time.perf_counter() - started_s), flush=True)


if __name__ == "__main__":
    main()
