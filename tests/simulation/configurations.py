"""Configurations of a simulated world, each read once: hundreds of its starts are by the same file."""

from pathlib import Path

from paas_runner.config import Config, load


class Configurations:
    """By what the file says."""

    def __init__(self, executors) -> None:
        self._executors = executors
        self._last: dict[Path, str] = {}
        self._read: dict[tuple[Path, str], Config] = {}

    def of(self, path: Path, text: str) -> Config:
        """The file has that text from now on."""
        if self._last.get(path) != text:
            path.write_text(text)
            self._last[path] = text
        if (path, text) not in self._read:
            self._read[path, text] = load(path, environ={}, executors=self._executors)
        return self._read[path, text]
