"""Files as operators have them, damaged in the ways in which files are: values or complaints.

What is accepted is handed on as the language's own reader understands the file.
"""

import random
import re
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from paas_runner.config import Config, ConfigError, load
from paas_runner.config.dialect import FORWARDED_KEYS
from paas_runner.config.inline_tables import as_read_here
from paas_runner.executor.contract import ExecutorKind
from tests.support.often import often
from tests.support.real_files import OPERATORS_FILES

EXAMPLES = [path.read_text() for path in sorted((Path(__file__).parent / "examples").glob("*.toml"))]
FILES = [*EXAMPLES, *OPERATORS_FILES]
ODD_VALUES = (
    *('""', '" "', '"$UNSET"', '"${HOST}"', '"a\\nb"', '"\\u0000"', '"\u200b"', "'''\nx\n'''", '"1h30m"'),
    *("true", "false", "0", "-1", "1e999", "nan", "9" * 30, "9" * 5000, "0x1F", "", "= 1"),
    *("[]", "[1, 'a']", "[[]]", "[" * 2000, "{}", "{a = {b = 1}}", "{a = 1,}", "{a = 1,\n # why\n b = 2}"),
    *("1979-05-27T07:32:00Z", "1979-05-27", "07:32:00", '"http://[::1"', '"' + "x" * 5000 + '"'),
)
ODD_BYTES = (
    b"\x00",
    b"\xff",
    b"\r",
    b"\xef\xbb\xbf",
    b'"',
    b"'",
    b"[",
    b"]",
    b"{",
    b"}",
    b"#",
    b"=",
    b"\\",
    b"\xc3\xa9",
)
FEW, MANY = often(150), often(6_000)
LONGEST_SECONDS = 20.0
"""Of one file, on a machine that does much else."""

Attempt = Callable[[bytes], Config | ConfigError]


@pytest.fixture(scope="module")
def attempt(
    tmp_path_factory: pytest.TempPathFactory, executors: Mapping[str, Callable[[], ExecutorKind]]
) -> Attempt:
    path: Path = tmp_path_factory.mktemp("mutated") / "config.toml"

    def try_it(content: bytes) -> Config | ConfigError:
        path.write_bytes(content)
        try:
            return load(path, environ={"HOST": "gitlab.example"}, executors=executors)
        except ConfigError as error:
            return error

    return try_it


def mutated(text: str, rng: random.Random) -> bytes:
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        text = rng.choice(_OF_LINES)(text.splitlines(keepends=True) or ["\n"], rng)
    content = text.encode(errors="surrogatepass")
    if rng.random() < 0.3:
        at = rng.randrange(len(content) + 1)
        content = content[:at] + rng.choice(ODD_BYTES) + content[at + rng.choice((0, 1, 1, 5)) :]
    return content


def _dropped(lines: list[str], rng: random.Random) -> str:
    at = rng.randrange(len(lines))
    return "".join(lines[:at] + lines[at + rng.choice((1, 1, 3)) :])


def _doubled(lines: list[str], rng: random.Random) -> str:
    at = rng.randrange(len(lines))
    return "".join([*lines[: at + 1], lines[at], *lines[at + 1 :]])


def _moved(lines: list[str], rng: random.Random) -> str:
    line = lines.pop(rng.randrange(len(lines)))
    lines.insert(rng.randrange(len(lines) + 1), line)
    return "".join(lines)


def _value_replaced(lines: list[str], rng: random.Random) -> str:
    at = rng.choice([at for at, line in enumerate(lines) if "=" in line] or [0])
    key = lines[at].partition("=")[0].rstrip("\n")
    lines[at] = f"{key}= {rng.choice(ODD_VALUES)}\n"
    return "".join(lines)


def _key_recased(lines: list[str], rng: random.Random) -> str:
    at = rng.randrange(len(lines))
    change = rng.choice((str.upper, str.title, str.swapcase))
    lines[at] = re.sub(r"^\s*\[*[\w.-]+", lambda found: change(found[0]), lines[at])
    return "".join(lines)


def _section_doubled(lines: list[str], rng: random.Random) -> str:
    heads = [at for at, line in enumerate(lines) if line.lstrip().startswith("[")] or [0]
    first = rng.choice(heads)
    end = next((at for at in heads if at > first), len(lines))
    return "".join(lines + lines[first:end])


def _cut_off(lines: list[str], rng: random.Random) -> str:
    text = "".join(lines)
    return text[: rng.randrange(len(text) + 1)]


_OF_LINES: Sequence[Callable[[list[str], random.Random], str]] = (
    _dropped,
    _doubled,
    _moved,
    _value_replaced,
    _value_replaced,
    _key_recased,
    _section_doubled,
    _cut_off,
)


def fingerprint(value: Any) -> Any:
    """By which two readings are compared: whatever the case of a key, and with numbers that are none."""
    if isinstance(value, Mapping):
        return sorted(repr((key.lower(), fingerprint(each))) for key, each in value.items())
    return (
        [fingerprint(each) for each in value]
        if isinstance(value, list)
        else (type(value).__name__, repr(value))
    )


def read_by_the_language(content: bytes) -> Iterator[Any]:
    """For each section what concerns the runner on the host."""
    document = tomllib.loads(as_read_here(content.decode("utf-8-sig")))
    [sections] = [value for key, value in document.items() if key.lower() == "runners"]
    for section in sections:
        yield fingerprint({key: value for key, value in section.items() if key.lower() in FORWARDED_KEYS})


def judge(content: bytes, result: Config | ConfigError) -> None:
    if isinstance(result, Config):
        forwarded = [fingerprint(runner.forwarded) for runner in result.runners]
        assert forwarded == list(read_by_the_language(content))
        return
    assert result.complaints
    assert len(str(result).splitlines()) == len(result.complaints)
    for complaint in result.complaints:
        assert str(complaint).startswith(str(complaint.path))
        assert complaint.line is None or 1 <= complaint.line <= content.count(b"\n") + 1


def go_through(count: int, seed: int, attempt: Attempt) -> None:
    rng = random.Random(seed)
    accepted = 0
    for _ in range(count):
        content = mutated(rng.choice(FILES), rng)
        begin = time.monotonic()
        result = attempt(content)
        assert time.monotonic() - begin < LONGEST_SECONDS, content
        judge(content, result)
        accepted += isinstance(result, Config)
    assert accepted > count // 20, "the files are damaged beyond what an operator does"


@pytest.mark.parametrize("text", FILES)
def test_a_file_is_accepted_before_it_is_damaged(text: str, attempt: Attempt) -> None:
    result = attempt(text.encode())

    assert isinstance(result, Config), str(result)
    judge(text.encode(), result)


def test_a_damaged_file_gives_values_or_complaints(attempt: Attempt) -> None:
    go_through(FEW, 20, attempt)


@pytest.mark.soak
@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", range(4))
def test_many_damaged_files_give_values_or_complaints(seed: int, attempt: Attempt) -> None:
    go_through(MANY // 4, seed, attempt)
