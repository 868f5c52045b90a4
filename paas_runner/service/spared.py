"""Libraries that others load in case somebody wants them, and a service does not: a fifth of its start.

structlog has rich draw tracebacks on terminals, where ours are text before they come to it; httpx brings its
own command line, with click, rich and pygments. Both do without where those are not installed.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

_UNWANTED_AT_IMPORT = ("rich",)
_UNWANTED = ("httpx._main",)


def spare() -> None:
    """Load structlog as if rich were not installed, and let httpx find no command line of its own.

    To be called before either is imported; afterwards it changes nothing.
    """
    modules: dict[str, ModuleType | None] = sys.modules  # type: ignore[assignment]  # None: not to be found
    for name in _UNWANTED:
        modules.setdefault(name, None)
    with _hidden(modules):
        import structlog  # noqa: F401 - it is there for whoever imports it next


@contextmanager
def _hidden(modules: dict[str, ModuleType | None]) -> Iterator[None]:
    """What is loaded already stays as it is."""
    absent = [name for name in _UNWANTED_AT_IMPORT if name not in modules]
    modules.update(dict.fromkeys(absent))
    try:
        yield
    finally:
        for name in absent:
            del modules[name]
