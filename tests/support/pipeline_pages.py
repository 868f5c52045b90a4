"""The pages of the pipelines server, asked as a browser asks, and what is on them."""

import contextlib
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from typing import Any

import attrs
import httpx
from paas_pipelines.api.access import signed_token
from paas_pipelines.api.served import Served
from paas_pipelines.pages.framing import form_token
from paas_pipelines.pages.site import PipelinePages

from tests.support.served_pipelines import SECRET, ServedPipelines, serving

OF_OUR_PAGES = {"Sec-Fetch-Site": "same-origin"}


def token(user: str = "alice", **claims: Any) -> str:
    return signed_token(SECRET, {"sub": user, **claims})


class Seen(HTMLParser):
    """The words of a page, and its tags with their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.words: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of all tags of that name."""
        return [attributes for name, attributes in self.tags if name == tag]

    def links(self) -> set[str]:
        """All that leads elsewhere or is loaded, but those within the page."""
        found = {each[key] for _, each in self.tags for key in ("href", "src", "action") if each.get(key)}
        return {link for link in found if link and not link.startswith("#")}


@attrs.frozen(kw_only=True)
class Visited:
    """The server, and the browser of somebody who has logged in."""

    world: ServedPipelines
    browser: httpx.AsyncClient

    async def read(self, path: str, status: int = 200) -> Seen:
        answer = await self.browser.get(path)
        assert answer.status_code == status, answer.text
        return Seen(answer.text)

    async def post(self, path: str, **fields: str) -> httpx.Response:
        return await self.browser.post(path, data=fields)

    async def submit(self, path: str, *, user: str = "alice", **fields: str) -> httpx.Response:
        """The same by a form of a page that was shown to this user."""
        return await self.post(path, csrf=form_token(SECRET, user), **fields)


@contextlib.asynccontextmanager
async def visiting(parts: Served, **options: Any) -> AsyncIterator[Visited]:
    """On a socket, until the end of the block."""
    async with serving(parts, own_routes=PipelinePages(parts).routes(), **options) as world:
        url = f"http://127.0.0.1:{world.port}"
        async with httpx.AsyncClient(
            base_url=url, headers=OF_OUR_PAGES, cookies={"jwt": token()}, timeout=60
        ) as browser:
            yield Visited(world=world, browser=browser)
