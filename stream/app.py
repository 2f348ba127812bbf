"""The live program: opens what the options ask for, shows the run, says how it ended."""

from contextlib import ExitStack

import cv2
from rich.console import Console
from rich.table import Table

from model.contract import ClipContract
from model.types import FrameResult
from stream.history import LiveHistory
from stream.options import LiveOptions
from stream.output_file import check_target, write_json
from stream.overlay import Overlay
from stream.pipeline import LivePipeline
from stream.recognizer import Recognizer
from stream.run import LiveRun, RunLabels
from stream.sinks import CsvSink, EventsSink, Panel, RecordSink, Window, display_available, save_snapshot
from stream.sources import FrameSource, LiveSource, list_cameras, open_source

_SCREEN_WAIT_S = 0.1


def run(options: LiveOptions, console: Console) -> int:
    """Runs to the end of the source, a key, or Ctrl-C; the exit code. Errors that end it early are raised."""
    # The stages run in threads of their own; OpenCV's pool inside each of them would only compete with them.
    cv2.setNumThreads(1)
    if options.list_cameras:
        return _show_cameras(console)
    recognizer = Recognizer(
        options.model, options.provider, options.threads, options.engine, options.max_faces, options.detect_events
    )
    _introduce(recognizer.contract, console)
    windowed = not options.headless and display_available()
    if not windowed and not options.headless:
        console.print("No display: going on without a window.")
    pace = options.pace or ("realtime" if windowed else "fast")
    source = LiveSource(options.source) if isinstance(options.source, int) else open_source(options.source, pace)
    with ExitStack() as stack:
        # Outputs come first: one that cannot be written must not cost a run.
        csv = stack.enter_context(CsvSink(options.csv, recognizer.contract.class_names)) if options.csv else None
        events = stack.enter_context(EventsSink(options.events)) if options.events else None
        if options.json is not None:
            check_target(options.json, "JSON file")
        stack.enter_context(source)
        pipeline = recognizer.pipeline(source, max_frames=options.max_frames)
        live_run = _new_run(recognizer, pipeline, source)
        for sink in (csv, events):
            if sink is not None:
                live_run.add_sink(sink)
        if options.record:
            live_run.add_sink(stack.enter_context(_recorder(options, recognizer.contract, source, live_run)))
        try:
            with live_run:
                if windowed:
                    _show_window(live_run, pipeline, recognizer.contract, options, console)
                else:
                    _show_panel(live_run, recognizer.contract, options, console)
        except KeyboardInterrupt:
            console.print("Stopped.")
    console.print(live_run.summary.table())
    if options.json is not None:
        write_json(options.json, live_run.report())
    for path in (options.csv, options.events, options.record, options.json):
        if path is not None:
            console.print(f"Written: {path}", soft_wrap=True, markup=False)
    if live_run.error is not None:
        raise live_run.error
    return 0


def _introduce(contract: ClipContract, console: Console) -> None:
    """What the model is and is not, before anything is shown."""
    numbers = [contract.scores.get(name) for name in ("uf1", "chance_uf1", "n")]
    measured = "not scored"
    if all(isinstance(number, int | float) for number in numbers):
        measured = "UF1 {:.3f} (chance {:.3f}, n {:d})".format(*numbers)
    words = f"Model trained on {contract.training_data}; {measured}. {contract.disclaimer}"
    # The words are the model's own: brackets in them are no markup.
    console.print(words, style="dim", markup=False, highlight=False)


def _new_run(recognizer: Recognizer, pipeline: LivePipeline, source: FrameSource) -> LiveRun:
    threads = f"model {recognizer.threads}, decode 1, face 1"
    labels = RunLabels(recognizer.provider, recognizer.engine_kind, threads, recognizer.threads)
    return LiveRun(pipeline, source, recognizer.contract.class_names, labels)


def _recorder(options: LiveOptions, contract: ClipContract, source: FrameSource, live_run: LiveRun) -> RecordSink:
    assert options.record is not None
    overlay, history = _overlay(contract, options), LiveHistory(contract.class_names)
    fps = source.info.fps or None
    return RecordSink(options.record, overlay, history, live_run.health, fps, block=not source.info.live)


def _overlay(contract: ClipContract, options: LiveOptions) -> Overlay:
    return Overlay(contract.class_names, contract.disclaimer, contract.frames, options.detect_events)


def _show_panel(live_run: LiveRun, contract: ClipContract, options: LiveOptions, console: Console) -> None:
    with Panel(console, contract.class_names, contract.frames, options.detect_events) as panel:
        while not live_run.ended:
            result = live_run.take(_SCREEN_WAIT_S)
            if result is not None:
                panel.update(result, live_run.history, live_run.health())


def _show_window(
    live_run: LiveRun, pipeline: LivePipeline, contract: ClipContract, options: LiveOptions, console: Console
) -> None:
    overlay = _overlay(contract, options)
    last: FrameResult | None = None
    helping = False
    with Window("Microlive") as window:
        while not live_run.ended:
            last = live_run.take(_SCREEN_WAIT_S) or last
            if last is None:
                continue
            picture = overlay.draw(last, live_run.history, live_run.health())
            picture = overlay.draw_paused(picture) if pipeline.paused else picture
            command = window.show(overlay.draw_help(picture) if helping else picture)
            if command == "quit":
                return
            if command == "pause":
                pipeline.set_paused(not pipeline.paused)
            elif command == "reset":
                pipeline.request_reset()
                live_run.history.reset()
            elif command == "snapshot":
                console.print(f"Snapshot: {save_snapshot(picture, options.snapshots)}", soft_wrap=True, markup=False)
            elif command == "help":
                helping = not helping


def _show_cameras(console: Console) -> int:
    cameras = list_cameras()
    if not cameras:
        console.print("No camera can be opened (0 to 9). Is one plugged in, and not in use by another program?")
        return 1
    table = Table(title="Cameras", box=None)
    for column in ("--camera", "size", "fps"):
        table.add_column(column, justify="right")
    for camera in cameras:
        fps = f"{camera.fps:.0f}" if camera.fps else "unknown"
        table.add_row(camera.name.removeprefix("camera "), f"{camera.width_px}×{camera.height_px}", fps)
    console.print(table)
    return 0
