"""What the server is started with: prunner's options under their names, and ours beside (§9 of the seed)."""

import sys
from datetime import timedelta
from pathlib import Path

import attrs

from paas_runner.secret import Secret

DEFAULT_PATTERN = "**/pipelines.{yml,yaml}"
DEFAULT_ENV_FILES = (".env", ".env.local")


@attrs.frozen(kw_only=True)
class Settings:
    """All options; the defaults are prunner's."""

    path: Path = Path()
    pattern: str = DEFAULT_PATTERN
    data: Path = Path(".prunner")
    config: Path = Path(".prunner.yml")
    """The dynamic configuration, which has the secret where none is given."""

    jwt_secret: Secret | None = None
    address: str = "localhost:9009"
    """Empty where nobody is to reach it: inside a program that calls it."""

    env_files: tuple[str, ...] = DEFAULT_ENV_FILES
    watch: bool = False
    poll_interval: timedelta = timedelta(seconds=30)
    verbose: bool = False
    disable_ansi: bool = False
    enable_profiling: bool = False
    """Is taken as prunner's, and does nothing: there is no `/debug` (P077, P119)."""

    external_url: str | None = None
    """How hosts and other machines reach this server; needed for tasks elsewhere. Ours."""

    runners: Path | None = None
    """A `config.toml` whose sections with `url = "local:"` are served in this process. Ours."""

    settings: Path | None = None
    """A TOML whose `[pipelines]` has credentials, statements and more; may be that of `runners`. Ours."""

    max_log_bytes: int = 64 * 1024 * 1024
    """Of one stream of one task; what comes after is dropped, with a line that says so. Ours."""

    @property
    def log_level(self) -> str:
        return "debug" if self.verbose else "info"

    @property
    def log_form(self) -> str:
        """Lines for people on a terminal, else logfmt (P078, P096)."""
        on_terminal = sys.stderr is not None and sys.stderr.isatty() and not self.disable_ansi
        return "text" if on_terminal else "logfmt"
