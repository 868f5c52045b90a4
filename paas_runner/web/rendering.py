"""Values into HTML: the templates, and what every text goes through before it is in a page.

Names and texts are others' words. All that a template shows is cleaned (`clean`), then escaped by jinja2;
neither can be forgotten, since no template does it by itself.
"""

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from importlib.resources import files
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

import attrs
import jinja2
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import Response

from paas_runner.logs import redactor
from paas_runner.plain_text import printable, short_span, span
from paas_runner.web.drawing import bar, meter

LONGEST_TEXT = 2000
"""So much of a text is shown."""

_QUOTED = re.compile("`([^`]*)`")
_PACKAGE = "paas_runner.web"
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@attrs.frozen(kw_only=True)
class StaticFile:
    """One of the few files that pages load; `tag` is another one as soon as the content is."""

    content: bytes
    media_type: str
    tag: str

    def answer(self, request: Request) -> Response:
        """All of it, or that the browser has it already."""
        headers = {"ETag": self.tag, "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == self.tag:
            return Response(status_code=304, headers=headers)
        return Response(self.content, media_type=self.media_type, headers=headers)


def static_files(*packages: str) -> Mapping[str, StaticFile]:
    """All of them, by name, and those of other packages."""
    found = [entry for package in (_PACKAGE, *packages) for entry in (files(package) / "static").iterdir()]
    return {entry.name: _static(entry.read_bytes(), _TYPES[PurePath(entry.name).suffix]) for entry in found}


def _static(content: bytes, media_type: str) -> StaticFile:
    tag = hashlib.sha256(content).hexdigest()[:16]
    return StaticFile(content=content, media_type=media_type, tag=f'"{tag}"')


class Templates:
    """The templates of this package, ready to be filled in; another one's replace those of their names."""

    def __init__(self, *packages: str) -> None:
        found = [entry for each in (_PACKAGE, *packages) for entry in (files(each) / "templates").iterdir()]
        texts = {entry.name: entry.read_text() for entry in found if entry.name.endswith(".html")}
        self._environment = jinja2.Environment(
            loader=jinja2.DictLoader(texts),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            finalize=clean,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters |= {
            "amount": amount,
            "bar": bar,
            "clock": clock,
            "day": day,
            "meter": meter,
            "money": money,
            "said": said,
            "short_span": short_span,
            "span": span,
            "urlencode": partial(quote, errors="replace"),  # names may have halves of characters
        }

    def page(self, name: str, **values: Any) -> str:
        """The page of that template."""
        return self._environment.get_template(f"{name}.html").render(values)


def clean(value: object) -> object:
    """A text without control characters, marks that turn the writing around, secrets, and its rest."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return "" if value is None else value
    text = redactor.beginning(value, LONGEST_TEXT)
    return text if text.isprintable() else printable(text)


def said(text: str) -> Markup:
    """A sentence of ours: what stands between backquotes is code."""
    return Markup(_QUOTED.sub(r"<code>\1</code>", str(escape(clean(text)))))  # noqa: S704 - escaped right here


def clock(at: datetime) -> Markup:
    """The time of a day, for people and for programs."""
    return Markup('<time datetime="{}">{}</time>').format(at.isoformat(timespec="seconds"), f"{at:%H:%M:%S}")


def day(at: datetime) -> Markup:
    """Day and time."""
    return Markup('<time datetime="{}">{}</time>').format(
        at.isoformat(timespec="seconds"), f"{at:%Y-%m-%d %H:%M:%S}"
    )


def amount(value: float | None) -> str:
    """A number that is as exact as it matters; unknown is a question mark."""
    return "?" if value is None else f"{round(value, 1):g}"


def money(value: float | None) -> str:
    """A cost or a price in the provider's unit; unknown is a dash."""
    return "–" if value is None else f"{value:,.4f}".rstrip("0").rstrip(".") if value < 1 else f"{value:,.2f}"
