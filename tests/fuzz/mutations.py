"""Damage to a content: bits, blocks, numbers of a binary file, numbers and nesting of a text, nodes of JSON."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Sequence
from random import Random
from typing import Any

HEAD = 512  # bytes at the beginning of a file, which half of the mutations hit
MOST = 1 << 20  # bytes of a mutant
_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_TEXTS = (
    b"-1", b"0", b"1", b"255", b"65536", b"4294967296", b"99999999999999999999", b"-9223372036854775809", b"1e999",
    b"-1e999", b"nan", b"inf", b"1e-320", b"0.1", b"", b" ", b"\0", b"\n", b"true", b"null", b'"', b"'", b"\xff\xfe",
    b"\xe2\x80\xae", b"\x1b[2J", b"%s", b"9" * 5000, b"[" * 3000, b"{" * 3000, b'{"a":' * 3000, b"a." * 3000,
)  # fmt: skip
_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 255, 256, 1 << 31, (1 << 63) - 1, 10**19, 0.0, -0.5, 1e308, 1e-320, "", "a", "tile",
    "../../x", "a" * 2000, "\x1b[2J\n\u202e", "\ud800", [], [[]], {}, {"": None}, [0] * 300, [1e9, -1e9], {"kind": "labels"},
)  # fmt: skip


def mutant(random: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """One to a few mutations of a content; `others` are contents whose blocks may be taken."""
    data = bytearray(content)
    if random.random() < 0.3 and (changed := _json_mutant(random, content)) is not None:
        data = bytearray(changed)
        if random.random() < 0.7:
            return bytes(data)
    for _ in range(min(8, 1 + int(random.expovariate(0.7)))):
        random.choice(_KINDS)(random, data, others)
    return bytes(data[:MOST])


def _place(random: Random, data: bytearray) -> int:
    end = min(len(data), HEAD) if random.random() < 0.5 else len(data)
    return random.randrange(end) if end else 0


def _block(random: Random, data: bytearray) -> slice:
    start = _place(random, data)
    return slice(start, start + min(len(data), int(2 ** random.uniform(0, 12))))


def _flip(random: Random, data: bytearray, others: Sequence[bytes]) -> None:
    if data:
        data[_place(random, data)] ^= 1 << random.randrange(8)


def _byte(random: Random, data: bytearray, others: Sequence[bytes]) -> None:
    if data:
        data[_place(random, data)] = random.choice((0, 1, 2, 3, 0x7F, 0x80, 0xFF, random.randrange(256)))


def _integer(random: Random, data: bytearray, others: Sequence[bytes]) -> None:
    """An extreme integer, or a small one such as the number of a compression, at any place."""
    size = random.choice((1, 2, 2, 4, 4, 8))
    top = 1 << (8 * size)
    near = (0, top // 2, top, len(data), random.randrange(70), 1 << random.randrange(8 * size), 32773, 50000, 34892)
    value = (random.choice(near) + random.choice((-1, 0, 0, 1))) % top
    at = _place(random, data)
    data[at : at + size] = value.to_bytes(size, random.choice(("little", "big")))


def _step(random: Random, data: bytearray, others: Sequence[bytes]) -> None:
    """Add or subtract a little from an integer in the file."""
    size = random.choice((1, 2, 4))
    order: Any = random.choice(("little", "big"))
    at = _place(random, data)
    value = int.from_bytes(data[at : at + size], order) + random.choice((-16, -2, -1, 1, 2, 16))
    data[at : at + size] = (value % (1 << (8 * size))).to_bytes(size, order)


def _float(random: Random, data: bytearray, others: Sequence[bytes]) -> None:
    value = random.choice((float("nan"), float("inf"), -float("inf"), 0.0, -0.0, 1e-45, 3e38, -3e38, 1e300, 0.5))
    at = _place(random, data)
    kind = "d" if abs(value) == 1e300 or random.random() < 0.3 else "f"
    packed = struct.pack(random.choice("<>") + kind, value)
    data[at : at + len(packed)] = packed


def _cut(random: Random, data: bytearray, others: Sequence[bytes]) -> None:
    del data[random.randrange(len(data) + 1) :]


def _delete(random: Random, data: bytearray, others: Sequence[bytes]) -> None:
    del data[_block(random, data)]


def _repeat(random: Random, data: bytearray, others: Sequence[bytes]) -> None:
    block = _block(random, data)
    times = 1 if random.random() < 0.9 else min(2000, (1 << 19) // max(1, block.stop - block.start))
    data[block.stop : block.stop] = bytes(data[block]) * times


def _swap(random: Random, data: bytearray, others: Sequence[bytes]) -> None:
    first, second = _block(random, data), _block(random, data)
    data[first], data[second] = data[second], data[first]


def _fill(random: Random, data: bytearray, others: Sequence[bytes]) -> None:
    block = _block(random, data)
    data[block] = bytes([random.choice((0, 0xFF, 0x20, 0x30))]) * len(data[block])


def _noise(random: Random, data: bytearray, others: Sequence[bytes]) -> None:
    block = _block(random, data)
    data[block] = random.randbytes(len(data[block]))


def _splice(random: Random, data: bytearray, others: Sequence[bytes]) -> None:
    other = bytearray(random.choice(others)) if others else data
    at = _place(random, data)
    taken = bytes(other[_block(random, other)])
    data[at : at + random.choice((0, len(taken)))] = taken


def _text(random: Random, data: bytearray, others: Sequence[bytes]) -> None:
    """Another number or word in the place of a number."""
    numbers = [*_NUMBER.finditer(bytes(data[: 1 << 15]))]
    at = random.choice(numbers).span() if numbers else (_place(random, data),) * 2
    data[slice(*at)] = random.choice(_TEXTS)


def _insert(random: Random, data: bytearray, others: Sequence[bytes]) -> None:
    at = _place(random, data)
    data[at:at] = random.choice(_TEXTS)


_KINDS = (
    _flip, _flip, _byte, _byte, _integer, _integer, _integer, _step, _float, _cut, _delete, _repeat, _swap, _fill, _noise,
    _splice, _text, _text, _insert,
)  # fmt: skip


def _json_mutant(random: Random, content: bytes) -> bytes | None:
    """JSON with one node replaced, removed, renamed or moved; None for other contents."""
    if content[:1] not in (b"{", b"["):
        return None
    try:
        tree = json.loads(content)
    except (ValueError, RecursionError):
        return None
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        places: list[tuple[Any, Any]] = []
        waiting = [tree]
        while waiting:
            node = waiting.pop()
            keys = node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
            places += [(node, key) for key in keys]
            waiting += [node[key] for key in keys]
        if not places:
            break
        node, key = random.choice(places)
        kind = random.random()
        if kind < 0.6:
            node[key] = random.choice(_VALUES)
        elif kind < 0.75:
            other, place = random.choice(places)
            node[key] = json.loads(json.dumps(other[place]))
        elif kind < 0.9 or isinstance(node, list):
            del node[key]
        else:
            node[random.choice(("", "version", "kind", "a" * 500, "\n"))] = node.pop(key)
    return json.dumps(tree).encode()
