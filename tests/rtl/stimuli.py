"""Stimuli for the devices: enumerated corners first, then pseudo-random blocks, alike on every machine."""

from __future__ import annotations

import random
from collections.abc import Iterator

from tests.rtl.answers import Items
from tests.rtl.devices import Choice

SPECIALS = [
    *(0x00000000, 0x80000000, 0x00000001, 0x80000001, 0x00400000, 0x007FFFFF, 0x807FFFFF, 0x00800000, 0x00FFFFFF),
    *(0x3F800000, 0xBF800000, 0x3FFFFFFF, 0xBFFFFFFF, 0x7F7FFFFF, 0xFF7FFFFF, 0x7F000000, 0x7F800000, 0xFF800000),
    *(0x7FC00000, 0xFF800001, 0x7FFFFFFF, 0x3F000001, 0x34000000),
]
"""Patterns of float32: zeros, subnormals, ends of the range, infinities, NaN."""


def stimuli(unit: str, choice: Choice, random_count: int, seed: int = 1) -> list[Items]:
    """Return the stimuli of a unit."""
    if unit == "encode":
        return [[block] for block in _float_blocks(choice, random_count, random.Random(seed))]
    if unit == "decode":
        return list(_code_blocks(choice, random_count, random.Random(seed)))
    if unit == "requantize":
        return list(_code_rows(choice, random_count, random.Random(seed)))
    return list(_code_pairs(choice, random_count, random.Random(seed), is_dot=unit == "dot"))


def _float_blocks(choice: Choice, random_count: int, source: random.Random) -> Iterator[list[int]]:
    n, magnitude_bits = choice.elements, choice.format.magnitude_bits
    yield [0] * n
    yield [0x80000000] * n
    for number, special in enumerate(SPECIALS):
        yield [special if lane == number % n else 0 for lane in range(n)]
        yield [special if lane == number % n else 0x3F800000 + lane for lane in range(n)]
        yield [special] * n
    for lane in range(n):  # every bit alone, spread over the lanes
        for bit in range(lane, 32, n):
            yield [1 << bit if slot == lane else 0 for slot in range(n)]
    # Ties and their neighbours: the unit is 2**-(M-1) under a largest value just below 2.
    top = 0x3FFFFFFF - (1 << (24 - magnitude_bits)) + 1
    for number, kept in enumerate([0, 1, 2, 3, (1 << (magnitude_bits - 1)) - 1, 1 << (magnitude_bits - 1)]):
        for beside in (-1, 0, 1):
            for negative in (0, 1):
                block = [top] + [_near_tie(kept, beside, negative, magnitude_bits)] * (n - 1)
                yield block[-(number % n) :] + block[: -(number % n)]
    for distance in range(36):  # the only bit that is lost, ever farther away
        block = [0] * n
        block[distance % n] = top | (distance & 1) << 31
        block[(distance + 1) % n] = (127 - distance) << 23 | 1 << (distance % 23)
        yield block
    for carry in range(4):  # the largest magnitude rounds up, or just does not
        for negative in (0, 1):
            yield [negative << 31 | (0x3FFFFFFF - (1 << (24 - magnitude_bits)) + carry)] + [0x3F800000] * (n - 1)
    # Blocks at both ends of the exponent codes, where they are clamped or flushed.
    for end in (-choice.format.exponent_bias, choice.format.largest_exponent):
        for beside in range(-3, magnitude_bits + 4):
            field = 127 + end - beside
            for fraction in (0, 0x7FFFFF, 0x400000):
                if 0 <= field < 255:
                    yield [(lane % 2) << 31 | field << 23 | fraction >> (lane % 3) for lane in range(n)]
    for _ in range(random_count):
        base, spread = source.choice([(1, 6), (120, 12), (127, 3), (240, 20), (100, 60)])
        yield [_random_float(base, spread, source) for _ in range(n)]


def _near_tie(kept: int, beside: int, negative: int, magnitude_bits: int) -> int:
    """Return the float32 of ``kept + 1/2`` units of ``2 ** (1 - M)``, and its neighbours."""
    twice = 2 * kept + 1
    length = twice.bit_length()
    bits = (127 - magnitude_bits + length - 1) << 23 | (twice << (24 - length)) & 0x7FFFFF
    return negative << 31 | bits + beside


def _random_float(base: int, spread: int, source: random.Random) -> int:
    field = min(max(base + source.randint(-spread, spread), 0), 254)
    fraction = source.getrandbits(23) & source.choice([0x7FFFFF, 0x7FE000, 0x7C0000, 0x00FFFF, 0x400001])
    return source.getrandbits(1) << 31 | field << 23 | fraction


