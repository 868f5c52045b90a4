"""A git server on loopback that wants a password: git's own program behind a small HTTP server."""

import base64
import contextlib
import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    **{
        f"GIT_{who}_{what}": value
        for who in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "Ann"), ("EMAIL", "ann@example.test"))
    },
}


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, env=ENVIRONMENT, capture_output=True, check=True)
    return done.stdout.decode().strip()


class GitServer:
    """Serves the repositories below `root`; `allowed` are the credentials that open them, None opens all."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.allowed: set[tuple[str, str]] | None = None
        self.failures = 0  # so many of the next requests are answered 500
        self.agents: set[str] = set()
        self._backend = Path(git(root, "--exec-path")) / "git-http-backend"

    def commit(self, name: str, files: dict[str, str], *, submodules: dict[str, str] | None = None) -> str:
        """One more commit on `main` of a repository, which is made if need be; returns its id."""
        work = self.root / f"{name}.work"
        if not work.exists():
            work.mkdir(parents=True)
            git(work, "init", "-q", "-b", "main")
            git(work.parent, "init", "-q", "--bare", "-b", "main", f"{work.parent}/{work.stem}.git")
        for path, url in (submodules or {}).items():
            git(work, "submodule", "--quiet", "add", "--", url, path)
        for path, content in files.items():
            (work / path).write_text(content)
        git(work, "add", ".")
        git(work, "commit", "-q", "-m", f"commit of {sorted(files)}")
        git(work, "push", "-q", f"{work.parent}/{work.stem}.git", "main")
        return git(work, "rev-parse", "HEAD")

    @contextlib.contextmanager
    def running(self) -> Iterator[str]:
        """Serve; yields the base URL."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer._answer(self)

            def do_POST(self) -> None:
                outer._answer(self)

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        self.agents.add(request.headers["User-Agent"])
        if self.failures:
            self.failures -= 1
            request.send_error(500)
        elif self.allowed is not None and _credentials(request) not in self.allowed:
            request.send_response(401)
            request.send_header("WWW-Authenticate", 'Basic realm="git"')
            request.send_header("Content-Length", "0")
            request.end_headers()
        else:
            self._served(request, body)

    def _served(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        url = urlsplit(request.path)
        done = subprocess.run(
            [self._backend],
            input=body,
            env={
                **ENVIRONMENT,
                "GIT_PROJECT_ROOT": str(self.root),
                "GIT_HTTP_EXPORT_ALL": "1",
                "REQUEST_METHOD": request.command,
                "PATH_INFO": url.path,
                "QUERY_STRING": url.query,
                "CONTENT_TYPE": request.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": request.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
                "REMOTE_ADDR": "127.0.0.1",
            },
            capture_output=True,
            check=False,
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        request.send_response(int(fields.pop("Status", "200").split()[0]))
        for name, value in {**fields, "Content-Length": str(len(content))}.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(content)


def _credentials(request: BaseHTTPRequestHandler) -> tuple[str, str] | None:
    kind, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if kind != "Basic":
        return None
    user, _, password = base64.b64decode(encoded).decode().partition(":")
    return user, password
