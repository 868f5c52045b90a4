import re
import sys
import zlib
from collections.abc import Callable
from itertools import pairwise
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paas_runner.inner.masking import Masker, Masks
from paas_runner.inner.trace import Trace

LETTERS = st.text("ab", min_size=1, max_size=4)


def masked(secrets: list[str], *pieces: bytes) -> bytes:
    masker = Masker(secrets)
    return b"".join(masker.feed(piece) for piece in pieces) + masker.flush()


def test_the_longest_secret_that_fits_is_masked() -> None:
    assert masked(["abc", "abcdef"], b"abcdef abcde") == b"[MASKED] [MASKED]de"


def test_what_cannot_become_a_secret_shows_at_once() -> None:
    masker = Masker(["secret"])
    assert masker.feed(b"plain se") == b"plain "
    assert masker.feed(b"t") == b"set"


def test_empty_secrets_mask_nothing() -> None:
    assert masked([""], b"abc") == b"abc"


@given(st.lists(LETTERS, max_size=3), st.text("abc", max_size=30), st.lists(st.integers(0, 30)))
def test_how_the_output_is_cut_makes_no_difference(secrets: list[str], text: str, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = [text[a:b].encode() for a, b in pairwise(edges)]
    assert masked(secrets, *pieces) == masked(secrets, text.encode())


@given(st.lists(LETTERS, min_size=1, max_size=3), st.text("abc", max_size=30))
def test_no_secret_remains(secrets: list[str], text: str) -> None:
    shown = masked(secrets, *(bytes([byte]) for byte in text.encode())).replace(b"[MASKED]", b"|")
    assert not any(secret.encode() in shown for secret in secrets)


WORDS = st.text("ab", min_size=1, max_size=9)


@given(st.lists(WORDS, min_size=1, max_size=5), st.text("abc", max_size=60), st.lists(st.integers(0, 60)))
def test_of_secrets_that_overlap_the_first_and_longest_is_masked(
    secrets: list[str], text: str, cuts: list[int]
) -> None:
    by_length = sorted(secrets, key=len, reverse=True)
    expected = re.sub("|".join(by_length), "[MASKED]", text).encode()
    assert masked(secrets, *cut(text.encode(), cuts)) == expected


def test_the_work_does_not_grow_with_the_length_of_a_secret_that_almost_fits() -> None:
    def work(length: int) -> int:
        masker = Masker(["a" * length + "b", "a" * length + "c"])
        return lines_run(lambda: [masker.feed(b"a" * 4096) for _ in range(3)])

    assert work(3000) < 1.5 * work(300)


def test_the_work_does_not_grow_with_what_is_held_back() -> None:
    """Each byte by itself, behind as many as a secret begins with."""

    def work(length: int) -> int:
        masker = Masker(["a" * 5000 + "b"])
        masker.feed(b"a" * length)
        return lines_run(lambda: [masker.feed(b"a") for _ in range(300)])

    assert work(4000) < 1.5 * work(400)


def test_the_work_grows_with_the_number_of_tokens_alone() -> None:
    def work(count: int) -> int:
        masks = Masks(["sesame"])
        return lines_run(lambda: masks.feed(b"?private_token=\nglpat- " * count))

    assert work(2000) < 13 * work(200)


def lines_run(call: Callable[[], object]) -> int:
    """How many lines of Python it takes: unlike time, the same on every machine."""
    count = 0

    def trace(_frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return count


TOKEN = "glpat-0123456789abcdefABCD"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"<{TOKEN}>", "<glpat-[MASKED]>"),
        ("glpat-", "glpat-"),
        ("glpat- x", "glpat- x"),
        ("glpat-a glpat-b", "glpat-[MASKED] glpat-[MASKED]"),
        ("glrt-t1_abc.def=", "glrt-[MASKED]"),
        ("glrtr-ABCDEFGHIJKLMNOP", "glrtr-[MASKED]"),
        ("glwt-abc", "glwt-[MASKED]"),
        ("acme-glrt-t1_abc.def acme-glpat-x", "acme-glrt-[MASKED] acme-glpat-[MASKED]"),
        ("GR1348941aBcDeF", "GR1348941[MASKED]"),
        ("own-abc", "own-[MASKED]"),
        ("https://h/x?private_token=abc&b=1", "https://h/x?private_token=[MASKED]&b=1"),
        ("https://h/x?a=1&X-Amz-Signature=0af9 end", "https://h/x?a=1&X-Amz-Signature=[MASKED] end"),
        ("private_token=abc", "private_token=abc"),
        ("the password is sesame", "the password is [MASKED]"),
    ],
)
def test_credentials_are_known_by_their_form(text: str, shown: str) -> None:
    for pieces in ([text.encode()], [bytes([byte]) for byte in text.encode()]):
        masks = Masks(["sesame"], ["own-"])
        assert b"".join(map(masks.feed, pieces)) + masks.flush() == shown.encode()


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(min(edge, len(data)) for edge in cuts), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


