"""The pipelines server, shown: a wait list, a cancellation, `kill -9` in the middle, and how it goes on.

Needs nothing but `paas-pipelines` and `paas-runner` on PATH or beside the interpreter. Everything is in a
folder of its own, which goes with the demo; exits with 1 if anything is not as it should be.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

DEFINITIONS = Path(__file__).with_name("pipelines.yml")
PROGRAMS = Path(sys.executable).parent
WITHIN_SECONDS = 60
WANTED = {
    "first": "succeeded",
    "replaced": "canceled",
    "third": "succeeded",
    "again": "canceled",
    "failing": "failed",
}


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="paas-pipelines-") as name:
        folder = Path(name)
        folder.joinpath("pipelines.yml").write_text(DEFINITIONS.read_text())
        environment = {**os.environ, "PRUNNER_ADDRESS": f"127.0.0.1:{free_port()}"}
        return show(Demo(folder, environment))


class Demo:
    """One folder, one address, and whoever serves there."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.environment = environment
        self._client = httpx.Client(base_url=f"http://{environment['PRUNNER_ADDRESS']}")

    @contextmanager
    def server(self) -> Iterator[subprocess.Popen[bytes]]:
        """The program, until it ends."""
        with (self.folder / "server.log").open("ab") as log:
            process = subprocess.Popen(
                [PROGRAMS / "paas-pipelines"], cwd=self.folder, env=self.environment, stderr=log
            )
        try:
            until(self.answers, process)
            token = self.command("token", quiet=True).strip()
            self._client.headers["Authorization"] = f"Bearer {token}"
            yield process
        finally:
            process.kill()
            process.wait()

    def answers(self) -> bool:
        try:
            return self._client.get("/health").status_code == 200
        except httpx.TransportError:
            return False

    def command(self, *arguments: str, quiet: bool = False) -> str:
        """`paas-runner pipelines …`, shown as one would type it."""
        if not quiet:
            print(f"\n$ paas-runner pipelines {' '.join(arguments)}", flush=True)
        done = subprocess.run(
            [PROGRAMS / "paas-runner", "pipelines", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE if quiet else None,
            text=True,
            check=False,
        )
        return done.stdout or ""

    def schedule(self, pipeline: str, **variables: Any) -> str:
        """By the API, as an application would; the run's id."""
        print(f"  schedule {pipeline} {variables or ''}", flush=True)
        answer = self._client.post("/pipelines/schedule", json={"pipeline": pipeline, "variables": variables})
        return str(answer.raise_for_status().json()["jobId"])

    def run(self, run_id: str) -> Mapping[str, Any]:
        run: Mapping[str, Any] = self._client.get("/job/detail", params={"id": run_id}).json()
        return run


def show(demo: Demo) -> int:
    say("A server starts, with nothing but a folder and a file of pipelines.")
    with demo.server() as server:
        say("Three runs of `site`: one at a time, and of those that wait the last one counts.")
        first, second, third = (demo.schedule("site", version=f"1.{number}") for number in range(3))
        failing = demo.schedule("deploy")
        demo.command("list")
        say("One more of `deploy` within its three seconds takes the place of the one before.")
        canceled, failing = failing, demo.schedule("deploy")
        until(lambda: any(task["status"] == "running" for task in demo.run(first)["tasks"]), server)
        say("kill -9, in the middle of it.")
        server.send_signal(signal.SIGKILL)
        server.wait()
    say("And a new start in the same folder: what waited waits, what ran goes on.")
    with demo.server() as server:
        for run_id in (first, third, failing):
            until(lambda run_id=run_id: demo.run(run_id)["completed"], server)
        demo.command("list")
        demo.command("logs", failing)
        runs = {"first": first, "replaced": second, "third": third, "again": canceled, "failing": failing}
        found = {name: outcome(demo.run(run_id)) for name, run_id in runs.items()}
        say("SIGINT: an orderly end.")
        server.send_signal(signal.SIGINT)
        code = server.wait(WITHIN_SECONDS)
    if (found, code) != (WANTED, 0):
        say(f"This is not as it should be: {found}, exit code {code}")
        print((demo.folder / "server.log").read_text())
        return 1
    say("Nothing was lost, nothing is left.")
    return 0


def outcome(run: Mapping[str, Any]) -> str:
    if run["canceled"]:
        return "canceled"
    if not run["completed"]:
        return "unfinished"
    return "failed" if run["errored"] else "succeeded"


def until(met: Any, server: subprocess.Popen[bytes]) -> None:
    ends = time.monotonic() + WITHIN_SECONDS
    while not met():
        if server.poll() is not None:
            raise SystemExit(f"the server has ended with {server.returncode}")
        if time.monotonic() > ends:
            raise SystemExit(f"not within {WITHIN_SECONDS} s")
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def say(text: str) -> None:
    bold, plain = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")
    print(f"\n{bold}{text}{plain}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
