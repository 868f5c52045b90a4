"""The site is built without a warning, shows what it should, and needs nobody else."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from executors.clever.settings import CleverSettings
from executors.local_docker.settings import LocalDockerSettings
from paas_runner.config.model import Config
from paas_runner.config.runner import Runner
from paas_runner.settings import declared
from tests.support.site_program import ROOT

pytestmark = pytest.mark.long

_ADDRESSES = ("src", "href", "srcset", "data", "poster", "action")
_ELSEWHERE = re.compile(r"(https?:)?//", re.IGNORECASE)


class Page(HTMLParser):
    """What a browser would load, and the words that stand in paragraphs."""

    def __init__(self, text):
        super().__init__()
        self.loaded, self.paragraphs, self.tables, self._open = [], [], 0, []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self._open.append(tag)
        self.tables += tag == "table"
        if tag == "p":
            self.paragraphs.append("")
        if tag == "a":
            return  # followed by a person only
        given = dict(attrs)
        if tag == "link" and given.get("rel") in ("canonical", "prev", "next"):
            return
        self.loaded += [given[name] for name in _ADDRESSES if given.get(name)]
        self.loaded += re.findall(r"url\(([^)]*)\)", given.get("style") or "")

    def handle_endtag(self, tag):
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data):
        if "p" in self._open and "code" not in self._open:
            self.paragraphs[-1] += data


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environ = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site):
    return {str(path.relative_to(site)): Page(path.read_text()) for path in sorted(site.rglob("*.html"))}


def test_each_document_is_a_page(pages):
    documents = {
        str(path.relative_to(ROOT / "docs").with_suffix(".html")) for path in (ROOT / "docs").rglob("*.md")
    }
    assert documents <= set(pages)


def test_no_page_loads_anything_from_elsewhere(site, pages):
    for name, page in pages.items():
        assert [address for address in page.loaded if _ELSEWHERE.match(address.strip("'\" "))] == [], name
        for address in page.loaded:
            place = (site / name).parent / address.partition("?")[0].partition("#")[0]
            assert (
                address.startswith(("data:", "javascript:", "#")) or place.exists() or name == "404.html"
            ), address


def test_no_style_loads_anything_from_elsewhere(site):
    for path in site.rglob("*.css"):
        text = path.read_text()
        assert re.findall(r"url\(\s*['\"]?(?:https?:)?//[^)]*\)|@import[^;]*//", text) == [], path


def test_no_page_has_what_makes_the_theme_load_a_program(site):
    for path in site.rglob("*.html"):
        assert not re.search(r'class="(?:[^"]* )?mermaid[ "]', path.read_text()), path


def test_tables_and_drawings_are_made(site, pages):
    assert pages["protocols.html"].tables >= 12
    assert pages["comparison.html"].tables >= 2
    reference = (site / "reference.html").read_text()
    for cls in (Config, Runner, CleverSettings, LocalDockerSettings):
        for key in declared(cls):
            assert f"<code>{key.written}</code>" in reference
    assert 'class="lifecycle"' in (site / "architecture.html").read_text()
    for path in site.rglob("*.html"):
        assert "<!-- table:" not in path.read_text(), path


def test_lists_and_tables_are_such_and_no_running_text(pages):
    for name, page in pages.items():
        for paragraph in page.paragraphs:
            assert not re.search(r"\n\s*([-*] |\d+\. |\|)", paragraph), f"{name}: {paragraph}"
