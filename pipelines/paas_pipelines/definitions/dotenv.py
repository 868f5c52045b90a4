r"""Dotenv files, by the rules of godotenv 1.5.1, which prunner reads them with.

`export ` before a name, `KEY: value` beside `KEY=value`, comments, quoted values of several lines; `\n` and
`${NAME}` in double quotes, `${NAME}` without quotes, of names set further up in the same file. What a file
says is not quoted in an error: it may be a secret.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from paas_runner.errors import Exit, RunnerError

_BLANKS = "\t\v\f\r \x85\xa0"
_NAME = re.compile(
    rf"(?>(?:\s|#[^\n]*)*)(?:export[{_BLANKS}]+)?(?P<name>[\w.{_BLANKS}]*)(?P<end>[=:][{_BLANKS}]*|\Z)?"
)
_VALUE = re.compile(
    r"""'(?P<raw>.*?)(?<!\\)'|"(?P<double>.*?)(?<!\\)"|(?!['"])(?P<plain>[^\n\r]*)""", re.DOTALL
)
_COMMENT = re.compile(rf"(.*[{_BLANKS}])#", re.DOTALL)  # the last one, as in 1.5.1
_ESCAPE = re.compile(r"\\([^$])")
_LINE_BREAKS = {"n": "\n", "r": "\r"}
_REFERENCE = re.compile(r"(\\)?\$\(?\{?([A-Z0-9_]+)?\}?")


class DotenvError(RunnerError):
    """A file that cannot be read or understood: fatal."""

    exit_code = Exit.CONFIG


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
        found |= _parsed(str(file), data.decode("utf-8-sig", "surrogateescape").replace("\r\n", "\n"))
    return found


def _parsed(file: str, text: str) -> dict[str, str]:
    if "\0" in text:
        raise _malformed(file, text, text.index("\0"), "a character with the code 0")
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        if not (name := _NAME.match(text, at)) or name["end"] is None:
            position = name.end() if name else at
            raise _malformed(file, text, position, "an unexpected character in the name of a variable")
        if not (value := _VALUE.match(text, name.end())):
            raise _malformed(file, text, name.end(), "a quoted value without its end")
        found[name["name"].rstrip() if name["end"] else ""] = _meant(value, found)
        at = value.end()
    found.pop("", None)  # set by nobody, and nobody's error in godotenv
    return found


def _malformed(file: str, text: str, at: int, what: str) -> DotenvError:
    line = text.count("\n", 0, at) + 1
    return DotenvError(f"loading env file {file}: {what}\n{file}:{line}")


def _meant(value: re.Match[str], found: Mapping[str, str]) -> str:
    if (raw := value["raw"]) is not None:
        return raw.strip("'")
    if (double := value["double"]) is not None:
        unescaped = _ESCAPE.sub(lambda escape: _LINE_BREAKS.get(escape[1], escape[1]), double.strip('"'))
        return _expanded(unescaped, found)
    comment = _COMMENT.match(value["plain"])
    return _expanded((comment[1] if comment else value["plain"]).strip(_BLANKS), found)


def _expanded(text: str, found: Mapping[str, str]) -> str:
    def put(reference: re.Match[str]) -> str:
        if reference[1]:
            return reference[0][1:]
        return found.get(reference[2], "") if reference[2] else reference[0]

    return _REFERENCE.sub(put, text)
