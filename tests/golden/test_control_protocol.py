"""What may be asked on the control socket, and the lines of each answer."""

from tests.golden.recording import held


def test_each_question_has_the_answer_that_it_had(recorded_store):
    held("control", [{"asked": question, "answered": lines} for question, lines in recorded_store["control"]])


def test_a_drain_tells_how_far_it_is_on_standard_error(one_job):
    assert one_job["drain progress"] == "1 jobs left: 1 running\n"
