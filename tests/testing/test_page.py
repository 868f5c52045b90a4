"""The page for authors of executors is true: its blocks are run, one after the other."""

import re
from pathlib import Path

import pytest

from paas_runner import testing

PAGE = (Path(__file__).parents[2] / "docs" / "testing.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def stories():
    names = {}
    exec("\n".join(BLOCKS), names)
    return {name: story for name, story in names.items() if name.startswith("test_")}


def test_the_page_has_stories():
    assert len(stories()) == "\n".join(BLOCKS).count("def test_") == 3


@pytest.mark.parametrize("name", stories())
def test_what_the_page_shows_is_so(name):
    stories()[name]()


def test_the_page_names_all_that_is_shipped():
    assert [name for name in testing.__all__ if f"`{name}" not in PAGE] == []
