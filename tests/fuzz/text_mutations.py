"""Damage to what text files say: JSON, JSON lines, CSV and YAML that can be parsed and mean something else."""

import copy
import csv
import io
import json
from random import Random
from typing import Any

_NESTED = 30_000
_PLACEHOLDER = "\x00nested\x00"
_NASTY: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 0.5, -0.0, 1e308, -1e308, 1e-320, float("nan"), float("inf"), float("-inf"),
    2**31, 2**63, -(2**63), 10**30, 10**400, "", " ", "0", "nan", "x", "\x00", "é🙂\u202e", "\ud800", "[bold]x[/nope]",
    "../../../etc/passwd", "/dev/zero", "a" * 70_000, "line\nbreak", [], [None], [[]], [1, "a"], {}, {"": None},
    {"a": {"b": []}}, _PLACEHOLDER,
)  # fmt: skip
_CELLS = (
    "",
    " ",
    "nan",
    "inf",
    "-1",
    "1e308",
    "1e400",
    "-0",
    "2147483648",
    "9" * 30,
    "9" * 5000,
    "x",
    "é🙂",
    "\x00",
    '"',
)
_CELLS += ("a" * 140_000, "1,5", "0x10", "1_000", "None", "[]", "٣", "=1+1")
_YAML = (
    "date: 2001-99-99\n", "? [a, b]\n: c\n", "!!python/object/apply:os.getcwd []\n", "a: &a [*a]\n", "a: *nothing\n",
    "x: !!int zzz\n", "x: !!binary '*'\n", "x: 0b\n", "x: 190:20:99\n", "%YAML 9.9\n---\n", "--- a\n--- b\n", "\t- x\n",
    "x: {{}}\n", "<<: 3\n", "x: !!timestamp soon\n", "!!set {x, y}\n", "x: \"\\ud800\"\n", "\ufeffx: 1\n",
)  # fmt: skip


def mutated_json(text: str, rng: Random) -> tuple[str, str]:
    """The text of a JSON value with one to three of its parts changed, and how."""
    value = json.loads(text)
    names: list[str] = []
    for _ in range(rng.choice((1, 1, 2, 3))):
        value, name = _changed(value, rng)
        names.append(name)
    return _dumped(value), ", ".join(names)


def mutated_lines(text: str, rng: Random) -> tuple[str, str]:
    """JSON lines: one line's value, or the lines themselves."""
    lines = text.splitlines()
    if not lines or rng.random() < 0.4:
        return _shuffled(lines, rng)
    place = rng.randrange(len(lines))
    lines[place], how = mutated_json(lines[place], rng)
    return "\n".join(lines) + "\n", f"line {place + 1}: {how}"


def mutated_csv(text: str, rng: Random) -> tuple[str, str]:
    """CSV: a cell, a column, the header, or the lines."""
    rows = list(csv.reader(io.StringIO(text)))
    how = rng.choice(("cell", "cell", "cell", "column", "header", "lines", "quote"))
    if how == "lines" or not rows:
        return _shuffled(text.splitlines(), rng)
    if how == "quote":
        place = rng.randrange(len(text) + 1)
        return text[:place] + '"' + text[place:], "an open quotation mark"
    row, column = rng.randrange(1 if len(rows) == 1 else len(rows)), rng.randrange(len(rows[0]))
    if how == "cell":
        cells = rows[row]
        cells[min(column, len(cells) - 1)] = rng.choice(_CELLS)
        how = f"row {row}, column {column}: {cells[min(column, len(cells) - 1)][:20]!r}"
    elif how == "header":
        rows[0][column] = rng.choice((*_CELLS, rows[0][column - 1]))
        how = f"column {column} called {rows[0][column][:20]!r}"
    else:
        other = rng.choice(("dropped", "doubled", "alone"))
        for cells in rows:
            part = cells[column : column + 1]
            cells[:] = {"dropped": cells[:column] + cells[column + 1 :], "doubled": cells + part, "alone": part}[other]
        how = f"column {column} {other}"
    target = io.StringIO()
    csv.writer(target, lineterminator="\n").writerows(rows)
    return target.getvalue(), how


