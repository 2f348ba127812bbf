"""Every decided movement goes to a function of yours, here a counter: `python examples/events_to_callback.py demo`."""

import sys
from collections import Counter

from microlive import Event, Recognizer


def main(source: str) -> None:
    seen: Counter[str] = Counter()

    def count(event: Event) -> None:
        seen[event.rejected or f"{event.kind} {event.label}"] += 1

    with Recognizer(on_event=count) as recognizer:
        for _ in recognizer.run(source):
            pass
    for what, times in seen.most_common():
        print(f"{times:3}  {what}")


if __name__ == "__main__":
    main(sys.argv[1])
