"""What is on the disk between two starts: the state file, byte for byte, and the store."""

import json
import re

from tests.golden.recording import held, held_text

ADDED = re.compile(r'("at": ?"NOW", ?"phase": ?"\w+", ?"what": ?)"[^"]*"(, ?"why": ?)"[^"]*"')
"""What the start of the service adds to a history: two sentences for people, which `status-up` holds."""


def with_recorded_sentences_alone(text):
    return ADDED.sub(r'\1"SENTENCE"\2"SENTENCE"', text)


def test_the_state_file_of_a_sigterm_is_byte_for_byte_what_it_was(recorded_store):
    text, count = re.subn(r'("format": 1, "id": )"[0-9a-f]{16}"', r'\1"RANDOM"', recorded_store["state file"])
    assert count == 1
    held_text("state-file.json.txt", with_recorded_sentences_alone(text))


def test_the_state_file_is_private_and_the_stop_a_success(recorded_store):
    assert (recorded_store["mode"], recorded_store["exit code"]) == ("100600", 0)


def test_a_recorded_store_is_understood_and_its_records_are_written_as_they_were(recorded_store):
    found = recorded_store["store"]
    records = "".join(f"{record}\n" for *_, record in found["job"])
    held_text("records.txt", with_recorded_sentences_alone(records))
    held("store", {"jobs": [row[:-1] for row in found["job"]], "facts": found["fact"]})


def test_the_state_file_of_1_1_1_is_loaded_removed_and_left_again_as_1_1_1_reads_it(left_by_1_1_1):
    held("state-1.1.1-again", left_by_1_1_1)
    assert left_by_1_1_1["loaded"] is True


def test_a_new_store_has_these_tables_columns_and_indexes_and_this_version(one_job):
    names = ("schema", "columns", "pragma", "facts")
    held("schema", {name: one_job[name] for name in names})


def test_a_job_that_is_over_leaves_these_rows_and_files(one_job):
    [charge] = one_job["charge"]
    assert json.dumps(charge) == (
        '["goldenrun", 4711, "app_ID", "", "S", "NOW", "NOW", 0.6873, '
        r'"7", "compile \u00ab \u00e9t\u00e9 \u00bb", 4294967296, 2.0, null, null, null]'
    )
    assert one_job["ended"] == [[1, "goldenrun", 4711]]
    assert one_job["files"] == [
        ".runner_system_id",
        "paas-runner-state.db",
        "paas-runner-state.db.lock",
        "paas-runner-state.installation",
        "paas-runner-state.json",
    ]