def _corner_codes(choice: Choice) -> list[int]:
    bits = choice.format.mantissa_bits
    half = 1 << (bits - 1)
    corners = [0, 1, 2 * half - 1, half - 1, half, half + 1, *(1 << bit for bit in range(bits))]
    return [*corners, *(2 * half - (1 << bit) for bit in range(bits))]


def _corner_exponents(choice: Choice) -> list[int]:
    spec = choice.format
    return sorted(
        {0, 1, 2, spec.exponent_bias & spec.all_ones_code, spec.all_ones_code - 2, spec.all_ones_code - 1}
        | {1 << bit for bit in range(spec.exponent_bits)}
    )


def _code_blocks(choice: Choice, random_count: int, source: random.Random) -> Iterator[Items]:
    spec, n = choice.format, choice.elements
    corners = _corner_codes(choice)
    for number, exponent in enumerate([*_corner_exponents(choice), spec.all_ones_code]):
        for start in range(0, len(corners), n):
            yield [[corners[(start + number + lane) % len(corners)] for lane in range(n)], [exponent]]
    yield [[0] * n, [spec.all_ones_code]]
    for _ in range(random_count):
        codes = [source.getrandbits(spec.mantissa_bits) for _ in range(n)]
        yield [codes, [source.randrange(spec.all_ones_code)]]


