"""Short forms that browsers post, and where they come from; for every part of a site that has some."""

from urllib.parse import parse_qs

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request

MOST_FORM_BYTES = 4096


async def posted_form(
    request: Request, *, most_bytes: int = MOST_FORM_BYTES, most_fields: int = 10
) -> dict[str, str]:
    """The fields of a form, the first of each name; raises `HTTPException` for what is longer or is none."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > most_bytes:
            raise HTTPException(413)
    try:
        fields = parse_qs(
            body.decode("latin-1"), encoding="utf-8", errors="replace", max_num_fields=most_fields
        )
    except ValueError:
        raise HTTPException(400) from None
    return {name: values[0] for name, values in fields.items()}


def is_https(request: Request) -> bool:
    """Whether the browser came through a proxy with TLS; whoever lies about it harms himself alone."""
    return request.headers.get("x-forwarded-proto", request.url.scheme) == "https"


def is_from_own_page(request: Request) -> bool:
    """Whether a browser says that a page of this very origin posts this.

    Browsers tell it in `Sec-Fetch-Site`, by plain HTTP in `Origin` alone, which a page with the policy
    `no-referrer` keeps to itself. No page can make up either, nor the host that a proxy passes on.
    """
    if site := request.headers.get("sec-fetch-site"):
        return site == "same-origin"
    return _is_of_this_host(request)


def is_from_another_page(connection: HTTPConnection) -> bool:
    """Whether a browser says that a page of another origin asks for this; programs say nothing of it."""
    if site := connection.headers.get("sec-fetch-site"):
        return site in ("cross-site", "same-site")
    return "origin" in connection.headers and not _is_of_this_host(connection)


def _is_of_this_host(connection: HTTPConnection) -> bool:
    hosts = (connection.headers.get("host"), connection.headers.get("x-forwarded-host"))
    origin = connection.headers.get("origin", "").partition("://")[2]
    return bool(origin) and origin in hosts
