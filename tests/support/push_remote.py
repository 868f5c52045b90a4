"""A repository that takes pushes, behind real `git http-backend`; what happens to a request can be chosen."""

import socket
from pathlib import Path

from tests.support.git_server import GitServer, git

HOOK = "#!/bin/sh\ncat >/dev/null\necho once >>{noted}\n{rest}\n"


class PushRemote(GitServer):
    """`http://…/job.git`, into which only `user` with `hidden-password` may push."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.repository = root / "job.git"
        git(root, "init", "-q", "--bare", "-b", "master", str(self.repository))
        git(self.repository, "config", "http.receivepack", "true")
        self.allowed = {("user", "hidden-password")}
        self.asked: list[tuple[str, bool]] = []
        """Each request: its method, and whether it came with credentials."""

        self.instead = {}
        """By method: what is done with the next requests, before or instead of answering them."""

        self._noted = root / "hooks.log"
        self.hook("post-receive", "")

    def hook(self, name: str, rest: str) -> None:
        path = self.repository / "hooks" / name
        path.write_text(HOOK.format(noted=self._noted, rest=rest))
        path.chmod(0o755)

    @property
    def hooks_run(self) -> int:
        return len(self._noted.read_text().splitlines()) if self._noted.exists() else 0

    @property
    def master(self) -> str:
        """The commit that was pushed; empty before."""
        return git(self.repository, "for-each-ref", "--format=%(objectname)", "refs/heads/master")

    def other_commit(self) -> str:
        """Some commit of the repository's, on no branch."""
        tree = git(self.repository, "hash-object", "-w", "-t", "tree", "/dev/null")
        return git(self.repository, "commit-tree", "-m", "another", tree)

    def move_to(self, commit: str) -> None:
        git(self.repository, "update-ref", "refs/heads/master", commit)

    def _answer(self, request) -> None:
        self.asked.append((request.command, "Authorization" in request.headers))
        waiting = self.instead.get(request.command, [])
        if not waiting or not waiting.pop(0)(self, request):
            super()._answer(request)


def lost(remote, request):
    """It is done, and the connection breaks before the answer."""
    body = request.rfile.read(int(request.headers["Content-Length"]))
    request.rfile, request.wfile, out = _Body(body), _Body(b""), request.wfile
    GitServer._answer(remote, request)
    request.wfile = out
    return gone(remote, request)


def gone(_remote, request):
    """The connection breaks."""
    request.connection.shutdown(socket.SHUT_RDWR)
    request.close_connection = True
    return True


def answered(status, *, content_type="text/html", body=b"<html>", **headers):
    """Something else than git answers."""

    def answer(_remote, request):
        request.rfile.read(int(request.headers.get("Content-Length", 0)))
        request.send_response(status)
        fields = {"Content-Type": content_type, "Content-Length": str(len(body)), **headers}
        for name, value in fields.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(body)
        return True

    return answer


class _Body:
    """As much of a file as the server needs."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def read(self, _size=-1):
        return self._content

    def write(self, _content):
        return None

    def flush(self):
        return None

    def close(self):
        return None

    @property
    def closed(self):
        return False
