r"""Dotenv files, by the rules of godotenv 1.5.1, which prunner reads them with.

`export ` before a name, `KEY: value` beside `KEY=value`, comments, quoted values of several lines; `\n` and
`${NAME}` in double quotes, `${NAME}` without quotes, of names set further up in the same file. What a file
says is not quoted in an error: it may be a secret.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from paas_runner.errors import RunnerError

_BLANKS = "\t\v\f\r \x85\xa0"
_BETWEEN = re.compile(r"(?:\s|#[^\n]*)*")
_NAME = re.compile(rf"(?:export[{_BLANKS}]+)?(?P<name>[\w.{_BLANKS}]*)(?P<end>[=:][{_BLANKS}]*|\Z)?")
_VALUE = re.compile(
    r"""(?:'(?P<raw>.*?)(?<!\\)'|"(?P<double>.*?)(?<!\\)"|(?!['"])(?P<plain>[^\n\r]*))""", re.DOTALL
)
_COMMENT = re.compile(rf"(.*[{_BLANKS}])#", re.DOTALL)  # the last one, as in 1.5.1
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = re.compile(r"\\([^$])")
_REFERENCE = re.compile(r"(\\)?\$\(?\{?([A-Z0-9_]+)?\}?")


class DotenvError(RunnerError):
    """A file that cannot be read or understood: fatal."""


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
        text = data.decode("utf-8-sig", "surrogateescape").replace("\r\n", "\n")
        try:
            found |= _parsed(text)
        except _MalformedError as error:
            line = text.count("\n", 0, error.position) + 1
            raise DotenvError(f"loading env file {file}: {error}\n{file}:{line}") from None
    return found


class _MalformedError(Exception):
    def __init__(self, text: str, position: int) -> None:
        super().__init__(text)
        self.position = position


def _parsed(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    at = _end(_BETWEEN, text, 0)
    while at < len(text):
        name = _NAME.match(text, at)
        if name is None or name["end"] is None:
            position = name.end() if name else at
            raise _MalformedError("an unexpected character in the name of a variable", position)
        value = _VALUE.match(text, name.end())
        if value is None:
            raise _MalformedError("a quoted value without its end", name.end())
        if "\0" in value.group():
            raise _MalformedError("a character with the code 0", name.end())
        found[name["name"].rstrip() if name["end"] else ""] = _meant(value, found)
        at = _end(_BETWEEN, text, value.end())
    found.pop("", None)  # set by nobody, and nobody's error in godotenv
    return found


def _end(pattern: re.Pattern[str], text: str, start: int) -> int:
    match = pattern.match(text, start)
    return match.end() if match else start


def _meant(value: re.Match[str], found: Mapping[str, str]) -> str:
    if (raw := value["raw"]) is not None:
        return raw.strip("'")
    if (double := value["double"]) is not None:
        broken = _ESCAPE.sub(
            lambda escape: {"n": "\n", "r": "\r"}.get(escape[1], escape[0]), double.strip('"')
        )
        return _expanded(_ESCAPED.sub(r"\1", broken), found)
    comment = _COMMENT.match(value["plain"])
    return _expanded((comment[1] if comment else value["plain"]).strip(_BLANKS), found)


def _expanded(text: str, found: Mapping[str, str]) -> str:
    def put(reference: re.Match[str]) -> str:
        if reference[1]:
            return reference[0][1:]
        return found.get(reference[2], "") if reference[2] else reference[0]

    return _REFERENCE.sub(put, text)
