"""One file into the nodes of its YAML, which know their lines; whatever it is, it costs a bounded effort."""

import stat
from contextlib import suppress
from pathlib import Path

import attrs
import yaml

from paas_runner.errors import Exit, RunnerError
from paas_runner.pipelines.gitlab_ci.yaml_text import LOADER, UNREADABLE, in_words

MOST_BYTES = 512 * 1024
_SPECIAL = (b"*", b"&", b"{{", b"!", b"%", b"@", b"`")


@attrs.frozen(kw_only=True)
class Complaint:
    """What is wrong in a file, or strange; `line` counts from 1."""

    file: str
    text: str
    line: int | None = None
    remedy: str = ""
    """How it would be right, where that is not in the text, which is prunner's."""

    @property
    def place(self) -> str:
        """`file:line`."""
        return self.file if self.line is None else f"{self.file}:{self.line}"

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


class DefinitionsError(RunnerError):
    """Definitions that cannot be loaded: prunner's text, and in a second line the place, `file:line`."""

    exit_code = Exit.CONFIG

    def __init__(self, text: str, complaint: Complaint) -> None:
        super().__init__(f"{text}\n{complaint.place}" + (complaint.remedy and f": {complaint.remedy}"))
        self.text = text
        self.complaint = complaint


@attrs.frozen(kw_only=True)
class Document:
    """The first document of a file; `root` is None where there is none."""

    root: yaml.Node | None
    has_more: bool


def read(file: str) -> Document:
    """Raises `DefinitionsError`."""
    try:
        data = _bytes(file)
    except OSError as error:
        raise refused(file, f"opening file: open {file}: {reason_of(error)}") from None
    if len(data) > MOST_BYTES:
        raise refused(file, f"decoding YAML: more than {MOST_BYTES} bytes")
    try:
        return _document(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise refused(file, "decoding YAML: not UTF-8", line) from None
    except UNREADABLE as error:
        words, number = in_words(error)
        raise refused(file, f"decoding YAML: {words}", number, _remedy(data, number)) from None


def refused(file: str, text: str, line: int | None = None, remedy: str = "") -> DefinitionsError:
    """The error that a file makes, in prunner's words."""
    complaint = Complaint(file=file, text=text, line=line, remedy=remedy)
    return DefinitionsError(f"loading {file}: {text}", complaint)


def reason_of(error: OSError) -> str:
    """As Go words it."""
    return (error.strerror or type(error).__name__).lower()


def _remedy(data: bytes, number: int | None) -> str:
    """What is usually wrong with such a line."""
    lines = data.splitlines()
    line = lines[number - 1] if number and number <= len(lines) else b""
    entry = line.lstrip()
    if b"\t" in line[: len(line) - len(entry)]:
        return "it is indented by a tab, where YAML wants blanks"
    if entry.removeprefix(b"- ").startswith(_SPECIAL):
        return "a text that begins so has to stand in quotes"
    return ""


def _bytes(file: str) -> bytes:
    """At most one more than may be; a pipe or a device, which could block or never end, is refused."""
    if not stat.S_ISREG(Path(file).stat().st_mode):
        raise OSError(0, "not a regular file")
    with Path(file).open("rb") as opened:
        return opened.read(MOST_BYTES + 1)


def _document(text: str) -> Document:
    documents = yaml.compose_all(text, Loader=LOADER)
    root, has_more = next(documents, None), False
    with suppress(*UNREADABLE):  # prunner does not look at what follows
        has_more = next(documents, None) is not None
    return Document(root=root, has_more=has_more)
