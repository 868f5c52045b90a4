"""The words that both ends of the helper service's wire share (rows H133 to H139)."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paas_runner.helper.protocol import GrpcMethod, JobKey, JobStatus, LaunchRequest, job_at

names = st.text(min_size=1, max_size=60).filter(str.isprintable)
ids = st.integers(1, 2**63 - 1)
keys = st.builds(JobKey, names, ids)


@given(keys)
def test_the_path_of_a_job_leads_to_it(job):
    assert job_at(job.path) == job


def test_a_slash_in_a_runners_name_is_written_as_it_is_by_111():
    assert JobKey("a/b c", 7).path == "/a/b%20c/7"
    assert job_at("/a%2Fb%20c/7") == JobKey("a/b c", 7)


@pytest.mark.parametrize(
    "path",
    ["", "/", "/can-take-job", "//7", "/r/0", "/r/07", "/r/-1", "/r/x", "/r/9223372036854775808", "/%ff/7"],
)
def test_other_paths_are_no_jobs(path):
    assert job_at(path) is None


@given(st.builds(LaunchRequest, job=keys, specification=st.text(), config=st.text()))
def test_a_launch_travels_as_json(request):
    body = json.dumps(request.as_json())
    assert set(json.loads(body)) == {"job_id", "runner_name", "specification", "config"}
    assert LaunchRequest.from_json(body.encode()) == request


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"job_id": "7"}, "`job_id` is no number"),
        ({"job_id": True}, "`job_id` is no number"),
        ({"job_id": 0}, "`job_id` is no positive number"),
        ({"job_id": 2**63}, "`job_id` is no positive number"),
        ({"runner_name": ""}, "`runner_name` is no name"),
        ({"runner_name": "a\nb"}, "`runner_name` is no name"),
        ({"runner_name": "a" * 256}, "`runner_name` is no name"),
        ({"specification": {}}, "have to be texts"),
        ({"config": None}, "have to be texts"),
    ],
)
def test_what_is_no_launch_is_told_in_words(change, complaint):
    body = {"job_id": 7, "runner_name": "r", "specification": "{}", "config": "", **change}
    with pytest.raises(ValueError, match=complaint):
        LaunchRequest.from_json(json.dumps(body).encode())


@pytest.mark.parametrize("body", [b"", b"[]", b"7", b"\xff", b"[" * 1000])
def test_what_is_no_object_is_no_launch(body):
    with pytest.raises(ValueError, match=r"."):
        LaunchRequest.from_json(body)


@pytest.mark.parametrize("status", [JobStatus(running=True), JobStatus(running=False, exit_code=3)])
def test_a_status_travels_as_json(status):
    assert JobStatus.from_json(json.dumps(status.as_json()).encode()) == status


@pytest.mark.parametrize("body", ['{"running": 1}', '{"running": false, "exit_code": "1"}', "{}", "null"])
def test_what_is_no_status_is_refused(body):
    with pytest.raises(ValueError, match=r"."):
        JobStatus.from_json(body.encode())


def test_the_methods_are_called_by_the_paths_of_111s_stub():
    assert [method.path for method in GrpcMethod] == [
        "/heptapod.runner.PAASResourceRunner/CanTakeJob",
        "/heptapod.runner.PAASResourceRunner/LaunchJob",
        "/heptapod.runner.PAASResourceRunner/JobStatus",
        "/heptapod.runner.PAASResourceRunner/ForgetJob",
    ]
