"""What a remote may answer: read as the protocol says, or refused in words, whatever it is."""

import contextlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from executors.push.protocol import ProtocolError, advertisement, command, report

ADVERTISEMENT = "application/x-git-receive-pack-advertisement"
RESULT = "application/x-git-receive-pack-result"
BANDS = frozenset({"report-status", "side-band-64k"})
PLAIN = frozenset({"report-status"})
OURS, ANOTHER = "a" * 40, "b" * 40


def packet(line):
    line = line.encode() if isinstance(line, str) else line
    return b"%04x%s" % (len(line) + 4, line)


def listed(*lines):
    first = packet("# service=git-receive-pack\n") + b"0000"
    return first + b"".join(map(packet, lines)) + b"0000"


def reported(*lines):
    return b"".join(map(packet, lines)) + b"0000"


def test_an_empty_repository_has_no_branch():
    read = advertisement(ADVERTISEMENT, listed(f"{'0' * 40} capabilities^{{}}\0report-status ofs-delta\n"))
    assert (read.master, read.capabilities) == (None, frozenset({"report-status", "ofs-delta"}))


@pytest.mark.parametrize(
    "lines",
    [
        (f"{ANOTHER} refs/heads/main\0report-status", f"{OURS} refs/heads/master\n"),
        ("version 1", f"{OURS} refs/heads/master\0report-status object-format=sha1"),
        (f"{OURS} refs/heads/master\0report-status", f"{ANOTHER} .have", f"shallow {ANOTHER}"),
    ],
)
def test_the_branch_is_found_among_what_else_is_told(lines):
    assert advertisement(ADVERTISEMENT + "; charset=x", listed(*lines)).master == OURS


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (listed(f"{OURS} refs/heads/master\0report-status object-format=sha256"), "another object format"),
        (listed(f"{OURS} refs/heads/master\0ofs-delta"), "no report-status"),
        (listed(f"{OURS} refs/heads/master"), "no report-status"),
        (listed("oops refs/heads/master\0report-status"), "names no commit"),
        (listed(f"{'0' * 40} refs/heads/master\0report-status"), "names no commit"),
        (
            listed("ERR access denied\x1b[31m or the like"),
            r"the remote says: access denied \[31m or the like",
        ),
        (listed()[:-4], "ends too early"),
        (packet("# service=git-upload-pack\n") + b"0000", "does not begin"),
        (b"0003", "no sequence of packets"),
        (b"ffff", "no sequence of packets"),
    ],
)
def test_what_cannot_be_pushed_to_is_told_in_words(body, words):
    with pytest.raises(ProtocolError, match=words):
        advertisement(ADVERTISEMENT, body)


@pytest.mark.parametrize("content_type", ["", "text/html", "text/plain; charset=utf-8", RESULT])
def test_a_server_of_files_is_no_remote(content_type):
    with pytest.raises(ProtocolError, match="no git remote that takes a push by HTTP is there"):
        advertisement(content_type, listed(f"{OURS} refs/heads/master\0report-status"))


def test_only_what_the_remote_offers_is_asked_of_it():
    offered = frozenset({"report-status", "atomic", "push-options", "agent=git/2.39", "ofs-delta"})
    said = command(OURS, offered, agent="us/1")
    line = f"{'0' * 40} {OURS} refs/heads/master\0 report-status agent=us/1".encode()
    assert said == packet(line) + b"0000"


def test_a_report_is_read_with_and_without_bands():
    lines = reported("unpack ok\n", "ok refs/heads/master\n")
    assert report(RESULT, lines, PLAIN).refused is None
    split = (
        packet(b"\2one\ntw")
        + packet(b"\1" + lines[:9])
        + packet(b"\2o\n")
        + packet(b"\1" + lines[9:])
        + b"0000"
    )
    read = report(RESULT, split, BANDS)
    assert (read.unpacked, read.refused, list(read.said)) == ("ok", None, ["one", "two"])


@pytest.mark.parametrize(
    ("lines", "unpacked", "refused"),
    [
        (("unpack ok", "ng refs/heads/master hook declined\n"), "ok", "hook declined"),
        (("unpack ok", "ng refs/heads/master"), "ok", "no reason given"),
        (
            ("unpack index-pack abnormal exit", "ng refs/heads/master unpacker error"),
            "index-pack abnormal exit",
            "unpacker error",
        ),
        (("unpack disk full",), "disk full", None),
    ],
)
def test_a_refusal_has_its_reason(lines, unpacked, refused):
    read = report(RESULT, reported(*lines), PLAIN)
    assert (read.unpacked, read.refused) == (unpacked, refused)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "ends too early"),
        (reported("unpack ok"), "ends too early"),
        (reported("ok refs/heads/master"), "ends too early"),
        (reported("unpack ok", "ok refs/heads/other"), "ends too early"),
        (reported("unpack ok", "ok refs/heads/master")[:20], "no sequence of packets"),
    ],
)
def test_half_a_report_is_none(body, words):
    with pytest.raises(ProtocolError, match=words):
        report(RESULT, body, PLAIN)


@pytest.mark.parametrize(
    ("body", "words"),
    [(packet(b"\3out of\nmemory"), "the remote says: out of memory"), (packet(b"\7x"), "band 7")],
)
def test_a_remote_that_gives_up_is_heard(body, words):
    with pytest.raises(ProtocolError, match=words):
        report(RESULT, body, BANDS)


@given(body=st.binary(max_size=200), bands=st.booleans())
@example(body=b"0000", bands=True)
@example(body=b"0004", bands=True)
@example(body=packet("# service=git-receive-pack") + b"00000004", bands=False)
def test_no_answer_ends_otherwise_than_in_words(body, bands):
    begun = packet("# service=git-receive-pack\n") + b"0000"
    for read in (
        lambda: advertisement(ADVERTISEMENT, body),
        lambda: advertisement(ADVERTISEMENT, begun + body),
        lambda: report(RESULT, body, BANDS if bands else PLAIN),
        lambda: report(RESULT, packet(b"\1" + body[:100]) + b"0000", BANDS),
    ):
        with contextlib.suppress(ProtocolError):
            read()
