"""The micro-expressions of all videos of a folder in one table: `python examples/folder_to_table.py VIDEOS events.csv`."""

import csv
import sys
from pathlib import Path

from microlive import Recognizer, SourceError

COLUMNS = ("video", "label", "onset_s", "apex_s", "offset_s", "confidence", "track")


def main(folder: str, table: str) -> None:
    with Recognizer(max_faces=2) as recognizer, open(table, "w", newline="", encoding="utf-8") as file:
        rows = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
        rows.writeheader()
        for video in sorted(Path(folder).glob("*.mp4")):
            # A spreadsheet would take such a name for a formula.
            name = f"'{video.name}" if video.name.startswith(("=", "+", "-", "@")) else video.name
            try:
                for result in recognizer.run(video):
                    found = [event for event in result.events if event.rejected is None and event.kind == "micro"]
                    rows.writerows({"video": name, **event.to_dict()} for event in found)
            except SourceError as error:
                print(error, file=sys.stderr)  # a bad file is told and skipped


if __name__ == "__main__":
    main(*sys.argv[1:3])
