"""A job's payload into shell scripts: pure, nothing is run or written here."""

import shlex
from collections.abc import Mapping
from pathlib import PurePath

import attrs

from paas_runner.inner.job import Job, Workspace, mappings
from paas_runner.inner.trace import echo

_AFTER_SCRIPT = "after_script"
_EXPORT = 'case "$line" in *=*) export "$line" ;; esac'
_RELEASE = "release"  # its lines are the coordinator's, not the author's, and are expanded


@attrs.frozen(kw_only=True)
class Script:
    """Commands that share a shell."""

    name: str
    commands: tuple[str, ...]
    workspace: Workspace
    environment: Mapping[str, str] = attrs.field(repr=False)
    files: Mapping[PurePath, str] = attrs.field(repr=False)
    debug: bool = False

    def text(self) -> str:
        """The script for bash or sh: each command is shown, then run; the first failure ends it."""
        saved = shlex.quote(str(self.workspace.gitlab_env))
        lines = [
            f"if [ -f {saved} ]; then while IFS= read -r line; do {_EXPORT}; done < {saved}; fi",
            "set -e",
            "if (set -o pipefail) 2>/dev/null; then set -o pipefail; fi",
            "set +o noclobber",
        ]
        if self.debug:
            lines.append("set -o xtrace")
        for command in self.commands:
            lines += [f"printf '%s\\n' {shlex.quote(echo(command))}", command.strip()]
        return "\n".join(lines) + "\n"

    def knowing(self, status: str) -> "Script":
        """The same with the job's status so far."""
        return attrs.evolve(self, environment={**self.environment, "CI_JOB_STATUS": status})


@attrs.frozen(kw_only=True)
class JobScripts:
    """All that is run for one job; None where there is nothing to run."""

    steps: tuple[Script, ...]
    after_script: Script | None
    before_sources: Script | None
    after_sources: Script | None


NO_SCRIPTS = JobScripts(steps=(), after_script=None, before_sources=None, after_sources=None)


def job_scripts(job: Job) -> JobScripts:
    """The steps of a job in order, its after_script, and what is run around its sources."""

    def script(name: str, *commands: str) -> Script | None:
        wanted = Script(
            name=name,
            commands=commands,
            workspace=job.workspace,
            environment=job.variables.environment,
            files=job.variables.files,
            debug=job.debug_trace,
        )
        return wanted if commands else None

    section, raw = job.section, job.payload.raw
    steps = {name.lower(): lines for name, lines in _scripts(raw.get("steps")).items()}
    hooks = _scripts(raw.get("hooks"))
    after = steps.pop(_AFTER_SCRIPT, ())
    if _RELEASE in steps:
        steps[_RELEASE] = tuple(job.variables.expand(line) for line in steps[_RELEASE])
    around = _some(section.pre_build_script), _some(section.post_build_script)
    before = (*_some(section.pre_get_sources_script), *hooks.get("pre_get_sources_script", ()))
    behind = (*hooks.get("post_get_sources_script", ()), *_some(section.post_get_sources_script))
    return JobScripts(
        steps=tuple(
            found
            for name, lines in steps.items()
            if (found := script(f"step_{name}", *around[0], *lines, *around[1])) is not None
        ),
        after_script=script(_AFTER_SCRIPT, *after),
        before_sources=script("pre_get_sources", *before),
        after_sources=script("post_get_sources", *behind),
    )


def _scripts(entries: object) -> dict[str, tuple[str, ...]]:
    return {
        str(entry.get("name", "")): tuple(str(line) for line in entry.get("script") or ())
        for entry in mappings(entries)
    }


def _some(text: str) -> tuple[str, ...]:
    return (text,) if text.strip() else ()
