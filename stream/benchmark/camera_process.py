"""The benchmarks' network camera as a process of its own, so that sending costs the program nothing but the processor.

`python -m stream.benchmark.camera_process RATE_HZ PICTURES` prints its URL, serves until its input ends, then prints the
monotonic clock at which each picture was sent, in order, as JSON.
"""

import json
import sys
import time

from stream.benchmark.camera_pictures import camera_pictures
from stream.benchmark.fault_server import FaultServer


def main() -> None:
    rate_hz, count = float(sys.argv[1]), int(sys.argv[2])
    pictures = camera_pictures(count)
    sent_s: list[float] = []
    with FaultServer(
        lambda number: pictures[number % count],
        1 / rate_hz,
        on_send=lambda _: sent_s.append(time.monotonic()),
    ) as server:
        print(server.url, flush=True)
        sys.stdin.read()
    print(json.dumps(sent_s))


if __name__ == "__main__":
    main()
