"""Labels from a webcam as they come, and every micro-expression once it is decided: `python examples/webcam_loop.py 0`."""

import sys

from microlive import Recognizer


def main(source: str = "0") -> None:
    camera = int(source) if source.isdigit() else source  # a number is a camera, anything else a file, a URL or "demo"
    with Recognizer(on_event=lambda event: print("event:", event.to_dict())) as recognizer:
        print(f"{recognizer.contract.training_data} ({recognizer.provider})")
        for result in recognizer.run(camera, pace="realtime" if camera != "demo" else "fast"):
            if result.prediction is None:
                print(f"{result.frame.time_s:7.2f} s  {result.status}")
            elif result.prediction.label != "neutral":
                print(f"{result.frame.time_s:7.2f} s  {result.prediction.label} {result.prediction.confidence:.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:2])
