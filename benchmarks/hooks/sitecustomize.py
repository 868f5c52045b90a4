"""Counts what a program writes into its SQLite files: put this folder into its PYTHONPATH.

At its end a JSON object goes into the file that `BENCHMARK_WRITES` names: how often each verb met each table,
and how many transactions were committed.
"""

import atexit
import json
import os
import re
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

_WRITE = re.compile(
    r"\s*(?:(COMMIT)|(INSERT|REPLACE|UPDATE|DELETE)\s+(?:OR\s+\w+\s+)?(?:INTO\s+|FROM\s+)?(\w+))",
    re.IGNORECASE,
)
_counted: Counter[str] = Counter()
_connect = sqlite3.connect


def _seen(statement: str) -> None:
    if found := _WRITE.match(statement):
        _counted["commit" if found[1] else f"{found[2].lower()} {found[3].lower()}"] += 1


def _counting(*arguments: Any, **options: Any) -> sqlite3.Connection:
    connection: sqlite3.Connection = _connect(*arguments, **options)
    connection.set_trace_callback(_seen)
    return connection


def _report(path: Path) -> None:
    path.write_text(json.dumps(_counted))


if target := os.environ.get("BENCHMARK_WRITES"):
    sqlite3.connect = _counting  # type: ignore[assignment]
    atexit.register(_report, Path(target))
