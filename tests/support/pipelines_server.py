"""The pipelines server as a program of its own, in a folder, asked over HTTP."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import jwt
import yaml

PROGRAM = Path(sys.executable).with_name("paas-pipelines")
WITHIN_SECONDS = 60.0


def until(condition: Callable[[], Any], seconds: float = WITHIN_SECONDS) -> Any:
    """What the condition says as soon as that is true."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
    return found


@attrs.frozen
class Answer:
    status: int
    text: str
    headers: Mapping[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@attrs.frozen(eq=False)
class PipelinesServer:
    """One that answers, in its folder with `pipelines.yml`, `.prunner` and `.prunner.yml`."""

    url: str
    process: subprocess.Popen[bytes]
    folder: Path

    @property
    def log(self) -> str:
        """What it has said on standard error, with that of earlier ones in the same folder."""
        return (self.folder / "server.log").read_text()

    def token(self, **claims: Any) -> str:
        """With the secret of the dynamic configuration."""
        secret = yaml.safe_load((self.folder / ".prunner.yml").read_text())["jwt_secret"]
        return jwt.encode({"sub": "tester", **claims}, secret, algorithm="HS256")

    def ask(self, path: str, body: Any = None, *, method: str = "", token: str | None = None) -> Answer:
        """A GET, or a POST of JSON where there is a body."""
        headers = {"Authorization": f"Bearer {self.token() if token is None else token}"}
        data = None if body is None else json.dumps(body).encode()
        wanted = urllib.request.Request(
            self.url + path, data=data, headers=headers, method=method or ("GET" if data is None else "POST")
        )
        try:
            with urllib.request.urlopen(wanted, timeout=WITHIN_SECONDS) as answer:
                return Answer(answer.status, answer.read().decode(), dict(answer.headers))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.read().decode(), dict(error.headers))

    def schedule(self, pipeline: str, **variables: Any) -> str:
        """The id of a new run."""
        answer = self.ask("/pipelines/schedule", {"pipeline": pipeline, "variables": variables})
        assert answer.status == 202, answer
        return answer.json["jobId"]

    def job(self, job_id: str) -> Mapping[str, Any]:
        answer = self.ask(f"/job/detail?id={job_id}")
        assert answer.status == 200, answer
        return answer.json

    def cancel(self, job_id: str) -> Answer:
        return self.ask(f"/job/cancel?id={job_id}", {})

    def ended(self, job_id: str) -> Mapping[str, Any]:
        """The job, once it has completed or was canceled."""
        return until(lambda: (job := self.job(job_id))["completed"] and job)

    def output(self, job_id: str, task: str) -> str:
        return self.ask(f"/job/logs?id={job_id}&task={task}").json["stdout"]

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        """Its exit code, once it has ended."""
        return self.process.wait(WITHIN_SECONDS)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(WITHIN_SECONDS)


def environment(folder: Path, **variables: str) -> dict[str, str]:
    """Ours without what would be options of the server."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PRUNNER_", "PAAS_"))}
    return kept | {"HOME": str(folder)} | variables


@contextmanager
def start_server(
    folder: Path,
    *options: str,
    definitions: str | None = None,
    command: tuple[str, ...] = (str(PROGRAM),),
    **variables: str,
) -> Iterator[PipelinesServer]:
    """A server in the folder, on a port that was free; killed in the end, if it has not ended.

    `definitions` become its `pipelines.yml`. Fails with what it said if it does not start.
    """
    if definitions is not None:
        (folder / "pipelines.yml").write_text(definitions)
    log = folder / "server.log"
    before = log.stat().st_size if log.exists() else 0
    with log.open("ab") as said:
        process = subprocess.Popen(
            [*command, *(() if "--address" in options else ("--address", "127.0.0.1:0")), *options],
            cwd=folder,
            env=environment(folder, **variables),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        )
    try:
        port = until(lambda: process.poll() is not None or _port(log, before))
        assert process.poll() is None, log.read_text()[before:]
        yield PipelinesServer(f"http://127.0.0.1:{port}", process, folder)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(WITHIN_SECONDS)


def _port(log: Path, before: int) -> str | None:
    found = re.search(r'event="HTTP API listening" .*port=(\d+)\n', log.read_text()[before:])
    return found[1] if found else None