def mutated_yaml(text: str, rng: Random) -> tuple[str, str]:
    """YAML: a line that YAML reads in its own way, an alias that multiplies, or (JSON is YAML) a changed value."""
    how = rng.choice(("snippet", "bomb", "value", "value", "value", "value", "characters"))
    if how == "snippet":
        snippet = rng.choice(_YAML)
        return rng.choice((text + snippet, snippet + text, snippet)), f"snippet {snippet!r}"
    if how == "bomb":
        levels = ", ".join(f"&l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 12))
        name = rng.choice(("data", "rows", "epochs", "title", "seeds", "base", "input", "exclude_people"))
        return text + f"{name}: [&l0 [x], {levels}]\n", f"an alias bomb for {name}"
    if how == "characters":
        place = rng.randrange(len(text) + 1)
        character = rng.choice(":{}[]&*!|>'\"%@`\t\x00\x85#,?-")
        return text[:place] + character + text[place:], f"{character!r} at {place}"
    import yaml

    value, name = _changed(yaml.safe_load(text), rng)
    return _dumped(value), name


def _changed(value: Any, rng: Random) -> tuple[Any, str]:
    value = copy.deepcopy(value)
    places = list(_places(value))
    how = rng.choice(("replace", "replace", "replace", "drop", "rename", "add", "double", "whole"))
    if not places or how == "whole":
        found = rng.choice(_NASTY)
        return found, f"all replaced by {_short(found)}"
    # Most values lie deep: the few near the root are what the rest hangs on.
    shallow = [place for place in places if place[2].count(".") <= 2]
    parent, key, path = rng.choice(shallow if rng.random() < 0.5 else places)
    if how == "drop":
        del parent[key]
    elif how == "rename" and isinstance(parent, dict):
        parent[rng.choice(("", "x", "Ω", key.upper(), f"{key}_s"))] = parent.pop(key)
    elif how == "add" and isinstance(parent, dict):
        parent[rng.choice(("extra", "", "__class__", "name"))] = rng.choice(_NASTY)
    elif how == "double" and isinstance(parent, list):
        parent.insert(key, parent[key])
    else:
        how, parent[key] = "replace", rng.choice(_NASTY)
        return value, f"{path} = {_short(parent[key])}"
    return value, f"{how} {path}"


def _places(value: Any, path: str = "") -> Any:
    """Every (container, key, path) of a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(items):
        yield value, key, f"{path}.{key}"
        yield from _places(inner, f"{path}.{key}")


def _dumped(value: Any) -> str:
    return json.dumps(value).replace(json.dumps(_PLACEHOLDER), "[" * _NESTED + "]" * _NESTED)


def _shuffled(lines: list[str], rng: Random) -> tuple[str, str]:
    how = rng.choice(("drop", "double", "swap", "empty", "cut", "garbage", "none left", "no newline", "carriage"))
    place, other = (rng.randrange(len(lines)) for _ in range(2)) if lines else (0, 0)
    if not lines or how == "none left":
        return "", "no lines"
    if how == "drop":
        del lines[place]
    elif how == "double":
        lines.insert(place, lines[place])
    elif how == "swap":
        lines[place], lines[other] = lines[other], lines[place]
    elif how == "empty":
        lines.insert(place, "")
    elif how == "cut":
        lines[place] = lines[place][: rng.randrange(len(lines[place]) + 1)]
    elif how == "garbage":
        lines.insert(place, rng.choice(("\x00\x01\x02", "}{", "[" * _NESTED, "\ufeff", "#")))
    end = "\r\n" if how == "carriage" else "\n"
    return end.join(lines) + ("" if how == "no newline" else end), f"line {place + 1}: {how}"


def _short(value: Any) -> str:
    return repr(value)[:40]
