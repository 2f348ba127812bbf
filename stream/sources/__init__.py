"""Where frames come from: cameras, files, network streams and the built-in demo, one small interface.

A source is opened by `with`, then iterated once. Frames carry the source's own time: the presentation time of files, a
monotonic clock for live sources. Files drop nothing; of a live source the newest frame wins and the rest are counted.
"""
