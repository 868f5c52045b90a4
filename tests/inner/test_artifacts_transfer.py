"""Artifacts on the wire: what is asked, what an answer leads to, and what the author reads of it."""

from collections.abc import Callable
from email.message import Message
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import httpx
import pytest

from paas_runner.inner.artifacts import Artifacts, job_artifacts
from paas_runner.inner.ending import StageError, exited
from paas_runner.inner.entries import read_artifacts, read_dependencies
from paas_runner.inner.process import launched
from tests.support.hosts import URL
from tests.support.kept_files import Log, client, job_in, written

ENTRY = {"paths": ["out"], "when": "on_success", "artifact_type": "archive", "artifact_format": "zip"}
DEPENDENCY = {"id": 4, "name": "build", "token": "their-token", "artifacts_file": {"filename": "a.zip"}}
EMPTY_ZIP = b"PK\x05\x06" + bytes(18)

Answer = Callable[[httpx.Request], httpx.Response] | httpx.Response | Exception


class Wire(httpx.AsyncBaseTransport):
    """Gives these answers in turn, the last again and again; keeps what was asked."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx.Response) else answer(request)


class Case:
    """A job with one file `out`, and the log of what was done with it."""

    def __init__(self, folder: Path, *answers: Answer) -> None:
        self.wire = Wire(*answers)
        self.log = Log()
        self.folder = written(folder, {"out": "content"})

    def artifacts(self, http: httpx.AsyncClient, **payload: Any) -> Artifacts:
        job = job_in(self.folder, **payload)
        return job_artifacts(job, self.log.narrator, http, launched, pause=0.001)

    async def upload(self, *entries: dict[str, Any]) -> bool:
        async with client(self.wire) as http:
            artifacts = self.artifacts(http, artifacts=[ENTRY | entry for entry in entries or ({},)])
            try:
                await artifacts.upload(succeeded=True)
            except StageError as error:
                return error.ending != exited(1)
            return True

    async def download(self, *dependencies: dict[str, Any]) -> bool:
        async with client(self.wire) as http:
            artifacts = self.artifacts(http, dependencies=list(dependencies or (DEPENDENCY,)))
            try:
                await artifacts.download()
            except StageError as error:
                return error.ending != exited(1)
            return True


def status(code: int, message: str = "", **headers: str) -> httpx.Response:
    return httpx.Response(code, json={"message": message} if message else {}, headers=headers)


def form_of(request: httpx.Request) -> Message:
    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
    (part,) = BytesParser().parsebytes(head + request.content).get_payload()
    assert isinstance(part, Message)
    return part


async def test_an_upload_is_a_form_with_one_file_and_its_meaning_in_the_query(tmp_path: Path) -> None:
    case = Case(tmp_path / "p", status(201))
    assert await case.upload({"name": "$OS-build", "expire_in": "1 week"})
    (request,) = case.wire.requests
    assert request.method == "POST"
    assert request.url.path == "/api/v4/jobs/7/artifacts"
    assert dict(request.url.params) == {
        "artifact_format": "zip",
        "artifact_type": "archive",
        "expire_in": "1 week",
    }
    assert request.headers["job-token"] == "job-token"
    part = form_of(request)
    assert (part.get_param("name", header="content-disposition"), part.get_filename()) == (
        "file",
        "linux-build.zip",
    )
    assert part.get_content_type() == "application/octet-stream"
    assert case.log.lines == [
        "Uploading artifacts...",
        "out: found 1 matching artifact files and directories",
        'Uploading artifacts as "archive" to coordinator... 201 Created  id=7 responseStatus=201 Created',
    ]


@pytest.mark.parametrize(
    ("entry", "filename"),
    [
        ({}, "artifacts.zip"),
        ({"name": "a/b/"}, "b.zip"),
        ({"name": "/"}, "default.zip"),
        ({"name": "junit.xml", "artifact_format": "gzip"}, "junit.xml.gz"),
        ({"name": "gl-sast-report.json", "artifact_format": "raw"}, "gl-sast-report.json"),
        ({"artifact_format": None}, "artifacts.zip"),
    ],
)
def test_the_file_is_called_after_the_artifact_and_its_format(entry: dict[str, Any], filename: str) -> None:
    (found,) = read_artifacts([ENTRY | entry], str)
    assert found.filename == filename


async def test_each_report_is_an_upload_of_its_own_in_its_format(tmp_path: Path) -> None:
    case = Case(tmp_path / "p", status(201))
    reports = [
        {"artifact_type": "junit", "artifact_format": "gzip"},
        {"artifact_type": "sast", "artifact_format": "raw"},
    ]
    assert await case.upload({}, *reports)
    kinds = [(r.url.params["artifact_type"], r.url.params["artifact_format"]) for r in case.wire.requests]
    assert kinds == [("archive", "zip"), ("junit", "gzip"), ("sast", "raw")]
    bodies = [form_of(request).get_payload(decode=True) for request in case.wire.requests]
    assert [bytes(body)[:2] for body in bodies] == [b"PK", b"\x1f\x8b", b"co"]


async def test_a_format_from_the_future_fails_only_its_own_upload(tmp_path: Path) -> None:
    case = Case(tmp_path / "p", status(201))
    assert not await case.upload({"artifact_format": "tarzstd"}, {"artifact_type": "junit"})
    assert [request.url.params["artifact_type"] for request in case.wire.requests] == ["junit"]
    assert "ERROR: `artifact_format` tarzstd is not known to this runner" in case.log.lines


async def test_no_file_is_reported_and_fails_nothing(tmp_path: Path) -> None:
    case = Case(tmp_path / "p", status(500))
    assert await case.upload({"paths": ["nothing"]})
    assert case.wire.requests == []
    assert case.log.lines[1].startswith("WARNING: nothing: no matching files. Ensure that the artifact path")
    assert case.log.lines[-1] == "ERROR: No files to upload"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (status(413), "413 Request Entity Too Large  id=7: 1"),
        (status(413), "keep less (`artifacts:paths`, `artifacts:exclude`) or have its limit raised"),
        (status(403, "403 Forbidden - Job is over"), "(403 Forbidden - Job is over)"),
        (status(403), "takes no artifacts of this job any more"),
        (status(404), "does not know this job"),
        (status(400, "another was uploaded"), "400 Bad Request (another was uploaded)"),
    ],
)
async def test_a_refused_upload_fails_the_job_at_once_and_is_explained(
    tmp_path: Path, answer: httpx.Response, words: str
) -> None:
    case = Case(tmp_path / "p", answer)
    assert not await case.upload()
    assert len(case.wire.requests) == 1
    assert case.log.lines[-1].startswith("ERROR: ")
    assert words in case.log.lines[-1]


@pytest.mark.parametrize(
    ("answer", "tries"),
    [(status(500), 3), (status(429), 3), (httpx.ReadTimeout(""), 3), (status(503), 6)],
)
async def test_an_upload_is_tried_again_when_it_may_pass(tmp_path: Path, answer: Answer, tries: int) -> None:
    case = Case(tmp_path / "p", answer)
    assert not await case.upload()
    assert len(case.wire.requests) == tries
    assert case.log.lines.count("WARNING: Retrying...") == tries - 1


async def test_every_try_sends_the_whole_file(tmp_path: Path) -> None:
    case = Case(tmp_path / "p", status(500), status(201))
    assert await case.upload()
    first, second = (form_of(request).get_payload(decode=True) for request in case.wire.requests)
    assert first == second != b""


async def test_an_upload_goes_to_the_machine_that_a_307_names(tmp_path: Path) -> None:
    moved = status(307, location="https://other.test:8443/elsewhere")
    case = Case(tmp_path / "p", moved, status(201))
    assert await case.upload()
    assert str(case.wire.requests[1].url).startswith(
        "https://other.test:8443/api/v4/jobs/7/artifacts?artifact_format=zip"
    )


async def test_a_download_asks_for_the_direct_way_first_and_with_the_given_token(tmp_path: Path) -> None:
    case = Case(tmp_path / "p", httpx.Response(200, content=EMPTY_ZIP))
    assert await case.download()
    (request,) = case.wire.requests
    assert (request.method, str(request.url)) == (
        "GET",
        f"{URL}/api/v4/jobs/4/artifacts?direct_download=true",
    )
    assert request.headers["job-token"] == "their-token"
    assert case.log.lines == [
        "Downloading artifacts for build (4)...",
        "Downloading artifacts from coordinator... ok  host=gitlab.test id=4 responseStatus=200 OK",
    ]


async def test_another_host_does_not_get_the_token(tmp_path: Path) -> None:
    moved = status(302, location="https://storage.test/a.zip?X-Amz-Signature=secret")
    case = Case(tmp_path / "p", moved, httpx.Response(200, content=EMPTY_ZIP))
    assert await case.download()
    assert "job-token" not in case.wire.requests[1].headers
    assert "host=storage.test" in case.log.text
    assert "secret" not in case.log.text


async def test_a_redirect_to_the_same_host_keeps_the_token(tmp_path: Path) -> None:
    case = Case(tmp_path / "p", status(302, location="/other"), httpx.Response(200, content=EMPTY_ZIP))
    assert await case.download()
    assert case.wire.requests[1].headers["job-token"] == "their-token"


async def test_where_the_direct_way_fails_the_coordinator_is_asked_itself(tmp_path: Path) -> None:
    moved = status(302, location="https://storage.test/a.zip")
    case = Case(tmp_path / "p", moved, status(403), httpx.Response(200, content=EMPTY_ZIP))
    assert await case.download()
    assert str(case.wire.requests[-1].url) == f"{URL}/api/v4/jobs/4/artifacts"


async def test_redirects_without_an_end_are_ended(tmp_path: Path) -> None:
    case = Case(tmp_path / "p", status(302, location="/again"))
    assert not await case.download()
    assert "redirected 10 times" in case.log.text


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (401, "unauthorized"),
        (403, "forbidden"),
        (403, "this job may not read them"),
        (404, "not found"),
        (404, "they have expired (`artifacts:expire_in`) or were removed"),
    ],
)
async def test_a_refused_download_fails_the_job_at_once_and_is_explained(
    tmp_path: Path, code: int, words: str
) -> None:
    case = Case(tmp_path / "p", status(code))
    assert not await case.download()
    assert len(case.wire.requests) == 1
    assert words in case.log.lines[-1]


async def test_a_download_that_broke_off_begins_anew(tmp_path: Path) -> None:
    class Torn(httpx.AsyncByteStream):
        async def __aiter__(self) -> Any:
            yield b"PK and then"
            raise httpx.ReadError("connection reset")

    whole = httpx.Response(200, content=EMPTY_ZIP)
    case = Case(tmp_path / "p", httpx.Response(200, stream=Torn()), whole)
    assert await case.download()
    assert case.log.lines[1:3] == [
        "WARNING: Downloading artifacts from coordinator... error: ReadError connection reset",
        "WARNING: Retrying...",
    ]


async def test_what_is_no_archive_fails_the_job(tmp_path: Path) -> None:
    case = Case(tmp_path / "p", httpx.Response(200, content=b"<html>"))
    assert not await case.download()
    assert "ERROR: the archive cannot be unpacked" in case.log.text


def test_dependencies_without_artifacts_are_skipped() -> None:
    found = read_dependencies(
        [
            DEPENDENCY,
            {"id": 5, "name": "none", "token": "t"},
            {"id": 6, "name": "nothing", "token": "t", "artifacts_file": {"filename": ""}},
            {"id": "7", "artifacts_file": {"filename": "a"}},
        ]
    )
    assert [dependency.job_id for dependency in found] == [4]
    assert "their-token" not in repr(found)
