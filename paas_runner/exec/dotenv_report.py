"""`artifacts:reports:dotenv`: the variables that a job leaves for later ones, as GitLab reads them.

`NAME=value` in each line, and nothing else: no comment, no empty line, no quotes that would be removed; at
most 5 KiB (doc/ci/yaml/artifacts_reports.md). What a PowerShell writes, UTF-16 with its mark, is read, too.
"""

import re
import zlib
from collections.abc import Iterator

from paas_runner.job.variables import Variable
from paas_runner.pipelines.reports import Artifact

DOTENV = "dotenv"
MOST_BYTES = 5 * 1024
_NAME = re.compile(r"[A-Za-z0-9_]+")


class DotenvError(ValueError):
    """The text says which line is wrong, and quotes none."""


def variables(content: bytes) -> Iterator[Variable]:
    """Of a report, as it is stored: gzip; raises `DotenvError`."""
    try:
        unpacked = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(content, MOST_BYTES + 1)
    except zlib.error:
        raise DotenvError("it is not compressed") from None
    if len(unpacked) > MOST_BYTES:
        raise DotenvError(f"it is larger than {MOST_BYTES >> 10} KiB")
    encoding = "utf-16" if unpacked[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    text = unpacked.decode(encoding, errors="replace")
    for number, line in enumerate(text.removesuffix("\n").split("\n") if text else (), 1):
        name, equals, value = line.partition("=")
        if not equals or not _NAME.fullmatch(name.strip()) or "\0" in value:
            raise DotenvError(f"line {number}: NAME=value was expected")
        yield Variable(key=name.strip(), value=value.strip(), public=True)


def refusal(artifact: Artifact) -> str:
    """Why it is not taken; empty where it is, or is no such report."""
    if artifact.kind == DOTENV:
        try:
            list(variables(artifact.read()))
        except DotenvError as error:
            return f"the dotenv report cannot be read: {error}"
    return ""
