"""Manual pages as man(7) has them: the few requests that ours need, and text that stays text.

argparse-manpage, which was looked at, fills the lines of usages and of our epilogs (exit codes, fields of
--json), has headings that no reader of manuals expects, and knows nothing of configuration files: section 5
would need this module anyway.
"""

import re
from collections.abc import Iterable, Iterator

_CODE = re.compile(r"`([^`]+)`")
_GAP = re.compile(r"(?<=\S)\s{2,}(?=\S)")
_EXAMPLE = re.compile(r"\s+paas-runner ")
_LONG_WORD = re.compile(r"\S{50,}")


class Page:
    """One manual page, written from its beginning to its end."""

    def __init__(self, *, name: str, section: int, date: str, version: str, summary: str) -> None:
        self._lines = [
            f'.TH "{escaped(name.upper())}" "{section}" "{date}" "{escaped(version)}" "PaaS Runner"',
            ".nh",
            ".ad l",
        ]
        self.heading("NAME")
        self._lines.append(f"{escaped(name)} \\- {escaped(summary)}")

    def heading(self, title: str) -> None:
        self._lines.append(f".SH {_quoted(title)}")

    def subheading(self, title: str) -> None:
        self._lines.append(f".SS {_quoted(title)}")

    def paragraph(self, text: str) -> None:
        self._lines += [".PP", _line(text)]

    def item(self, term: str, text: str, *, depth: int = 0) -> None:
        """A term in bold, its meaning below it or beside it; deeper ones are within the last one."""
        indented = [".RS"] * depth, [".RE"] * depth
        self._lines += [*indented[0], ".TP", f"\\fB{escaped(term)}\\fR", _line(text) or "\\&", *indented[1]]

    def verbatim(self, lines: Iterable[str]) -> None:
        self._lines += [".PP", ".nf", *(_guarded(escaped(line)) for line in lines), ".fi"]

    def epilog(self, text: str) -> None:
        """The end of a `--help`: paragraphs, titles with a colon at their end, and terms in columns."""
        for block in _blocks(text):
            self._block(block)

    def text(self) -> str:
        return "\n".join(self._lines) + "\n"

    def _block(self, lines: list[str]) -> None:
        if not lines[0].startswith(" "):
            if lines[0].endswith(":"):
                self._lines += [".PP", f"\\fI{escaped(lines[0])}\\fR"]
            else:
                self.paragraph(" ".join(lines))
        elif any(len(_GAP.findall(line)) > 1 for line in lines):
            self._lines += [".RS"]
            self.verbatim(line.strip() for line in lines)
            self._lines += [".RE"]
        elif _EXAMPLE.match(lines[0]) and not _GAP.search(lines[0]):
            self.item(lines[0].strip(), "")
        elif gap := _GAP.search(lines[0]):
            depth = 1 if len(lines[0]) - len(lines[0].lstrip()) > 2 else 0
            meaning = [lines[0][gap.end() :], *(line.strip() for line in lines[1:])]
            self.item(lines[0][: gap.start()].strip(), " ".join(meaning), depth=depth)
        else:
            self._lines += [".RS"]
            self.paragraph(" ".join(line.strip() for line in lines))
            self._lines += [".RE"]


def escaped(text: str) -> str:
    """Text of one line, with nothing in it that means something to roff; long addresses break at slashes."""
    whole = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    return _LONG_WORD.sub(lambda word: word[0].replace("/", "/\\:"), whole)


def _line(text: str) -> str:
    """Running text; what stands between backticks is bold."""
    parts = _CODE.split(" ".join(text.split()))
    marked = (
        escaped(part) if number % 2 == 0 else f"\\fB{escaped(part)}\\fR" for number, part in enumerate(parts)
    )
    return _guarded("".join(marked))


def _guarded(line: str) -> str:
    return f"\\&{line}" if line.startswith(".") else line


def _quoted(title: str) -> str:
    return f'"{escaped(title).replace(chr(34), chr(92) + "(dq")}"'


def _blocks(text: str) -> Iterator[list[str]]:
    """The lines that belong together: one term with its meaning, one paragraph, one title."""
    block: list[str] = []
    column = 0
    for line in text.splitlines():
        indent = len(line) - len(line.lstrip())
        goes_on = block and line.strip() and _belongs(line, indent, block, column)
        if not goes_on:
            if block:
                yield block
            block = []
        if line.strip():
            if not block:
                gap = _GAP.search(line)
                column = gap.end() if gap and indent else indent
            block.append(line)
    if block:
        yield block


def _belongs(line: str, indent: int, block: list[str], column: int) -> bool:
    if (_GAP.search(line) and indent < column) or _EXAMPLE.match(line) or _EXAMPLE.match(block[0]):
        return False
    if not indent:
        return not line.endswith(":") and not block[0].endswith(":") and not block[0].startswith(" ")
    return block[0].startswith(" ") and indent >= column
