"""Values into HTML: the templates, and what every text goes through before it is in a page.

Names and texts are others' words. All that a template shows is cleaned (`clean`), then escaped by jinja2;
neither can be forgotten, since no template does it by itself.
"""

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from importlib.resources import files
from typing import Any

import attrs
import jinja2
from markupsafe import Markup, escape

from paas_runner.logs import redactor
from paas_runner.plain_text import printable, short_span, span
from paas_runner.web.drawing import bar, meter

LONGEST_TEXT = 2000
"""So much of a text is shown."""

_QUOTED = re.compile("`([^`]*)`")
_PACKAGE = "paas_runner.web"
_TYPES = {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}


@attrs.frozen(kw_only=True)
class StaticFile:
    """One of the few files that pages load; `tag` is another one as soon as the content is."""

    content: bytes
    media_type: str
    tag: str


def static_files() -> Mapping[str, StaticFile]:
    """All of them, by name."""
    folder = files(_PACKAGE) / "static"
    return {name: _static(folder.joinpath(name).read_bytes(), kind) for name, kind in _TYPES.items()}


def _static(content: bytes, media_type: str) -> StaticFile:
    tag = hashlib.sha256(content).hexdigest()[:16]
    return StaticFile(content=content, media_type=media_type, tag=f'"{tag}"')


class Templates:
    """The templates of this package, ready to be filled in."""

    def __init__(self) -> None:
        folder = files(_PACKAGE) / "templates"
        names = [entry.name for entry in folder.iterdir() if entry.name.endswith(".html")]
        self._environment = jinja2.Environment(
            loader=jinja2.DictLoader({name: folder.joinpath(name).read_text() for name in names}),
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
