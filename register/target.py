"""The configuration file that gets the section: rehearsed before anything is registered, then written.

What is written has been read back by the service's own loader. Complaints that the file earns already are
mentioned, not held against the new section.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import attrs

from paas_runner.config import Config, ConfigError, load
from paas_runner.config.complaints import Complaint
from paas_runner.config.secret_references import read_secrets_file
from paas_runner.config.sections import Executors
from paas_runner.errors import RunnerError
from register import document, private_file
from register.document import Draft, UneditableError

PLACEHOLDER = "glrt-to-be-registered"


class UnwritableError(RunnerError):
    """A file or folder cannot be made or written."""


@attrs.frozen(kw_only=True)
class Target:
    """Where the section goes; a relative `secrets_file` begins at the configuration's folder."""

    config: Path
    beginning: str = ""
    """Of a configuration that does not exist yet."""

    secrets_file: Path | None = None
    secret_keys: Collection[str]
    """Those of the section."""

    environ: Mapping[str, str] = attrs.field(repr=False)
    executors: Executors

    def present(self) -> Config | ConfigError | None:
        """What is there now, or what is wrong with it; None if nothing is."""
        if not self.config.exists():
            return None
        try:
            return load(self.config, environ=self.environ, executors=self.executors)
        except ConfigError as error:
            return error

    def table(self) -> Mapping[str, Any]:
        """What the file says now, if anything; raises `ConfigError`, `UneditableError`, `UnwritableError`."""
        with described_errors(self.config):
            text = private_file.content(self.config) or ""
        try:
            return document.parsed(text)
        except UneditableError:
            if isinstance(fault := self.present(), ConfigError):  # it names the line
                raise fault from None
            raise

    def try_writing(self) -> None:
        """Find out early whether the file could be replaced; raises `UnwritableError`."""
        with ExitStack() as undo:
            make_folder(self.config.resolve().parent, undo)
            with described_errors(self.config), private_file.candidate(self.config, ""):
                return

    def rehearse(self, draft: Draft) -> None:
        """Do all that `write` does but for the last step, with secrets where they are.

        Raises `ConfigError`, `UneditableError`, `UnwritableError`.
        """
        with described_errors(self.config), private_file.locked_folder(self.config.resolve().parent):
            text = document.with_section(self._text(), draft.table)
            with private_file.candidate(self.config, text) as new:
                self._check(new)
        if self.secrets_file:
            with described_errors(self.secrets_file):
                present = private_file.content(self.secrets_file) or ""
                with private_file.candidate(self.secrets_file, document.with_entries(present, {})):
                    return

    def write(self, draft: Draft) -> None:
        """Add the section, and its secrets to their file; both or none. Raises as `rehearse`."""
        with (
            described_errors(self.config),
            private_file.locked_folder(self.config.resolve().parent),
            self._secrets_apart(draft) as section,
        ):
            text = document.with_section(self._text(), section.table)
            with private_file.candidate(self.config, text) as new:
                self._check(new)
                private_file.put_in_place(new, self.config)

    def _text(self) -> str:
        present = private_file.content(self.config)
        return self.beginning if present is None else present

    @contextmanager
    def _secrets_apart(self, draft: Draft) -> Iterator[Draft]:
        """The section with references, whose secrets are in their file unless the block fails."""
        if self.secrets_file is None:
            yield draft
            return
        with described_errors(self.secrets_file):
            present = private_file.content(self.secrets_file)
            taken = read_secrets_file(self.secrets_file).values if present else ()
            section, secrets = draft.with_secrets_apart(self.secret_keys, taken=taken)
            if secrets:
                section.put("secrets_file", str(self.secrets_file))
                private_file.replace(self.secrets_file, document.with_entries(present or "", secrets))
        try:
            yield section
        except BaseException:
            if present is None:
                self.secrets_file.unlink(missing_ok=True)
            else:
                private_file.replace(self.secrets_file, present)
            raise

    def _check(self, new: Path) -> None:
        """Load the new content as the service would; raises `ConfigError` for what is wrong only now."""
        try:
            load(new, environ=self.environ, executors=self.executors)
        except ConfigError as error:
            before = self.present()
            known = set(map(_gist, before.complaints)) if isinstance(before, ConfigError) else set()
            fresh = [each for each in error.complaints if _gist(each) not in known]
            if fresh:
                raise ConfigError(attrs.evolve(each, path=self.config) for each in fresh) from None


def _gist(complaint: Complaint) -> tuple[str, ...]:
    """What stays the same of a complaint when the file changes elsewhere."""
    return complaint.key, complaint.found, complaint.expected


def make_folder(folder: Path, undo: ExitStack) -> None:
    """Make `folder` and what is missing above it, until `undo`; a file can be made in it.

    Raises `UnwritableError`.
    """
    with described_errors(folder):
        private_file.make_folders(folder, undo)
        with private_file.candidate(folder / "probe", ""):
            return


@contextmanager
def described_errors(path: Path) -> Iterator[None]:
    """What goes wrong with the file `path` inside the block becomes an `UnwritableError`."""
    try:
        yield
    except OSError as error:
        raise UnwritableError(f"{error.filename or path} cannot be written: {error.strerror}") from error
    except UnicodeDecodeError:
        raise UnwritableError(f"{path} is not UTF-8 text") from None
