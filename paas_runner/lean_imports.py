"""Libraries without parts that we never use, and that would take time at each start of a program of ours.

Each of them does without where it cannot import what those parts need. This is for processes of ours alone:
who imports us into a program of his own gets the libraries as they are. The times are processor time, of an
import with and without.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import cast

_ABSENT = cast("ModuleType", None)  # ends an import of what has it in `sys.modules`


def import_structlog_without_rich() -> None:
    """Where rich is installed structlog imports it, for tracebacks that we do not show: 60 ms a start.

    httpx does so, too, with click and Pygments, for its own command line: 120 ms. It does without for good.
    """
    sys.modules.setdefault("httpx._main", _ABSENT)
    with _absent("rich"):
        import structlog  # noqa: F401 - from here on it is there, and did without


@contextmanager
def _absent(name: str) -> Iterator[None]:
    """As if it were not installed, unless it is imported already; afterwards it may be imported.

    A command that shows tables on a terminal does so: it imports rich when it has something to show.
    """
    if name in sys.modules:
        yield
        return
    sys.modules[name] = _ABSENT
    try:
        yield
    finally:
        del sys.modules[name]
