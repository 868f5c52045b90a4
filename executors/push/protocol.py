"""What a push says over HTTP and is told: git's pkt-lines, advertisement, command and report. Pure.

The facts are those of git's `gitprotocol-common`, `gitprotocol-http`, `gitprotocol-pack` and
`gitprotocol-capabilities`, version 0, which every remote speaks.
"""

import re
from collections.abc import Iterator, Sequence

import attrs

from paas_runner.plain_text import one_line, printable

BRANCH = "refs/heads/master"  # the only one that Clever Cloud's remote accepts
SERVICE = "git-receive-pack"
REQUEST_TYPE = f"application/x-{SERVICE}-request"

_ADVERTISEMENT_TYPE = f"application/x-{SERVICE}-advertisement"
_RESULT_TYPE = f"application/x-{SERVICE}-result"
_NOTHING = "0" * 40
_ID = re.compile(r"[0-9a-f]{40}")
_LENGTH = re.compile(rb"[0-9a-fA-F]{4}")
_REPORT, _PROGRESS, _FATAL = 1, 2, 3


class ProtocolError(Exception):
    """The remote's answer is not what the protocol says; the text says where, for an operator."""


@attrs.frozen(kw_only=True)
class Advertisement:
    """What a remote has, and what it can do."""

    master: str | None
    """The commit at which the branch is; None where there is no such branch yet."""

    capabilities: frozenset[str]


@attrs.frozen(kw_only=True)
class Report:
    """What a remote says that has become of a push."""

    unpacked: str
    """`ok`, or why it could not read what was sent."""

    refused: str | None
    """Why it does not want the branch there, None when the branch is there."""

    said: Sequence[str]
    """The lines that its hooks wrote for whoever pushes."""


def advertisement(content_type: str, body: bytes) -> Advertisement:
    """Read the answer to `info/refs`; raises `ProtocolError` also for a remote that we cannot push to."""
    if _bare(content_type) != _ADVERTISEMENT_TYPE:
        raise ProtocolError(
            f"no git remote that takes a push by HTTP is there (it answers {_shown(content_type)})"
        )
    packets = _packets(body)
    if next(packets, None) != f"# service={SERVICE}".encode() or next(packets, b"") is not None:
        raise ProtocolError("its list of branches does not begin as the protocol says")
    refs: dict[str, str] = {}
    capabilities: frozenset[str] = frozenset()
    first = True
    for packet in packets:
        if packet is None:
            return _usable(Advertisement(master=refs.get(BRANCH), capabilities=capabilities))
        if packet in (b"version 0", b"version 1"):
            continue
        line, zero, listed = packet.partition(b"\0")
        if first and zero:
            capabilities = frozenset(listed.decode(errors="replace").split())
        first = False
        identifier, _, name = line.decode(errors="replace").partition(" ")
        if identifier == "ERR":
            raise ProtocolError(f"the remote says: {_cleaned(name)}")
        refs[name] = identifier
    raise ProtocolError("its list of branches ends too early")


def command(commit: str, capabilities: frozenset[str], *, agent: str) -> bytes:
    """The beginning of a push that makes the branch, which must not be there yet; a pack follows."""
    wanted = ["report-status", "side-band-64k", "quiet", "object-format=sha1"]
    said = [each for each in wanted if each in capabilities]
    if any(each.startswith("agent=") for each in capabilities):
        said.append(f"agent={agent}")
    line = f"{_NOTHING} {commit} {BRANCH}\0 {' '.join(said)}".encode()
    return b"%04x%s0000" % (len(line) + 4, line)


def report(content_type: str, body: bytes, capabilities: frozenset[str]) -> Report:
    """Read the answer to a push; raises `ProtocolError` where it does not say what has become of it."""
    if _bare(content_type) != _RESULT_TYPE:
        raise ProtocolError(f"it answers {_shown(content_type)} instead of a report")
    said: Sequence[str] = ()
    if "side-band-64k" in capabilities:
        body, said = _one_band(body)
    unpacked, refused, told = "", None, False
    for packet in _packets(body):
        words = [] if packet is None else packet.decode(errors="replace").split(" ", 2)
        match words:
            case ["unpack", *rest]:
                unpacked = _cleaned(" ".join(rest))
            case ["ok", name] if name == BRANCH:
                told = True
            case ["ng", name, *rest] if name == BRANCH:
                told, refused = True, _cleaned(" ".join(rest)) or "no reason given"
    if not unpacked or (unpacked == "ok" and not told):
        raise ProtocolError("its report ends too early")
    return Report(unpacked=unpacked, refused=refused, said=said)


def _usable(advertised: Advertisement) -> Advertisement:
    formats = [each for each in advertised.capabilities if each.startswith("object-format=")]
    if formats and "object-format=sha1" not in formats:
        raise ProtocolError(f"its repository has another object format ({_shown(formats[0])})")
    if "report-status" not in advertised.capabilities:
        raise ProtocolError("it does not offer to tell what becomes of a push (no report-status)")
    if advertised.master is not None and (
        advertised.master == _NOTHING or not _ID.fullmatch(advertised.master)
    ):
        raise ProtocolError("it names no commit for its branch")
    return advertised


def _one_band(body: bytes) -> tuple[bytes, Sequence[str]]:
    """The report out of an answer whose packets say in their first byte what they belong to."""
    belongs, progress = bytearray(), bytearray()
    for packet in _packets(body, lines=False):
        if not packet:
            continue
        band, content = packet[0], packet[1:]
        if band == _REPORT:
            belongs += content
        elif band == _PROGRESS:
            progress += content
        elif band == _FATAL:
            raise ProtocolError(f"the remote says: {_cleaned(content.decode(errors='replace'))}")
        else:
            raise ProtocolError(f"its answer has a packet of band {band}, which is none")
    return bytes(belongs), progress.decode(errors="replace").splitlines()


def _packets(data: bytes, *, lines: bool = True) -> Iterator[bytes | None]:
    """The content of each packet, lines without their end; None for one that ends a section."""
    at = 0
    while at < len(data):
        digits = data[at : at + 4]
        length = int(digits, 16) if _LENGTH.fullmatch(digits) else -1
        if length == 0:
            yield None
            at += 4
            continue
        if length < 4 or at + length > len(data):
            raise ProtocolError(f"its answer is no sequence of packets ({_shown(digits)} at byte {at})")
        packet = data[at + 4 : at + length]
        yield packet.removesuffix(b"\n") if lines else packet
        at += length


def _bare(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _shown(what: object) -> str:
    return _cleaned(str(what)) or "nothing"


def _cleaned(text: str) -> str:
    """Not shortened: secrets have to be taken out before (`verdicts`)."""
    return one_line(printable(text))
