"""A remote that takes a push: git's smart HTTP without git, without objects and without files.

It does what a client can see: it advertises its one branch, believes a pack whose own checksum is right, and
reports. Left out: the objects themselves, fetching, hooks, any branch but those that are pushed.
"""

import hashlib
from collections.abc import Iterator

import attrs

from benchmarks.world.http import Answer, Request

_NONE = "0" * 40
_CAPABILITIES = (
    "report-status delete-refs side-band-64k quiet atomic ofs-delta object-format=sha1 agent=git/2.39"
)
_FLUSH = b"0000"
_NEW = {"cache-control": "no-cache"}


@attrs.define
class Repository:
    """Its branches."""

    heads: dict[str, str] = attrs.field(factory=dict)

    def info_refs(self, request: Request) -> Answer:
        service = request.query.removeprefix("service=")
        announced = _packet(f"# service={service}\n") + _FLUSH
        if service == "git-upload-pack" and "version=2" in request.headers.get("git-protocol", ""):
            body = announced + b"".join(
                map(_packet, ("version 2\n", "agent=git/2.39\n", "ls-refs=unborn\n", "object-format=sha1\n"))
            )
        else:
            listed = [f"{commit} {name}" for name, commit in self.heads.items()] or [
                f"{_NONE} capabilities^{{}}"
            ]
            first, *others = listed
            lines = [f"{first}\0{_CAPABILITIES}\n", *(f"{other}\n" for other in others)]
            body = announced + b"".join(map(_packet, lines))
        kind = f"application/x-{service}-advertisement"
        return Answer(200, body + _FLUSH, _NEW, kind)

    def ls_refs(self) -> Answer:
        lines = (_packet(f"{commit} {name}\n") for name, commit in self.heads.items())
        return Answer(200, b"".join(lines) + _FLUSH, _NEW, "application/x-git-upload-pack-result")

    def receive(self, body: bytes) -> tuple[Answer, bool]:
        """The report, and whether a branch was created."""
        commands, pack = _parsed(body)
        if not commands:
            return Answer(200, _FLUSH, _NEW, "application/x-git-receive-pack-result"), False
        first, _, wanted = commands[0].partition("\0")
        whole = pack[:4] == b"PACK" and hashlib.sha1(pack[:-20]).digest() == pack[-20:]
        report = [_packet("unpack ok\n" if whole else "unpack index-pack abnormal exit\n")]
        moved = False
        for command in (first, *commands[1:]):
            old, new, name = command.strip().split(" ")
            if whole and self.heads.get(name, _NONE) == old:
                self.heads[name] = new
                moved = True
                report.append(_packet(f"ok {name}\n"))
            else:
                report.append(_packet(f"ng {name} {'failed to update ref' if whole else 'unpacker error'}\n"))
        told = b"".join(report) + _FLUSH
        if "side-band-64k" in wanted.split():
            told = _packet(b"\x01" + told) + _FLUSH
        return Answer(200, told, _NEW, "application/x-git-receive-pack-result"), moved


def _packet(content: str | bytes) -> bytes:
    encoded = content.encode() if isinstance(content, str) else content
    return f"{len(encoded) + 4:04x}".encode() + encoded


def _parsed(body: bytes) -> tuple[list[str], bytes]:
    """The commands, and the pack behind them."""
    commands = []
    position = 0
    for length, content in _packets(body):
        position += length
        if content is None:
            break
        commands.append(content.decode())
    return commands, body[position:]


def _packets(body: bytes) -> Iterator[tuple[int, bytes | None]]:
    position = 0
    while position + 4 <= len(body):
        length = int(body[position : position + 4], 16)
        yield max(length, 4), body[position + 4 : position + length] if length >= 4 else None
        position += max(length, 4)
