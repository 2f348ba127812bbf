"""What a run says on the terminal, or into a pipe."""

import os
import sys

from rich.console import Console

from stream.connection import Connection


class Screen(Console):
    """A console that falls silent when what it writes to is closed (`| head`): the run and its files go on."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        # The interpreter flushes what is left when it ends, and would complain.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


class ConnectionTeller:
    """Says when a live source is lost and when it is back, and no more often than that. For `LiveSource.on_change`."""

    def __init__(self, console: Console, name: str) -> None:
        self._console = console
        self._name = name
        self._before = Connection("opening", 0.0)
        self._waiting = False

    def __call__(self, connection: Connection) -> None:
        before, self._before = self._before, connection
        if connection.state == "opening" and connection.tries == 2 and before.tries < 2:
            self._waiting = True
            self._say(f"waiting for it: {connection.reason}")
        elif connection.state == "reconnecting" and before.state == "connected":
            self._say(f"lost, opening it again: {connection.reason}")
        elif connection.state == "connected" and (self._waiting or before.state == "reconnecting"):
            again = "" if self._waiting else " again"
            self._waiting = False
            self._say(f"connected{again} after {connection.since_s - before.since_s:.1f} s")

    def _say(self, text: str) -> None:
        self._console.print(f"{self._name}: {text}", style="yellow", soft_wrap=True, markup=False, highlight=False)