def _code_rows(choice: Choice, random_count: int, source: random.Random) -> Iterator[Items]:
    """Yield blocks of codes: all exponents, distances of exponents, ties beside a largest number, one lane alone."""
    spec, n, corners = choice.format, choice.elements, _corner_codes(choice)
    largest = spec.largest_exponent_code
    assert isinstance(spec.block_size, int)
    blocks, middle = n // spec.block_size, min(max(spec.exponent_bias, 0), largest)
    half = 1 << (spec.mantissa_bits - 1)
    for exponent in range(spec.all_ones_code + 1):
        for shift, other in ((0, exponent), (exponent, middle), (exponent // 2, largest)):
            codes = [corners[(lane + shift) % len(corners)] for lane in range(n)]
            yield [codes, [(exponent, other)[block % 2] for block in range(blocks)]]
            yield [[codes[0], *[0] * (n - 1)], [(exponent, other)[block % 2] for block in range(blocks)]]
    for distance in range(-spec.mantissa_bits - 6, spec.mantissa_bits + 7):
        for block in range(blocks):
            exponents = [min(max(middle + distance * (at == block), 0), largest) for at in range(blocks)]
            yield [[corners[(lane * 3 + distance) % len(corners)] for lane in range(n)], exponents]
            yield [[(1, half - 1)[lane // spec.block_size == block] for lane in range(n)], exponents]
    for start in range(2 * half if half <= 64 else 128):  # every code beside a largest number
        for holder in (half - 1, half, half >> 1, (half >> 1) + 1):
            row = [(start + lane * 5) % (2 * half) & (holder | half) for lane in range(n)]
            row[start % n] = holder
            yield [row, [middle] * blocks]
    for block in range(blocks):
        exponents = [spec.all_ones_code if at == block else middle for at in range(blocks)]
        yield [[corners[lane % len(corners)] for lane in range(n)], exponents]
        for width in range(1, spec.mantissa_bits - 1):  # leading ones and the last bit, below ones of a higher exponent
            number = half - (half >> width) | 1
            codes = [
                number if lane == spec.block_size * block else lane // spec.block_size != block for lane in range(n)
            ]
            for apart in range(1, spec.mantissa_bits):
                yield [
                    [*map(int, codes)],
                    [middle if at == block else min(middle + apart, largest) for at in range(blocks)],
                ]
    for lane in range(n):
        for code in (0, *corners):
            yield [[code if slot == lane else 0 for slot in range(n)], [middle - (slot % 2) for slot in range(blocks)]]
    for _ in range(random_count):
        spread = source.choice([0, 1, 4, spec.mantissa_bits])
        exponents = [min(max(middle + source.randint(-spread, spread), 0), largest) for _ in range(blocks)]
        yield [[source.getrandbits(spec.mantissa_bits) for _ in range(n)], exponents]


def _code_pairs(choice: Choice, random_count: int, source: random.Random, *, is_dot: bool) -> Iterator[Items]:
    spec, n = choice.format, choice.elements
    assert isinstance(spec.block_size, int)
    blocks = n // spec.block_size
    corners, nan = _corner_codes(choice), spec.all_ones_code
    middle = spec.exponent_bias if 0 < spec.exponent_bias < nan else nan // 2

    def row(elements: list[int], exponents: list[int]) -> Items:
        return [elements, [exponents[block % len(exponents)] for block in range(blocks)]]

    for x in (0, 1, (1 << (spec.mantissa_bits - 1)) - 1, 1 << (spec.mantissa_bits - 1), (1 << spec.mantissa_bits) - 1):
        for y in (1, (1 << (spec.mantissa_bits - 1)) - 1, 1 << (spec.mantissa_bits - 1), (1 << spec.mantissa_bits) - 1):
            yield [*row([x] * n, [middle]), *row([y] * n, [middle])]
    for number, code in enumerate(corners):  # one lane alone
        lane = number % n
        one = [code if slot == lane else 0 for slot in range(n)]
        yield [*row(one, [middle]), *row([1] * n, [middle])]
        yield [*row([1 if slot == lane else 0 for slot in range(n)], [middle]), *row(one, [middle])]
    for distance in range(-2 * spec.mantissa_bits - 6, 2 * spec.mantissa_bits + 7):
        exponent = min(max(middle + distance, 0), nan - 1)
        codes = [corners[(lane + distance) % len(corners)] for lane in range(n)]
        yield [*row(codes, [middle]), *row([*codes[1:], codes[0]], [exponent])]
        yield [*row(codes, [exponent, middle]), *row([*codes[1:], codes[0]], [middle, middle])]
    for exponent in _corner_exponents(choice):
        for other in (0, 1, middle, nan - 1):
            codes = [corners[(lane + exponent) % len(corners)] for lane in range(n)]
            yield [*row(codes, [exponent]), *row(codes[::-1], [other])]
            yield [*row(codes, [other, exponent]), *row([0] * n, [exponent])]
    ones, minus_ones = [1] * n, [(1 << spec.mantissa_bits) - 1] * n
    for exponent in range(4):  # small sums of small exponents, and large sums of large ones
        for code in corners:
            yield [*row([code if lane == exponent else 0 for lane in range(n)], [exponent]), *row([0] * n, [0])]
            yield [*row([code] * n, [nan - 1 - exponent]), *row(ones, [nan - 1, exponent])]
            yield [*row([code] * n, [exponent, nan - 1]), *row(minus_ones, [exponent, nan - 1])]
    for first in (corners, ones, minus_ones):  # the next block cancels, or a zero block has a far exponent
        for far in (middle, nan - 1, 0):
            codes = [first[lane % len(first)] for lane in range(n)]
            for second in ([0] * n, ones, minus_ones):
                signs = second[: spec.block_size] + minus_ones[spec.block_size :]
                yield [*row(codes, [middle]), *row(signs, [middle, far])]
                yield [*row(codes, [far, middle]), *row(signs, [middle])]
    size, zeros = spec.block_size, [0] * n
    for exponents in ([middle, middle], [middle, middle + 1], [middle, 0], [0, nan - 1], [nan - 1, nan - 2]):
        for first in (ones, minus_ones, corners * n):
            for second in (ones, minus_ones, zeros):
                signs = (first[:size] + second[:size] + zeros)[:n]
                yield [*row(signs, exponents), *row(ones, [middle])]
                yield [*row(signs, exponents), *row(ones, [nan - 1])]
    # Long runs of ones at every exponent: they round up out of the subnormal numbers. Then an infinity with them.
    high = min(10, spec.magnitude_bits - 1)
    x = ([(1 << spec.magnitude_bits) - 1, (1 << high) - 1] + [0] * n)[:n]
    y = ([1 << high, 1] + [0] * n)[:n]
    for exponent in range(0, nan if is_dot else 0, 1 if n <= 4 else 5):
        yield [*row(x, [middle]), *row(y, [exponent])]
        huge = [(1 << spec.magnitude_bits) - 1] * size + minus_ones[size:]
        yield [*row(huge, [nan - 1]), *row(ones, [nan - 1, exponent])]
    for position in range(blocks):
        exponents = [nan if block == position else middle for block in range(blocks)]
        yield [*row([0] * n, exponents), *row([1] * n, [middle])]
        yield [*row([1] * n, [middle]), *row([0] * n, exponents)]
        inexact = [0 if code == nan else (nan - 1) * (block % 2) for block, code in enumerate(exponents)]
        yield [*row([corners[lane % len(corners)] for lane in range(n)], inexact), *row([3] * n, exponents)]
    for _ in range(random_count):
        spread = source.choice([1, 4, 2 * spec.mantissa_bits, nan])
        rows = []
        for _ in "ab":
            codes = [source.choice([source.getrandbits(spec.mantissa_bits), *corners]) for _ in range(n)]
            exponents = [min(max(middle + source.randint(-spread, spread), 0), nan - 1) for _ in range(blocks)]
            rows += row(codes, exponents)
        if is_dot and source.random() < 0.3:  # the second half cancels the first
            half = n // 2
            rows[0][half:] = rows[0][: n - half]
            rows[2][half:] = [(-code) % (1 << spec.mantissa_bits) for code in rows[2][: n - half]]
        yield rows
