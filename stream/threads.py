"""How the threads of the live program share the processor. For programs, at their start: it changes the whole process."""

import sys

import cv2

_TURN_S = 0.001


def share_processor() -> None:
    """The stages run in threads of their own; OpenCV's pool inside each of them would only compete with them.

    A thread that wants the interpreter waits for a turn of the one that has it, 5 ms unless told otherwise. Many such
    waits follow each other in a frame: with three viewers of the web view on two cores they made the latest answers 80
    ms later, with turns of 1 ms hardly at all (`--benchmark --latency 60 --viewers 3`).
    """
    cv2.setNumThreads(1)
    sys.setswitchinterval(_TURN_S)
