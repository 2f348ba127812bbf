"""A sink of your own beside one that comes with the program: `python examples/custom_sink.py demo rows.csv`."""

import sys

from microlive import CsvSink, FrameResult, Recognizer, Sink


class LongestLatency(Sink):
    """Keeps the slowest answer of a run."""

    worst_ms = 0.0

    def write(self, result: FrameResult) -> None:
        self.worst_ms = max(self.worst_ms, result.latency_ms)


def main(source: str, rows: str) -> None:
    slowest = LongestLatency()
    with Recognizer() as recognizer, CsvSink(rows, recognizer.contract.class_names) as table:
        for result in recognizer.run(source):
            for sink in (slowest, table):
                sink.write(result)
    print(f"slowest answer {slowest.worst_ms:.1f} ms; rows in {rows}")


if __name__ == "__main__":
    main(*sys.argv[1:3])
