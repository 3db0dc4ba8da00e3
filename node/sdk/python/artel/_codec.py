"""The canonical encoding of values (deterministic CBOR), as the node's HTTP API takes and gives it."""

from __future__ import annotations

import array
import math
import struct
import sys
from typing import Any

SAFE = 2**53 - 1
MAX_DEPTH = 256
# RFC 8746, little endian; byte strings are bytes
TAGS = {'b': 72, 'h': 77, 'i': 78, 'q': 79, 'H': 69, 'I': 70, 'Q': 71, 'f': 85, 'd': 86}
CODES = {tag: code for code, tag in TAGS.items()} | {68: 'B'}


def encode(value: Any) -> bytes:
    """Canonical bytes of None, bool, int, float, str, bytes, array.array, list, tuple and dict with str keys.

    A float without fraction is the number that it is: 2.0 is encoded as 2. TypeError says what has no encoding.

    >>> encode([1, 'a', 2.5]).hex()
    '83016161fb4004000000000000'
    """
    out = bytearray()
    _put(out, value, 0)
    return bytes(out)


def decode(data: bytes) -> Any:
    """The value of canonical bytes. ValueError where they end early or hold what is not ours.

    >>> decode(bytes.fromhex('83016161fb4004000000000000'))
    [1, 'a', 2.5]
    """
    value, end = _get(memoryview(data), 0, 0)
    if end != len(data):
        raise ValueError(f'{len(data) - end} bytes after the value')
    return value


def _head(out: bytearray, major: int, n: int) -> None:
    if n < 24:
        out.append(major << 5 | n)
    else:
        for info, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
            if n < 1 << 8 * size:
                out.append(major << 5 | info)
                out += n.to_bytes(size, 'big')
                return


def _int(out: bytearray, n: int) -> None:
    if -SAFE <= n <= SAFE:
        _head(out, *((0, n) if n >= 0 else (1, -1 - n)))
        return
    magnitude = n if n >= 0 else -1 - n
    data = magnitude.to_bytes((magnitude.bit_length() + 7) // 8, 'big')
    _head(out, 6, 2 if n >= 0 else 3)
    _head(out, 2, len(data))
    out += data


def _str(out: bytearray, text: str) -> None:
    try:
        data = text.encode()
        major = 3
    except UnicodeEncodeError:
        # halves of pairs: those that meet become one character, as in JavaScript
        text = text.encode('utf-16-le', 'surrogatepass').decode('utf-16-le', 'surrogatepass')
        data = text.encode('utf-8', 'surrogatepass')
        try:
            data.decode()
            major = 3
        except UnicodeDecodeError:
            _head(out, 6, 273)
            major = 2
    _head(out, major, len(data))
    out += data


def _index(key: str) -> int | None:
    """Keys that JavaScript puts before all others, in the order of their numbers."""
    if key.isascii() and key.isdigit() and (key == '0' or key[0] != '0') and int(key) < 2**32 - 1:
        return int(key)
    return None


def _put(out: bytearray, value: Any, depth: int) -> None:
    if value is None:
        out.append(0xF6)
    elif value is True or value is False:
        out.append(0xF5 if value else 0xF4)
    elif isinstance(value, int):
        _int(out, int(value))
    elif isinstance(value, float):
        # -0.0 is no whole number
        if value.is_integer() and abs(value) <= SAFE and (value != 0 or math.copysign(1, value) > 0):
            _int(out, int(value))
        else:
            out += b'\xfb' + (b'\x7f\xf8' + bytes(6) if math.isnan(value) else struct.pack('>d', value))
    elif isinstance(value, str):
        _str(out, value)
    elif isinstance(value, (bytes, bytearray, memoryview)):
        data = bytes(value)
        _head(out, 2, len(data))
        out += data
    elif isinstance(value, array.array) and value.typecode in TAGS:
        data = value
        if value.typecode in 'fd' and any(math.isnan(x) for x in value):
            data = array.array(value.typecode, (math.nan if math.isnan(x) else x for x in value))
        if sys.byteorder == 'big':
            data = array.array(data.typecode, data)
            data.byteswap()
        _head(out, 6, TAGS[value.typecode])
        raw = data.tobytes()
        _head(out, 2, len(raw))
        out += raw
    elif depth == MAX_DEPTH:
        raise TypeError(f'the value is cyclic or deeper than {MAX_DEPTH} levels')
    elif isinstance(value, (list, tuple)):
        _head(out, 4, len(value))
        for item in value:
            _put(out, item, depth + 1)
    elif isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f'a key of type {type(key).__name__} cannot travel; keys are strings')
        numbered = sorted((key for key in value if _index(key) is not None), key=int)
        _head(out, 5, len(value))
        for key in numbered + [key for key in value if _index(key) is None]:
            _str(out, key)
            _put(out, value[key], depth + 1)
    else:
        raise TypeError(f'a value of type {type(value).__name__} cannot travel; give plain data')


def _argument(data: memoryview, at: int) -> tuple[int, int, int]:
    if at >= len(data):
        raise ValueError('the encoding ends in the middle of a value')
    major, info = data[at] >> 5, data[at] & 31
    at += 1
    if info < 24:
        return major, info, at
    if info > 27:
        raise ValueError(f'a head of unknown or indefinite length at byte {at - 1}')
    size = 1 << (info - 24)
    return major, int.from_bytes(_take(data, at, size), 'big'), at + size


def _take(data: memoryview, at: int, size: int) -> memoryview:
    if at + size > len(data):
        raise ValueError('the encoding ends in the middle of a value')
    return data[at : at + size]


def _get(data: memoryview, at: int, depth: int) -> tuple[Any, int]:
    if depth > MAX_DEPTH:
        raise ValueError(f'deeper than {MAX_DEPTH} levels')
    if at < len(data) and data[at] >> 5 == 7:
        simple = {0xF4: False, 0xF5: True, 0xF6: None, 0xF7: None}
        if data[at] == 0xFB:
            return struct.unpack('>d', _take(data, at + 1, 8))[0], at + 9
        if data[at] in simple:
            return simple[data[at]], at + 1
        raise ValueError(f'an unknown simple value {data[at]}')
    major, n, at = _argument(data, at)
    if major == 0:
        return n, at
    if major == 1:
        return -1 - n, at
    if major == 2:
        return bytes(_take(data, at, n)), at + n
    if major == 3:
        return str(_take(data, at, n), 'utf-8'), at + n
    if major == 4:
        items = []
        for _ in range(n):
            item, at = _get(data, at, depth + 1)
            items.append(item)
        return items, at
    if major == 5:
        entries = {}
        for _ in range(n):
            key, at = _get(data, at, depth + 1)
            entries[key], at = _get(data, at, depth + 1)
        return entries, at
    inner, size, at = _argument(data, at)
    if inner != 2:
        raise ValueError(f'tag {n} on something else than a byte string')
    raw = bytes(_take(data, at, size))
    at += size
    if n in (2, 3):
        magnitude = int.from_bytes(raw, 'big')
        return (magnitude if n == 2 else -1 - magnitude), at
    if n == 273:
        return raw.decode('utf-8', 'surrogatepass'), at
    if n not in CODES:
        raise ValueError(f'tag {n} is not one of ours')
    numbers = array.array(CODES[n])
    numbers.frombytes(raw)
    if sys.byteorder == 'big':
        numbers.byteswap()
    return numbers, at
