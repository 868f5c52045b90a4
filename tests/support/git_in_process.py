"""A git remote without git: what `git http-backend` does with a push, for worlds without processes.

It reads a push byte by byte on its own, with nothing of ours, and believes nothing: ids are computed anew.
"""

import hashlib
import zlib

from starlette.responses import Response
from starlette.routing import Route

from paas_runner.sandbox.cloud.auth import git_access

NOTHING = "0" * 40
KINDS = {1: b"commit", 2: b"tree", 3: b"blob"}
CAPABILITIES = "report-status delete-refs side-band-64k quiet object-format=sha1 agent=git/in-process"


def packet(line: bytes) -> bytes:
    return b"%04x%s" % (len(line) + 4, line)


class InProcessRemote:
    """The repositories of a simulated cloud's applications; each is what was pushed last."""

    def __init__(self, cloud) -> None:
        self._cloud = cloud

    def routes(self):
        git = "/git/{application}.git"
        return [
            Route(f"{git}/info/refs", self._advertise),
            Route(f"{git}/git-receive-pack", self._receive, methods=["POST"]),
        ]

    async def _advertise(self, request):
        if (refused := self._refused(request)) is not None:
            return refused
        assert request.url.query == "service=git-receive-pack"
        master = self._master(request)
        ref = f"{master} refs/heads/master" if master else f"{NOTHING} capabilities^{{}}"
        first = packet(b"# service=git-receive-pack\n") + b"0000"
        body = first + packet(f"{ref}\0{CAPABILITIES}\n".encode()) + b"0000"
        return Response(body, media_type="application/x-git-receive-pack-advertisement")

    async def _receive(self, request):
        body = await request.body()
        if (refused := self._refused(request)) is not None:
            return refused
        line, pack = body[4 : int(body[:4], 16)], body[int(body[:4], 16) :]
        old, new, name = line.partition(b"\0")[0].decode().split(" ")
        assert (old, name, pack[:4]) == (NOTHING, "refs/heads/master", b"0000")
        files = files_of(new, objects_of(pack[4:]))
        if self._master(request):
            return self._report("ng refs/heads/master reference already exists", said="")
        token = git_access(request, self._cloud).token
        self._cloud.received_push(request.path_params["application"], new, files, by=token)
        return self._report("ok refs/heads/master", said="[SUCCESS] queued for redeploy.\n")

    def _report(self, verdict, *, said):
        report = packet(b"unpack ok\n") + packet(f"{verdict}\n".encode()) + b"0000"
        body = packet(b"\2" + said.encode()) + packet(b"\1" + report) + b"0000"
        return Response(body, media_type="application/x-git-receive-pack-result")

    def _refused(self, request):
        caller = git_access(request, self._cloud)
        if caller is None:
            return Response("Unauthorized", 401, {"WWW-Authenticate": 'Basic realm="Git"'})
        application = self._cloud.pushable(request.path_params["application"])
        if caller.organisation(application.organisation_id) is None:
            return Response("Not Found", 404)
        return None

    def _master(self, request):
        pushed = self._cloud.pushable(request.path_params["application"]).last_push
        return pushed.commit if pushed else None


def objects_of(pack: bytes) -> dict[str, tuple[bytes, bytes]]:
    """What a pack has, by id."""
    assert hashlib.sha1(pack[:-20]).digest() == pack[-20:]
    assert pack[:8] == b"PACK\0\0\0\2"
    found, at = {}, 12
    for _ in range(int.from_bytes(pack[8:12])):
        kind, size, shift = pack[at] >> 4 & 7, pack[at] & 15, 4
        while pack[at] & 128:
            at += 1
            size |= (pack[at] & 127) << shift
            shift += 7
        reader = zlib.decompressobj()
        content = reader.decompress(pack[at + 1 :])
        at = len(pack) - len(reader.unused_data)
        assert len(content) == size
        name = hashlib.sha1(b"%s %d\0%s" % (KINDS[kind], size, content)).hexdigest()
        found[name] = (KINDS[kind], content)
    assert at == len(pack) - 20
    return found


def files_of(commit: str, objects: dict[str, tuple[bytes, bytes]]) -> dict[str, bytes]:
    """The files of a commit."""
    tree, files = objects[objects[commit][1].split(b"\n")[0].removeprefix(b"tree ").decode()][1], {}
    while tree:
        entry, _, rest = tree.partition(b"\0")
        mode, _, name = entry.partition(b" ")
        assert mode == b"100644"
        files[name.decode()] = objects[rest[:20].hex()][1]
        tree = rest[20:]
    return files
