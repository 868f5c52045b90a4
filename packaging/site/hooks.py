"""What MkDocs calls while it builds the site: pages get their tables, and links that hold there, too."""

import re
from pathlib import Path
from typing import Any

import lifecycle
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.pages import Page
from pymdownx.slugs import slugify
from tables import filled

_OUTSIDE = re.compile(r"\[([^\]]+)\]\(\.\./[^)]+\)")
_MERMAID = re.compile(r"^```mermaid\n.*?^```\n", re.MULTILINE | re.DOTALL)
"""The repository's own pages draw it; here a program of someone else's would be loaded for it."""

_BY_FILE = re.compile(r"\[(?:docs/)?([\w-]+)\.md\](?=\(([\w/.-]+\.md)(?:#[^)]*)?\))")
_TITLE = re.compile(r"^# (.+)$", re.MULTILINE)
_DOCS = Path(__file__).parents[2] / "docs"
_WIDE = ("comparison.md", "metrics.md", "plans/comparison.md", "protocols.md")
"""Their tables need the room of the contents beside them."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Headings get the anchors that they have in the repository."""
    config.mdx_configs.setdefault("toc", {})["slugify"] = slugify(case="lower")
    return config


def on_page_markdown(markdown: str, *, page: Page, **_: Any) -> str:
    """Tables, the drawing of a job's life, and no links to files that only the repository has."""
    try:
        text = filled(markdown)
    except (KeyError, ValueError, OSError) as error:
        raise PluginError(f"{page.file.src_uri}: {error!r}") from error
    if page.file.src_uri in _WIDE:
        page.meta["hide"] = ["toc"]
    text = _MERMAID.sub(lambda found: lifecycle.drawing(found[0]), text)
    text = _BY_FILE.sub(lambda found: f"[{_title(page, found[2])}]", text)
    return _OUTSIDE.sub(r"\1", text) if "/" not in page.file.src_uri else text


def _title(page: Page, target: str) -> str:
    """What a page is called to which a link leads that has its file's name for words."""
    text = (_DOCS / page.file.src_uri).parent.joinpath(target).read_text()
    found = _TITLE.search(text)
    return found[1] if found else target
