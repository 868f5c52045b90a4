"""What a path or an http(s) URL has, for files named on the command line."""

import asyncio
import base64
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from paas_runner.errors import RemoteError, UsageError
from paas_runner.http import QUICK_TRIES, Http, Response
from paas_runner.secret import Secret
from paas_workflows.definition.document import MOST_BYTES

MOST_REDIRECTS = 5
_ADDRESS = re.compile("https?:", re.IGNORECASE)
_REDIRECTS = (301, 302, 303, 307, 308)


class ReadingError(UsageError):
    """A file or address that gives nothing."""


async def read(source: str) -> bytes:
    """All of it; raises `ReadingError`."""
    try:
        if _ADDRESS.match(source):
            data = await _fetched(source)
        else:
            data = await asyncio.to_thread(_file, Path(source))
    except OSError as error:
        raise ReadingError(f"{shown(source)}: cannot be read: {error.strerror or error}") from None
    except ValueError:
        raise ReadingError(f"{shown(source)}: no address of a file") from None
    if len(data) > MOST_BYTES:
        raise ReadingError(f"{shown(source)}: larger than {MOST_BYTES >> 20} MiB")
    return data


def _file(path: Path) -> bytes:
    with path.open("rb") as opened:
        return opened.read(MOST_BYTES + 1)


async def _fetched(url: str) -> bytes:
    """Redirects are followed, never from https to http; credentials are for the first address alone."""
    asked, parts = url, urlsplit(url)
    headers = {"Authorization": _basic(parts)} if parts.username else {}
    for _ in range(MOST_REDIRECTS + 1):
        answer = await _answer(url, headers)
        if answer.status == 200:
            return answer.body
        further = urljoin(url, answer.headers.get("location", ""))
        allowed = ("https",) if urlsplit(url).scheme == "https" else ("http", "https")
        if answer.status not in _REDIRECTS or urlsplit(further).scheme not in allowed:
            raise ReadingError(f"{shown(asked)}: cannot be read: the server answers {answer.status}")
        url, headers = further, {}
    raise ReadingError(f"{shown(asked)}: cannot be read: more than {MOST_REDIRECTS} redirects")


async def _answer(url: str, headers: Mapping[str, Secret]) -> Response:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    client = Http()(
        f"{parts.scheme}://{host}", service=f"server {parts.hostname}", at_once=1, headers=headers
    )
    try:
        path = url.partition("//")[2].partition("#")[0].removeprefix(parts.netloc)
        return await client.call(
            "GET",
            path,
            op="get a file",
            attempts=QUICK_TRIES,
            most_bytes=MOST_BYTES,
            cut=True,
            redirects=False,
        )
    except RemoteError as error:
        raise ReadingError(f"{shown(url)}: {error.text}") from None
    finally:
        await client.aclose()


def _basic(parts: SplitResult) -> Secret:
    pair = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    return Secret(f"Basic {base64.b64encode(pair.encode()).decode()}")


def shown(source: str) -> str:
    """Without what may be secret in an address: credentials, query, fragment. A path stays as it is."""
    if not _ADDRESS.match(source):
        return source
    head, slashes, rest = re.split(r"[?#]", source, maxsplit=1)[0].rpartition("//")
    return f"{head}{slashes}{rest.rpartition('@')[2] if slashes else rest}"
