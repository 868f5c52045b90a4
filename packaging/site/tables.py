"""The tables that a page of docs/ names by a comment, `<!-- table: NAME -->`.

The repository shows the data behind them; the site and the Debian package have the tables themselves.
"""

import re
from collections.abc import Callable
from functools import partial

import comparison
import protocols
import reference

_TABLE = re.compile(r"^<!-- table: ([\w-]+) -->$", re.MULTILINE)

TABLES: dict[str, Callable[[], str]] = {
    **{f"protocol-{name}": partial(protocols.table, name) for name in protocols.protocols()},
    "comparison": comparison.table,
    "reference": reference.table,
}


def filled(markdown: str) -> str:
    """With its tables; raises `KeyError`, `ValueError` or `OSError` for one that cannot be made."""
    return _TABLE.sub(lambda found: TABLES[found[1]](), markdown)