NOISE = st.text("ab-glp?&=\n\u00e4\u20ac", max_size=12)


@given(
    st.lists(st.text("ab\u00e4\u20ac\n $", min_size=1, max_size=5), min_size=1, max_size=3),
    st.lists(NOISE, min_size=2, max_size=6),
    st.lists(st.integers(0, 120)),
)
def test_a_masked_variable_never_shows_however_its_output_comes(
    secrets: list[str], noise: list[str], cuts: list[int]
) -> None:
    """Each secret between pieces of noise, in a stream that is cut anywhere, also inside of characters."""
    text = "".join(piece + secrets[number % len(secrets)] for number, piece in enumerate(noise))
    trace, whole = Trace(secrets, 10_000), Trace(secrets, 10_000)
    for piece in cut(text.encode(), cuts):
        trace.write(piece)
    whole.write(text.encode())
    trace.finish()
    whole.finish()
    shown = trace.piece(0).decode()
    assert shown == whole.piece(0).decode()
    assert not any(secret in shown.replace("[MASKED]", "|") for secret in secrets)


@given(st.text("glpat-b?&=private_token \n", max_size=60), st.lists(st.integers(0, 60)))
def test_how_credentials_are_cut_makes_no_difference(text: str, cuts: list[int]) -> None:
    def shown(pieces: list[bytes]) -> bytes:
        masks = Masks(["ab", "abba"], ["glp", "pat-gl"])
        return b"".join(map(masks.feed, pieces)) + masks.flush()

    assert shown(cut(text.encode(), cuts)) == shown([text.encode()])


@given(st.lists(st.binary(max_size=9), max_size=9))
def test_what_is_no_text_cannot_bring_a_secret_out(pieces: list[bytes]) -> None:
    """An invalid byte is shown as U+FFFD, and a secret may contain that."""
    trace = Trace(["\ufffd"], 10_000)
    for piece in pieces:
        trace.write(piece)
    trace.finish()
    assert "\ufffd" not in trace.piece(0).decode()


@given(st.lists(st.binary(max_size=9), max_size=9))
def test_a_trace_is_valid_text_and_its_checksum_covers_it(pieces: list[bytes]) -> None:
    trace = Trace((), 10_000)
    for piece in pieces:
        trace.write(piece)
    trace.finish()
    sent = trace.piece(0)
    assert sent.decode() == b"".join(pieces).decode(errors="replace")
    assert (trace.size, trace.checksum) == (len(sent), f"crc32:{zlib.crc32(sent):08x}")


def test_a_cut_never_splits_a_character() -> None:
    trace = Trace((), 5)
    trace.write("ääää".encode())
    trace.write(b"more")
    assert trace.piece(0).decode().startswith("ää\n\x1b[33;1mJob's log exceeded limit of 5 bytes.")


def test_what_is_over_the_limit_costs_nothing() -> None:
    trace = Trace(["sesame"], 5)
    trace.write(b"123456")
    size = trace.size
    assert lines_run(lambda: trace.write(b"\xff" + b"sesame glpat-" * 1000)) < 5
    trace.finish()
    assert trace.size == size


def test_a_piece_is_at_most_a_mebibyte() -> None:
    trace = Trace((), 3 * 1024 * 1024)
    trace.write(b"x" * 1_500_000)
    assert (len(trace.piece(0)), len(trace.piece(1_048_576)), trace.piece(1_500_000)) == (
        1_048_576,
        451_424,
        b"",
    )
    assert trace.piece(9_999_999) == b""
