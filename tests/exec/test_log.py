"""A trace as it is shown."""

import pytest

from paas_runner.exec.log import Log

TRACE = (
    b"Running with it\n"
    b"section_start:1:prepare_executor\r\x1b[0K\x1b[0K\x1b[36;1mPreparing\x1b[0;m\n"
    b"Using Shell\nWARNING: something\nsection_end:1:prepare_executor\r\x1b[0K"
    b"section_start:2:step_script\r\x1b[0KExecuting\n"
    b"$ make\n\n10 %\r50 %\r100 %\r\nno newlinesection_end:3:step_script\r\x1b[0K"
    b"section_start:4:own[collapsed=true]\r\x1b[0KMine\n\xffinside\nsection_end:5:own\r\x1b[0K"
    b"Job succeeded\nrest"
)
SHOWN = [
    "Running with it",
    "== \x1b[36;1mPreparing\x1b[0;m",
    "WARNING: something",
    "== Executing",
    "$ make",
    "",
    "100 %",
    "no newline",
    "== Mine",
    "\ufffdinside",
    "Job succeeded",
    "rest",
]


@pytest.mark.parametrize("size", [1, 7, len(TRACE)])
def test_sections_are_headings_and_the_runners_own_are_folded_but_for_what_is_wrong(size):
    log = Log()
    found = [line for start in range(0, len(TRACE), size) for line in log.lines(TRACE[start : start + size])]
    assert [*found, *log.last()] == SHOWN
    assert log.last() == []
