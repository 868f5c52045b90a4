import zlib
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from paas_runner.sandbox.inner.masking import Masker
from paas_runner.sandbox.inner.trace import Trace

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


def test_a_piece_is_at_most_a_mebibyte() -> None:
    trace = Trace((), 3 * 1024 * 1024)
    trace.write(b"x" * 1_500_000)
    assert (len(trace.piece(0)), len(trace.piece(1_048_576)), trace.piece(1_500_000)) == (
        1_048_576,
        451_424,
        b"",
    )
    assert trace.piece(9_999_999) == b""
