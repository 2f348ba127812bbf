"""Frames that you already have, here from imageio-style code of your own: `python examples/own_frames.py talk.mp4`."""

import sys

import cv2

from microlive import Recognizer


def main(path: str) -> None:
    capture = cv2.VideoCapture(path)
    with Recognizer() as recognizer:
        while True:
            found, image = capture.read()  # BGR uint8; for RGB say process(image, time_s, colour="rgb")
            if not found:
                break
            time_s = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            for event in recognizer.process(image, time_s).events:
                print(event.to_dict())
        for event in recognizer.finish():  # those still open when the frames end
            print(event.to_dict())


if __name__ == "__main__":
    main(sys.argv[1])
