"""Changes of honest files: values that break parsers, in places where parsers look."""

from __future__ import annotations

import copy
import json
import re
from random import Random
from typing import Any

HOSTILE_COUNTS = (0, 1, 63, 64, 65, 1 << 20, (1 << 31) - 1, 1 << 32, 1 << 40, 1 << 62, (1 << 63) - 1, (1 << 64) - 1)
HOSTILE_VALUES: tuple[Any, ...] = (
    *HOSTILE_COUNTS, -1, -(1 << 63), 1 << 64, 10**21, True, False, None, "", "0", "\0", "x" * 2000, "\ud800", "é",
    [], [0], [-1], [1 << 40, 1 << 40], [0, 1 << 40], [1] * 33, {}, {"x-a": 1}, {"": ""}, 1.5,
    float("nan"), float("inf"), [[[[]]]], "float32", "F32", "bfp-planar-1", "__metadata__", "../../a", "bfloat16",
    "f" * 16, "0" * 32,
)  # fmt: skip
_TEXTS = ("None", "True", "'", "(", ")", ",", "}", "<f4", ">f8", "|O", "<U9", "<V0", "9" * 11, "-1", "1e9", "\n", "#")
_NUMBER = re.compile(rb"[0-9]+")


def changed_json(value: Any, random: Random) -> Any:
    """Return a copy with one to three places changed: a value, a key, the order, or a copy of another place."""
    value = copy.deepcopy(value)
    for _ in range(random.randint(1, 3)):
        places = list(_places(value))
        if not places:
            return random.choice(HOSTILE_VALUES)
        parent, key = random.choice(places)
        action = random.randrange(6)
        if action == 0:
            del parent[key]
        elif action == 1:
            other, source = random.choice(places)
            parent[key] = copy.deepcopy(other[source])
        elif action == 2 and isinstance(parent[key], int):
            parent[key] += random.choice((-64, -1, 1, 2, 64))
        elif action == 3 and isinstance(parent, list):
            parent.insert(random.randint(0, len(parent)), copy.deepcopy(parent[key]))
        elif action == 4 and isinstance(parent, dict):
            parent[random.choice((f"x-{key}", f"{key} ", "more", ""))] = parent.pop(key)
        else:
            parent[key] = copy.deepcopy(random.choice(HOSTILE_VALUES))
    return value


def _places(value: Any) -> Any:
    """Yield every list or object with a key or index into it."""
    if isinstance(value, dict | list):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _places(value[key])


def spelled(value: Any, random: Random) -> bytes:
    """Return JSON in another spelling than the canonical one, or with a part of it twice."""
    text = json.dumps(value, indent=random.choice((None, 1)), ensure_ascii=random.random() < 0.5)
    data = text.encode("utf-8", "surrogatepass")
    action = random.randrange(4)
    if action == 0:
        return data.replace(b",", b", ", 1)
    if action == 1:
        return b"[" * 5000 + data + b"]" * 5000
    return changed_bytes(data, random) if action == 2 else data


def changed_bytes(data: bytes, random: Random) -> bytes:
    """Return data with bits flipped, runs copied, removed or put in, or an integer that is too large."""
    changed = bytearray(data)
    for _ in range(random.randint(1, 3)):
        place = random.randint(0, len(changed))
        count = random.choice((1, 2, 8, 64))
        action = random.randrange(6)
        if action == 0 and changed:
            changed[place - 1] ^= 1 << random.randrange(8)
        elif action == 1:
            del changed[place : place + count]
        elif action == 2:
            changed[place:place] = random.randbytes(count)
        elif action == 3:
            changed[place : place + 8] = random.choice(HOSTILE_COUNTS).to_bytes(8, "little")
        elif action == 4:
            source = random.randint(0, len(changed))
            changed[place : place + count] = changed[source : source + count]
        else:
            changed[place : place + 4] = random.choice(HOSTILE_COUNTS).to_bytes(8, "little")[:4]
    return bytes(changed)


def changed_text(data: bytes, random: Random) -> bytes:
    """Return data with a number of its text replaced, a word put in, or bytes changed."""
    numbers = list(_NUMBER.finditer(data))
    action = random.randrange(3)
    if action == 0 and numbers:
        match = random.choice(numbers)
        digits = str(random.choice(HOSTILE_COUNTS)).encode()
        # Often as long as before, so that what follows stays where it was.
        digits = digits[: len(match[0])].rjust(len(match[0]), b" ") if random.random() < 0.7 else digits
        return data[: match.start()] + digits + data[match.end() :]
    if action == 1:
        place, word = random.randint(0, len(data)), random.choice(_TEXTS).encode()
        return data[:place] + word + data[place + len(word) * (random.random() < 0.7) :]
    return changed_bytes(data, random)
