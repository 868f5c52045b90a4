"""A configuration is written otherwise where it must be, and stays as it is everywhere else."""

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paas_runner.migration.rewriting import with_our_names, without

OLD = """\
# of somebody who knows why
job_progress_interval = 20  # seconds
pass_decommision_launched_failures = false

[[runners]]
  name = "job_progress_interval"
  [runners.job_trace_watch]  # slow hosts
    timout_seconds = 400
    poll_step = 5
[[runners]]
  [runners.paas_job_trace_watch]
  timout_seconds = 500
"""


def test_old_names_become_ours_and_nothing_else_changes():
    found = with_our_names(OLD)
    assert found.text == (
        OLD.replace("job_progress_interval = 20", "job_progress_poll_interval = 20")
        .replace("pass_decommision_launched_failures", "paas_decommission_launch_failures")
        .replace("runners.job_trace_watch", "runners.paas_job_trace_watch")
        .replace("timout_seconds", "timeout_seconds")
    )
    assert sorted((change.line, change.key) for change in found.changes) == [
        (2, "job_progress_interval"),
        (3, "pass_decommision_launched_failures"),
        (7, "runners[0].job_trace_watch"),
        (8, "runners[0].job_trace_watch.timout_seconds"),
        (12, "runners[1].paas_job_trace_watch.timout_seconds"),
    ]


def test_a_second_time_changes_nothing():
    once = with_our_names(OLD).text
    assert with_our_names(once).changes == ()


def test_a_key_that_has_both_names_is_left_to_be_refused():
    text = "job_progress_interval = 1\njob_progress_poll_interval = 2\n"
    assert with_our_names(text).text == text


VALUES = [
    "1",
    '"a # b"',
    '"""\nmany\n\nlines"""',
    "[\n  1, # one\n  2,\n]",
    "{ a = 1, b = { c = 2 } }",
    "1979-05-27T07:32:00Z",
]


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_key_becomes_a_comment_with_all_of_its_value(value, newline):
    text = f"a = 1\nodd = {value}\nz = 2\n[t]\nb = 3\n".replace("\n", newline)
    found = without(text, ("odd",))
    assert tomllib.loads(found.text) == {"a": 1, "z": 2, "t": {"b": 3}}
    assert found.text.count("\n") == text.count("\n")
    assert [change.line for change in found.changes] == [2]


def test_a_table_becomes_a_comment_with_the_tables_in_it():
    text = "[[runners]]\na = 1\n[runners.odd]\nb = 2\n[runners.odd.in]\nc = 3\n[runners.good]\nd = 4\n"
    found = without(text, ("runners", 0, "odd"))
    assert tomllib.loads(found.text) == {"runners": [{"a": 1, "good": {"d": 4}}]}


def test_what_stands_in_several_places_is_left_to_be_refused():
    text = "[odd.a]\nb = 1\n[good]\nc = 2\n[odd.d]\ne = 3\n"
    assert without(text, ("odd",)) is None


keys = st.text("abcdefgh_-", min_size=1, max_size=6)
scalars = st.one_of(st.integers(-9, 9), st.booleans(), st.text("ab#'\n \"", max_size=6))


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(keys, scalars, min_size=1, max_size=6), st.data())
def test_any_key_of_any_file_goes_and_all_others_stay(document, data):
    text = "".join(f"{key} = {_written(value)}\n" for key, value in document.items())
    chosen = data.draw(st.sampled_from(sorted(document)))
    found = without(text, (chosen,))
    assert tomllib.loads(found.text) == {key: value for key, value in document.items() if key != chosen}


def _written(value):
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"""{escaped}"""' if "\n" in value and not value.startswith("\n") else _basic(escaped)
    return str(value).lower()


def _basic(text):
    return '"' + text.replace("\n", "\\n") + '"'
