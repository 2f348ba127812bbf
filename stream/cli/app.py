"""The live program: opens what the options ask for, shows the run, says how it ended."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from rich.console import Console
from rich.table import Table

from model.contract import ClipContract
from model.signals import EndSignals
from model.types import FrameResult, Pace
from stream.cli.options import LiveOptions
from stream.cli.outputs import Outputs, new_overlay, run_name
from stream.engine.model_file import model_words
from stream.health import Health
from stream.machine import share_processor
from stream.pipeline import LivePipeline
from stream.recognizer import Recognizer
from stream.run import LiveRun, RunLabels
from stream.screen.terminal import ConnectionTeller, JumpTeller, Panel
from stream.screen.window import Window, display_available, save_snapshot
from stream.session.replay import ReplaySource, model_difference, recorded_settings, require_recording
from stream.session.session_folder import SessionFolder
from stream.sources.base import FrameSource, NamedSource, source_name
from stream.sources.open import list_cameras, open_source

_SCREEN_WAIT_S = 0.1
_PANEL_PAUSE_S = 0.03


def run(options: LiveOptions, console: Console, signals: EndSignals) -> int:
    """Runs to the end of the source, a key, or one of the signals; the exit code. Errors that end it early are raised."""
    share_processor()
    if options.list_cameras:
        return _show_cameras(console)
    if options.replay is not None:
        options = _as_recorded(options, SessionFolder(options.replay))
    recognizer = Recognizer(
        options.model,
        options.provider,
        options.threads,
        options.engine,
        options.max_faces,
        options.detect_events,
        face_at=options.face_at,
        sensitivity=options.sensitivity,
        one_person=options.one_person,
    )
    _introduce(recognizer.contract, console)
    windowed = not options.headless and display_available()
    if not windowed and not options.headless:
        console.print("No display: going on without a window.")
    accompanied = windowed or options.serve is not None or options.needs_pace
    pace: Pace = options.pace or ("realtime" if accompanied else "fast")
    opened = _source(options, pace, recognizer, console)
    name = run_name(options)
    source = opened if name is None else NamedSource(opened, name, str(options.replay or options.source))
    with Outputs(options, recognizer, name) as outputs, source:
        pipeline = recognizer.pipeline(source, max_frames=options.max_frames)
        live_run = _new_run(recognizer, pipeline, source)
        outputs.attach(live_run, source)
        if source.notice is not None:
            console.print(source.notice, style="yellow", markup=False, highlight=False)
        for line in outputs.greeting():
            console.print(line, soft_wrap=True, markup=False, highlight=False)
        # What is live has no time of its own but that of arrival; its outages are told.
        tell = (lambda _: None) if source.info.live else JumpTeller(console)
        try:
            with live_run:
                if windowed:
                    _show_window(live_run, pipeline, recognizer.contract, options, outputs, console, tell)
                else:
                    _show_panel(live_run, recognizer.contract, options, console, tell)
                # Files are closed and the report is made whatever else is asked for.
                signals.finishing()
        except KeyboardInterrupt:
            console.print("Stopped.")
    console.print(live_run.summary.table())
    for line in source.remarks():
        console.print(line, style="yellow", markup=False, highlight=False)
    try:
        outputs.finish(live_run, console)
    finally:
        if live_run.error is not None:
            raise live_run.error
    return 0


def _as_recorded(options: LiveOptions, folder: SessionFolder) -> LiveOptions:
    """With the settings of the session, wherever the command line does not name others."""
    facts = folder.read_facts()
    require_recording(folder.path, facts)
    made = recorded_settings(facts)
    changes: dict[str, Any] = {"detect_events": options.detect_events and made.detect_events}
    if "max_faces" not in options.chosen and made.max_faces is not None and not options.one_person:
        changes["max_faces"] = made.max_faces
    if "max_faces" not in options.chosen:
        changes["one_person"] = options.one_person or made.one_person
    if "face" not in options.chosen:
        changes["face_at"] = made.face_at
    if "sensitivity" not in options.chosen and made.sensitivity is not None:
        changes["sensitivity"] = made.sensitivity
    if "model" not in options.chosen:
        made.require_bundled_model(folder.path)
        if "engine" not in options.chosen and made.engine is not None:
            changes["engine"] = made.engine
    return replace(options, **changes)


def _source(options: LiveOptions, pace: Pace, recognizer: Recognizer, console: Console) -> FrameSource:
    """Not open yet."""
    if options.replay is not None:
        replay = ReplaySource(SessionFolder(options.replay), pace)
        difference = model_difference(replay.facts, recognizer.contract, recognizer.model_path)
        if difference is not None:
            console.print(difference, style="yellow")
        if (state := replay.facts.get("state")) in ("running", "killed"):
            how = "is still running" if state == "running" else "was killed"
            console.print(f"The session has not come to its end (it {how}): what is there is replayed.", style="yellow")
        return replay
    teller = ConnectionTeller(console, options.label or source_name(options.source))
    return open_source(options.source, pace, options.live, teller, options.fps)


def _introduce(contract: ClipContract, console: Console) -> None:
    """What the model is and is not, before anything is shown."""
    words = f"{model_words(contract)} {contract.disclaimer}"
    # The words are the model's own: brackets in them are no markup.
    console.print(words, style="dim", markup=False, highlight=False)


def _new_run(recognizer: Recognizer, pipeline: LivePipeline, source: FrameSource) -> LiveRun:
    threads = f"model {recognizer.threads}, decode 1, face {1 if source.info.live else 2}"
    labels = RunLabels(recognizer.provider, recognizer.engine_kind, threads, recognizer.threads)
    return LiveRun(pipeline, source, recognizer.contract.class_names, labels)


def _show_panel(
    live_run: LiveRun,
    contract: ClipContract,
    options: LiveOptions,
    console: Console,
    tell: Callable[[Health], None],
) -> None:
    with Panel(
        console, contract.class_names, contract.frames, options.detect_events, units=contract.action_units
    ) as panel:
        last: FrameResult | None = None
        while not live_run.ended:
            # Without a new frame too: the state of the connection and the rates change.
            last = live_run.take(_SCREEN_WAIT_S) or last
            if last is None:
                continue
            health = live_run.health()
            tell(health)
            if panel.update(last, live_run.history, health):
                live_run.note_shown()
            # To look at every result of a file would take the run's own time: a tenth of it.
            live_run.wait_end(_PANEL_PAUSE_S)


def _show_window(
    live_run: LiveRun,
    pipeline: LivePipeline,
    contract: ClipContract,
    options: LiveOptions,
    outputs: Outputs,
    console: Console,
    tell: Callable[[Health], None],
) -> None:
    overlay = new_overlay(contract, options)
    last: FrameResult | None = None
    helping = False
    with Window("Microlive") as window:
        while not live_run.ended:
            newest = live_run.take(_SCREEN_WAIT_S)
            last = newest or last
            if last is None:
                continue
            if newest is not None:
                live_run.note_shown()
            health = live_run.health()
            tell(health)
            picture = overlay.draw(last, live_run.history, health)
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
                if options.session is not None and options.session.anonymise:
                    picture = outputs.snapshot_overlay().draw(last, live_run.history, health)
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
