"""Damage to bytes: what disks, networks and careless programs do to files, and what somebody does on purpose."""

import io
import zipfile
from collections.abc import Callable
from random import Random

HEAD_BYTES = 512
"""Containers keep what says the most about the rest near their beginning."""
_MOST_INSERTED = 4096
_LENGTHS = (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x00\x00\x00\x00", b"\xff\xff\xff\x7f", b"\x00\x00\x00\x01")
_LENGTHS += (b"\xff" * 8, b"\x7f" + b"\xff" * 7, b"\x00" * 8)


def mutated(data: bytes, rng: Random) -> tuple[bytes, str]:
    """One to three mutations after each other, and their names."""
    names: list[str] = []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        mutation = rng.choice(_MUTATIONS)
        data = mutation(data, rng)
        names.append(mutation.__name__.strip("_"))
    return data, ", ".join(names)


def mutated_archive(data: bytes, rng: Random) -> tuple[bytes, str]:
    """A ZIP file, sound in itself, of which one member is mutated."""
    with zipfile.ZipFile(io.BytesIO(data)) as source:
        members = {name: source.read(name) for name in source.namelist()}
    name = rng.choice(sorted(members))
    members[name], how = mutated(members[name], rng)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return target.getvalue(), f"{name}: {how}"


def _flip_bits(data: bytes, rng: Random) -> bytes:
    found = bytearray(data)
    for _ in range(rng.choice((1, 2, 8, 64)) if found else 0):
        found[rng.randrange(len(found))] ^= 1 << rng.randrange(8)
    return bytes(found)


def _overwrite_run(data: bytes, rng: Random) -> bytes:
    begin, end = _span(data, rng)
    fill = rng.choice((b"\x00", b"\xff", None))
    return data[:begin] + (rng.randbytes(end - begin) if fill is None else fill * (end - begin)) + data[end:]


def _truncate(data: bytes, rng: Random) -> bytes:
    return data[: rng.choice((0, 1, rng.randrange(HEAD_BYTES), rng.randrange(len(data) + 1), max(0, len(data) - 1)))]


def _cut_head(data: bytes, rng: Random) -> bytes:
    return data[rng.randrange(1, HEAD_BYTES) :]


def _delete_block(data: bytes, rng: Random) -> bytes:
    begin, end = _span(data, rng)
    return data[:begin] + data[end:]


def _duplicate_block(data: bytes, rng: Random) -> bytes:
    begin, end = _span(data, rng)
    return data[:end] + data[begin:]


def _insert_block(data: bytes, rng: Random) -> bytes:
    place = rng.randrange(len(data) + 1)
    return data[:place] + rng.randbytes(rng.randrange(1, _MOST_INSERTED)) + data[place:]


def _swap_chunks(data: bytes, rng: Random) -> bytes:
    a, b, c = sorted(rng.randrange(len(data) + 1) for _ in range(3))
    return data[:a] + data[b:c] + data[a:b] + data[c:]


def _damage_header(data: bytes, rng: Random) -> bytes:
    head = bytearray(data[:HEAD_BYTES])
    for _ in range(rng.randrange(1, 9) if head else 0):
        head[rng.randrange(len(head))] = rng.randrange(256)
    return bytes(head) + data[HEAD_BYTES:]


def _wrong_length(data: bytes, rng: Random) -> bytes:
    """What may be a length field becomes a huge or an empty one."""
    length = rng.choice(_LENGTHS)
    within = min(len(data), rng.choice((64, HEAD_BYTES, len(data) or 1)))
    place = rng.randrange(max(1, within - len(length) + 1))
    return data[:place] + length + data[place + len(length) :]


def _append_itself(data: bytes, rng: Random) -> bytes:
    return data + data[rng.randrange(len(data) or 1) :]


def _garbage(data: bytes, rng: Random) -> bytes:
    return rng.randbytes(min(len(data), _MOST_INSERTED))


def _span(data: bytes, rng: Random) -> tuple[int, int]:
    begin = rng.randrange(len(data) + 1)
    most = rng.choice((4, 64, 1024, max(1, len(data) // 2)))
    return begin, min(len(data), begin + rng.randrange(1, most + 1))


_MUTATIONS: tuple[Callable[[bytes, Random], bytes], ...] = (
    _flip_bits, _flip_bits, _overwrite_run, _overwrite_run, _truncate, _cut_head, _delete_block, _duplicate_block,
    _insert_block, _swap_chunks, _damage_header, _damage_header, _wrong_length, _wrong_length, _append_itself, _garbage,
)  # fmt: skip
