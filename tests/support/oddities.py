"""What another system might send some day: odd values, and a good document with something odd in it."""

import copy
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

ODD_TEXTS = (
    "",
    " ",
    "0",
    "-1",
    "x",
    "\ud800",
    "\x00",
    "é",
    "\u200b",
    "NaN",
    "null",
    "../..",
    "a\nb",
    "$",
    "${",
    "$A" * 500,
    "x" * 5000,
    "9" * 400,
    "file",
    "running",
    "canceled",
    "2026-02-30",
    "Sun, 99 Mar 2026 10:00:00 GMT",
)
ODD_NUMBERS = (0, -1, 1, 2**31, 2**63 - 1, 2**63, 10**30, 1.5, -0.0, 1e308)
ODD_VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    *ODD_NUMBERS,
    *ODD_TEXTS,
    [],
    [[]],
    {},
    {"a": 1},
    [None],
    [1, "a"],
    [{}] * 300,
)
ODD_STATUSES = (
    *(200, 201, 202, 204, 206, 301, 302, 307, 308, 400, 401, 403, 404, 405, 408, 409, 410, 412, 413, 416),
    *(418, 422, 425, 429, 451, 500, 502, 503, 504, 512, 599),
)
ODD_HEADERS: Mapping[str, Sequence[str]] = {
    "Range": ("0-0", "0-5", "-", "0-99999999999999999999", "bytes 0-5", "0--5", "٣"),
    "Job-Status": ("running", "canceling", "canceled", "failed", "success", "", "odd"),
    "Retry-After": ("0", "nan", "inf", "-1", "1e300", "soon", "Sun, 01 Mar 2026 10:00:00 GMT", "1" * 400),
    "RateLimit-ResetTime": ("", "never", "Sun, 01 Mar 9999 10:00:00 GMT"),
    "X-GitLab-Trace-Update-Interval": ("3", "1e9", "inf", "nan", "-3", "x"),
    "X-GitLab-Last-Update": ("abc", "x" * 5000, ""),
    "Content-Encoding": ("gzip", "br", "gzip, gzip", "identity"),
    "Content-Type": ("application/json", "text/html; charset=utf-99", "text/event-stream"),
    "Date": ("yesterday", "Sun, 01 Mar 2026 10:00:00 GMT", "0"),
    "Location": ("/elsewhere", "http://other.test/x", "https://[", "javascript:1", "//", "http://a:99999/"),
    "X-Next-Page": ("2", "0", "-1", "x"),
    "X-Request-Id": ("id", "x" * 3000),
}
ODD_BODIES = (
    b"",
    b"null",
    b"{}",
    b"[]",
    b"[{}]",
    b'"x"',
    b"0",
    b"NaN",
    b"<html>",
    b"\xff\xfe",
    b"\xef\xbb\xbf{}",
    b"[" * 50_000,
    b'{"a":' * 5000,
    b"[" + b"0," * 50_000 + b"0]",
    b"9" * 5000,
    b"\x1f\x8b\x08\x00",
)


def changed(document: Any, rng: random.Random) -> Any:
    """A copy with one to four of its places replaced by something odd, removed or doubled."""
    found = copy.deepcopy(document)
    for _ in range(rng.randint(1, 4)):
        places = list(_places(found))
        if places:
            container, key = rng.choice(places)
            rng.choice((_replaced, _replaced, _removed, _doubled))(container, key, rng)
    return found


def damaged(body: bytes, rng: random.Random) -> bytes:
    """A copy with bytes cut off, flipped, inserted or repeated."""
    found = bytearray(body)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(found) + 1)
        match rng.randrange(4):
            case 0:
                del found[at:]
            case 1:
                found[at : at + 1] = bytes([rng.randrange(256)])
            case 2:
                found[at:at] = rng.choice(ODD_BODIES)[:100]
            case _:
                found[at:at] = found[at : at + rng.randrange(200)]
    return bytes(found)


def odd_body(documents: Sequence[Any], rng: random.Random) -> bytes:
    """A body made of one of these documents, or of none."""
    whole = json.dumps(changed(rng.choice(documents), rng)).encode()
    return rng.choice((whole, whole, damaged(whole, rng), rng.choice(ODD_BODIES)))


def odd_headers(rng: random.Random) -> dict[str, str]:
    names = rng.sample(sorted(ODD_HEADERS), rng.randrange(5))
    return {name: rng.choice(ODD_HEADERS[name]) for name in names}


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict | list):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _places(value[key])


def _replaced(container: Any, key: Any, rng: random.Random) -> None:
    container[key] = copy.deepcopy(rng.choice(ODD_VALUES))


def _removed(container: Any, key: Any, _rng: random.Random) -> None:
    del container[key]


def _doubled(container: Any, key: Any, _rng: random.Random) -> None:
    if isinstance(container, list):
        container.insert(key, copy.deepcopy(container[key]))
    else:
        container[f"{key} "] = copy.deepcopy(container[key])
