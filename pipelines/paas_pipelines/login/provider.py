"""What a provider has to do: say where a browser goes, and whom a code stands for; and how it is asked.

Only addresses of the operator's, or of the document at one of them, are called; redirects are not followed.
"""

from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

import attrs

from paas_pipelines.access.identity import Identity
from paas_runner import foreign_json

if TYPE_CHECKING:
    import httpx

TIMEOUT_SECONDS = 10.0
MOST_BYTES = 1024 * 1024


class LoginError(Exception):
    """Nobody is logged in; the text is for the person, and has nothing secret."""


@attrs.frozen(kw_only=True)
class Begun:
    """What is sent along to the provider."""

    redirect_uri: str
    state: str
    nonce: str
    verifier: str


class Provider(Protocol):
    """One way to log in."""

    async def address(self, begun: Begun) -> str:
        """Where the browser goes; raises `LoginError`."""

    async def identity(self, code: str, begun: Begun) -> Identity:
        """Whom it stands for; raises `LoginError`."""


class Calls:
    """Requests to a provider."""

    def __init__(self, transport: "httpx.AsyncBaseTransport | None" = None) -> None:
        self._transport = transport

    async def asked(self, method: str, url: str, **how: Any) -> tuple[Any, Mapping[str, str]]:
        """What it answers, as JSON, and its headers; raises `LoginError` without anything of a secret."""
        import httpx

        place = f"{method} {url.partition('?')[0]}"
        try:
            async with (
                httpx.AsyncClient(
                    transport=self._transport, timeout=TIMEOUT_SECONDS, follow_redirects=False
                ) as client,
                client.stream(method, url, **how) as answer,
            ):
                body = bytearray()
                async for part in answer.aiter_bytes():
                    body += part
                    if len(body) > MOST_BYTES:
                        raise LoginError(f"the provider's answer to {place} is too long")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise LoginError(f"the provider does not answer to {place}: {type(error).__name__}") from None
        if answer.status_code != 200:
            raise LoginError(f"the provider answers {answer.status_code} to {place}")
        try:
            return foreign_json.loads(bytes(body)), answer.headers
        except ValueError:
            raise LoginError(f"the provider's answer to {place} is no JSON") from None


def library(name: str) -> ModuleType:
    """A module of Authlib or of what comes with it; raises `LoginError`."""
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError:
        raise LoginError("the log-in needs: pip install 'paas-pipelines[automation]' (Authlib)") from None


def text_of(found: Any, name: str, what: str) -> str:
    """One text of an answer; raises `LoginError`."""
    value = found.get(name) if isinstance(found, Mapping) else None
    if not isinstance(value, str) or not value:
        raise LoginError(f"{what} has no {name}")
    return value
