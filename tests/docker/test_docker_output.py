"""Logs that are read in pieces: each entry once, and lines as they were written."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paas_runner.container import Ended
from paas_runner.docker.output import MOST_LINE_BYTES, Entry, Lines, Position
from paas_runner.docker.states import ended
from paas_runner.docker.volumes import Volumes, parsed_volumes
from tests.docker.conftest import ERR, line
from tests.support.often import often


def sent(log, since):
    """What an engine sends, as moby does since v20.10: all from the first that is not older."""
    first = next((at for at, entry in enumerate(log) if entry.second >= since), len(log))
    return log[first:]


def sent_by_old(log, since):
    return [entry for entry in log if entry.second >= since]


def read(log, cuts, send):
    position, found = Position(), []
    for cut in (*cuts, None):
        position.rewind()
        found += [entry for entry in send(log[:cut], position.since) if position.is_new(entry)]
    return found


@st.composite
def logs(draw, back=0):
    """Seconds grow; a piece of a line has the second of its first one."""
    now, began, log = 1000, {}, []
    for _ in range(draw(st.integers(0, 60))):
        now += draw(st.integers(-back, 40))
        stream, ends = draw(st.sampled_from([1, 2])), draw(st.booleans())
        second = began.pop(stream, now)
        if not ends:
            began[stream] = second
        log.append(Entry(stream, second, b"%d" % len(log) + b"\n" * ends))
    return log


CUTS = st.lists(st.integers(0, 60), max_size=8).map(sorted)


@given(log=logs(), cuts=CUTS, send=st.sampled_from([sent, sent_by_old]))
@settings(max_examples=often(200))
def test_each_entry_is_read_once_wherever_the_stream_breaks(log, cuts, send):
    assert read(log, cuts, send) == log


@given(log=logs(back=200), cuts=CUTS)
@settings(max_examples=often(200))
def test_a_clock_that_is_set_back_while_it_is_read_loses_nothing(log, cuts):
    position, found = Position(), []
    for cut in (*cuts, None):
        if any(entry.second < position.since for entry in log[:cut][len(found) :]):
            return  # it was set back between two streams: engines do not tell that
        position.rewind()
        found += [entry for entry in sent(log[:cut], position.since) if position.is_new(entry)]
    assert found == log


def test_reading_goes_on_near_where_it_was():
    position = Position()
    for second in range(1000):
        assert position.is_new(Entry(1, second, b"x\n"))
    assert position.since > 900


def test_lines_are_put_together_for_each_stream():
    lines = Lines()
    entries = [
        Entry(1, 0, b"a"),
        Entry(2, 0, b"b\n"),
        Entry(1, 0, b"c\n"),
        Entry(1, 0, b"\n"),
        Entry(2, 0, b"d"),
    ]
    found = [each for entry in entries for each in lines.with_entry(entry)]
    assert [*found, *lines.rest()] == [line("b", ERR), line("ac"), line(""), line("d", ERR)]


@pytest.mark.parametrize("more", [0, 1, 2, 3_000_000])
def test_a_line_is_cut_and_the_next_one_is_whole(more):
    lines = Lines()
    text = b"x" * (MOST_LINE_BYTES + more) + b"\n"
    entries = [Entry(1, 0, text[at : at + 16384]) for at in range(0, len(text), 16384)]
    found = [each for entry in (*entries, Entry(1, 0, b"next\n")) for each in lines.with_entry(entry)]
    assert found == [line("x" * MOST_LINE_BYTES), line("next")]


@pytest.mark.parametrize(
    ("state", "end"),
    [
        ({"ExitCode": 0}, Ended(code=0)),
        ({"ExitCode": 3}, Ended(code=3)),
        (
            {"ExitCode": 137, "OOMKilled": True},
            Ended(code=137, cause="it was killed, since it used more memory than there is for it"),
        ),
        ({"ExitCode": 143}, Ended(code=143, cause="it was ended by SIGTERM")),
        ({"ExitCode": 200}, Ended(code=200)),
        (
            {"ExitCode": 127, "Error": "no such file"},
            Ended(code=127, cause="it could not be started: no such file"),
        ),
    ],
)
def test_ends_are_told_in_words(state, end):
    assert ended(state) == end


def test_volumes_are_binds_or_folders():
    texts = ["/a:/b", "name:/c:ro,z", "/d"]
    assert parsed_volumes(texts) == Volumes(binds=("/a:/b", "name:/c:ro,z"), folders=("/d",))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("./a:/b", "'./a' is neither an absolute path nor the name of a volume"),
        ("~/a:/b", "neither an absolute path"),
        ("a/b:/b", "neither an absolute path"),
        ("/a:b", "'b' is no absolute path below `/`"),
        ("/a:/", "no absolute path below"),
        ("", "no absolute path"),
        (":/b", "`source:target`"),
        ("/a:/b:ro:z", "`source:target`"),
        ("/a:/b:", "'' is no option"),
        ("/a:/b:readonly", "'readonly' is no option; known are Z, cached"),
        ("/a:/b:ro,rw", "only one of ro and rw"),
    ],
)
def test_odd_volumes_are_told_in_words(text, why):
    with pytest.raises(ValueError, match="the volume ") as caught:
        parsed_volumes(["/fine:/fine", text])
    assert why in str(caught.value)
