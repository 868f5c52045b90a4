r"""Dotenv files, by the rules of godotenv 1.5.1, which prunner reads them with.

`export ` before a name, `KEY: value` beside `KEY=value`, comments, quoted values of several lines; `\n` and
`${NAME}` in double quotes, `${NAME}` without quotes, of names set further up in the same file. What a file
says is not quoted in an error: it may be a secret.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from paas_runner.errors import RunnerError

_BLANKS = "\t\v\f\r \x85\xa0"
_NAME_CHARACTERS = "_."
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = re.compile(r"\\([^$])")
_REFERENCE = re.compile(r"(\\)?\$\(?\{?([A-Z0-9_]+)?\}?")
_SPACE = re.compile(r"\s*")
_BLANK = re.compile(f"[{_BLANKS}]*")
_EXPORT = re.compile(f"export[{_BLANKS}]+")
_QUOTE_ENDS = {quote: re.compile(rf"(?<!\\){quote}") for quote in "'\""}
_LINE_END = re.compile(r"[\n\r]")
_COMMENT = re.compile(rf".*[{_BLANKS}](?=#)", re.DOTALL)


class DotenvError(RunnerError):
    """A file that cannot be read or understood: fatal."""

    names_its_place = True


def read_dotenv(files: Iterable[str | Path]) -> dict[str, str]:
    """What all of them set, a later file over an earlier; files that do not exist are passed over.

    An empty first name stands for no files at all. Raises `DotenvError`.
    """
    found: dict[str, str] = {}
    for number, file in enumerate(files):
        if number == 0 and str(file) == "":
            break
        try:
            data = Path(file).read_bytes()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise DotenvError(f"loading env file {file}: {error.strerror}") from None
        found |= _Reader(
            str(file), data.decode("utf-8-sig", "surrogateescape").replace("\r\n", "\n")
        ).values()
    return found


class _Reader:
    def __init__(self, file: str, text: str) -> None:
        self._file = file
        self._text = text
        self._at = 0
        self._found: dict[str, str] = {}

    def values(self) -> dict[str, str]:
        while self._to_statement():
            name = self._name()
            start = self._at
            quote = self._text[start : start + 1]
            self._found[name] = self._quoted(quote) if quote in _QUOTE_ENDS else self._unquoted()
            if "\0" in self._found[name]:
                raise self._malformed("a character with the code 0", start)
        self._found.pop("", None)  # set by nobody, and nobody's error in godotenv
        return self._found

    def _to_statement(self) -> bool:
        """Behind white space and comments; whether anything follows."""
        while True:
            self._pass(_SPACE, self._at)
            if not self._text.startswith("#", self._at):
                return self._at < len(self._text)
            end = self._text.find("\n", self._at)
            self._at = len(self._text) if end < 0 else end

    def _name(self) -> str:
        exported = _EXPORT.match(self._text, self._at)
        start = exported.end() if exported else self._at
        for position in range(start, len(self._text)):
            char = self._text[position]
            if char in "=:":
                self._pass(_BLANK, position + 1)
                return self._text[start:position].rstrip()
            if not (char.isalnum() or char in _NAME_CHARACTERS or char in _BLANKS):
                raise self._malformed("an unexpected character in the name of a variable", position)
        self._at = start  # without = or : at the end of the file it is the value of nothing
        return ""

    def _unquoted(self) -> str:
        end = _LINE_END.search(self._text, self._at)
        line = self._text[self._at : end.start() if end else len(self._text)]
        self._at += len(line)
        comment = _COMMENT.match(line)
        return self._expanded((comment.group() if comment else line).strip(_BLANKS))

    def _quoted(self, quote: str) -> str:
        end = _QUOTE_ENDS[quote].search(self._text, self._at + 1)
        if end is None:
            raise self._malformed("a quoted value without its end", self._at)
        value = self._text[self._at : end.start()].strip(quote)
        self._at = end.end()
        if quote == "'":
            return value
        broken = _ESCAPE.sub(lambda found: {"n": "\n", "r": "\r"}.get(found[1], found[0]), value)
        return self._expanded(_ESCAPED.sub(r"\1", broken))

    def _expanded(self, value: str) -> str:
        def put(found: re.Match[str]) -> str:
            if found[1]:
                return found[0][1:]
            return self._found.get(found[2], "") if found[2] else found[0]

        return _REFERENCE.sub(put, value)

    def _pass(self, pattern: re.Pattern[str], position: int) -> None:
        found = pattern.match(self._text, position)
        self._at = found.end() if found else position

    def _malformed(self, what: str, position: int) -> DotenvError:
        line = self._text.count("\n", 0, position) + 1
        return DotenvError(f"loading env file {self._file}: {what}\n{self._file}:{line}")
