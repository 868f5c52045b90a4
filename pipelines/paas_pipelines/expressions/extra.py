"""The libraries of the extra `paas-pipelines[automation]`, imported where a feature needs one.

Without any new key a file needs none of them, and so does the server.
"""

import functools
import importlib
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

USES: Mapping[str, str] = {
    "cel_expr_python": "expressions",
    "re2": "patterns",
    "cronsim": "schedules with cron",
    "cryptography": "stored credentials",
    "authlib": "the login of people",
}
"""What each is for."""


class MissingExtraError(ValueError):
    """A library that is not installed."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} needs: pip install 'paas-pipelines[automation]'")


@functools.cache
def extra(module: str, what: str) -> Any:
    """A module of an optional library; raises `MissingExtraError`, which says for `what` it is needed."""
    try:
        return importlib.import_module(module)
    except ImportError:
        raise MissingExtraError(what) from None


def missing() -> Sequence[str]:
    """What cannot be used here."""
    return [use for module, use in USES.items() if find_spec(module) is None]
