"""What a program reads of itself; it needs the standard library alone, as both programs run it."""

import gc
import json
import os
import sqlite3
import time
from collections import Counter
from pathlib import Path
from typing import Any

STEPS = 5
BUSY = 64
"""How many plans are under way where many are."""


class Statements:
    """What SQLite is told, by the first word: `COMMIT`, `INSERT` and so on."""

    def __init__(self) -> None:
        self.words: Counter[str] = Counter()
        connect = sqlite3.connect

        def connected(*arguments: Any, **others: Any) -> sqlite3.Connection:
            database: sqlite3.Connection = connect(*arguments, **others)
            database.set_trace_callback(lambda text: self.words.update([text.split(None, 1)[0].upper()]))
            return database

        for module in (sqlite3, sqlite3.dbapi2):
            module.connect = connected  # type: ignore[attr-defined]

    @property
    def transactions(self) -> int:
        return self.words["COMMIT"]

    @property
    def writes(self) -> int:
        return sum(self.words[word] for word in ("INSERT", "UPDATE", "DELETE", "REPLACE"))


class Meter:
    """From when it is made until `per_plan` is asked."""

    def __init__(self, statements: Statements | None = None) -> None:
        self._statements = statements
        self._written = (statements.transactions, statements.writes) if statements else (0, 0)
        self._disk = _disk()
        self._seconds, self._cpu = time.perf_counter(), time.process_time()

    def per_plan(self, plans: int) -> dict[str, float]:
        """Plans a second, and what each has taken."""
        seconds, cpu = time.perf_counter() - self._seconds, time.process_time() - self._cpu
        figures = {
            "plans_per_second": plans / seconds,
            "cpu_ms": cpu / plans * 1000,
            "disk_kb": (_disk() - self._disk) / plans / 1000,
        }
        if self._statements:
            transactions, writes = self._written
            figures["transactions"] = (self._statements.transactions - transactions) / plans
            figures["writes"] = (self._statements.writes - writes) / plans
        return figures


def _disk() -> int:
    """Bytes that this process has caused to be written to disks."""
    words = Path("/proc/self/io").read_text().split()
    return int(words[words.index("write_bytes:") + 1])


def memory() -> int:
    """Bytes of this process alone, at rest."""
    gc.collect()
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))


def tell(**figures: float) -> None:
    """One line for who has started this program."""
    print(json.dumps(figures), flush=True)


def end() -> None:
    """At once: what was measured is told, and the rest is not part of it."""
    os._exit(0)
