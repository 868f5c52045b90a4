"""The public doors: the installed programs, the control socket, the sandbox as a program of its own."""

import contextlib
import importlib.metadata
import io
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest import mock

BIN = Path(sys.executable).parent
DISTRIBUTION = importlib.metadata.distribution("paas-runner")
PATIENCE_SECONDS = 60


def called(program, *arguments):
    """Exit code, answer and messages of an installed program, called in this process: that is quick."""
    [script] = DISTRIBUTION.entry_points.select(group="console_scripts", name=program)
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", [program, *map(str, arguments)]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            code = script.load()()
        except SystemExit as ended:
            code = ended.code
    return int(code or 0), out.getvalue(), err.getvalue()


def ran(program, *arguments):
    """The same of the program as a process of its own."""
    done = subprocess.run(
        [BIN / program, *arguments], capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


@contextlib.contextmanager
def begun(program, *arguments):
    """The program as a process that is listened to while it runs, and ends by itself."""
    with subprocess.Popen(
        [BIN / program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
            process.wait(PATIENCE_SECONDS)
        finally:
            process.kill()


def until(what, seconds=PATIENCE_SECONDS):
    """The first answer of `what` that is true."""
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
    return found


def configuration(folder, text):
    """The file `config.toml` in a folder of its own, for its owner alone."""
    path = folder / "config.toml"
    path.touch(mode=0o600)
    path.write_text(text)
    return path


def database(path, sql):
    """A SQLite file from its dump."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.executescript(sql)
    path.chmod(0o600)


class Service:
    """`heptapod-paas-runner` while the block lasts, stopped by SIGTERM; asked over its control socket."""

    def __init__(self, config):
        self._config = config
        self._socket = config.with_name("paas-runner-state.control.sock")
        self.exit_code = None

    def __enter__(self):
        with self._config.with_name("log").open("ab") as log:
            self._process = subprocess.Popen([BIN / "heptapod-paas-runner", self._config], stderr=log)
        until(self._answers)
        return self

    def __exit__(self, kind, *_):
        if kind:
            print(self._config.with_name("log").read_text())  # pytest shows it where the world broke
        if self.exit_code is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self.ended()
        finally:
            self._process.kill()
            self._process.wait()

    def ended(self):
        """Its exit code, once it has come."""
        self.exit_code = self._process.wait(PATIENCE_SECONDS)
        return self.exit_code

    def asked(self, question):
        """All lines of its answer; a text is sent as it is."""
        line = question if isinstance(question, str) else json.dumps(question)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE_SECONDS)
            connection.connect(str(self._socket))
            connection.sendall(line.encode() + b"\n")
            with connection.makefile() as lines:
                return [json.loads(part) for part in lines]

    def _answers(self):
        assert self._process.poll() is None, self._config.with_name("log").read_text()
        try:
            return self.asked({"ask": "status"})
        except (FileNotFoundError, ConnectionRefusedError):
            return None


@contextlib.contextmanager
def silence():
    """The address of something that takes every connection and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=1000) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@contextlib.contextmanager
def sandbox(folder):
    """The facts that `python -m paas_runner.sandbox` tells at its start, by name."""
    process = subprocess.Popen(
        [sys.executable, "-m", "paas_runner.sandbox", "--config", folder / "sandbox.toml"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        told = ""
        while "Ready" not in told:
            line = process.stdout.readline()
            assert line, told
            told += line
        facts = dict(re.findall(r"^([A-Z]+)=(\S+)$", told, re.MULTILINE))
        facts |= dict(re.findall(r'^(cc_\w+) = "?([^"\n]+)"?$', told, re.MULTILINE))
        yield facts
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE_SECONDS)
        process.stdout.close()


def cloud(facts, method, path, body=None):
    """One call of the sandbox's Clever Cloud."""
    request = urllib.request.Request(
        f"{facts['cc_api_url']}/organisations/{facts['cc_orga_id']}{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"token {facts['cc_token']}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
        return json.load(answer)


class OneJob(ThreadingHTTPServer):
    """A coordinator at an address that is always the same, with one job, always the same, to give."""

    allow_reuse_address = True
    daemon_threads = True
    ADDRESS = ("127.77.0.1", 17_707)
    URL = "http://127.77.0.1:17707"

    def __init__(self, payload):
        self.waiting = [payload]
        self.job_status = "running"
        self.trace = b""
        self.lock = threading.Lock()
        super().__init__(self.ADDRESS, _Answers)


@contextlib.contextmanager
def one_job(payload):
    """Such a coordinator; another test run on this machine is waited for."""
    server = until(lambda: _bound(payload), 110)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _bound(payload):
    try:
        return OneJob(payload)
    except OSError:
        return None


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self._answer(200, {"id": 4711, "status": self.server.job_status})

    def do_PUT(self):
        self._content()
        self._answer(200 if self.server.job_status == "running" else 403)

    def do_POST(self):
        self._content()
        if self.path.endswith("/runners/verify"):
            self._answer(200, {"id": 12, "token": "glrt-goldenrun-the-rest-of-it", "token_expires_at": None})
            return
        with self.server.lock:
            job = self.server.waiting.pop() if self.server.waiting else None
        self._answer(201 if job else 204, job)

    def do_PATCH(self):
        content = self._content()
        start = int(self.headers["Content-Range"].partition("-")[0])
        with self.server.lock:
            fits = start == len(self.server.trace) and self.server.job_status == "running"
            if fits:
                self.server.trace += content
        self._answer(202 if fits else 416, Range=f"0-{len(self.server.trace)}")

    def _content(self):
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _answer(self, status, document=None, **headers):
        content = b"" if document is None else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Type", "application/json")
        self.send_header("Job-Status", self.server.job_status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


def git(folder, *arguments):
    """What git answers, left alone by the user's own settings."""
    quiet = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_TERMINAL_PROMPT": "0"}
    return subprocess.run(
        ["git", *arguments], cwd=folder, env=os.environ | quiet, check=True, capture_output=True
    ).stdout.decode()
