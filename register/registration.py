"""Registration from its arguments to the written section."""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from paas_runner.config import Config, ConfigError
from paas_runner.config.complaints import Complaint
from paas_runner.config.secret_references import Surroundings, is_literal, read_secrets_file
from paas_runner.config.sections import Executors
from paas_runner.coordinator.runner_records import Attributes, RunnerRecords
from paas_runner.errors import UsageError
from paas_runner.executor.contract import ExecutorKind
from paas_runner.http import Connect, Tls
from register import document
from register.document import Draft, secret_keys
from register.executor_interview import ExecutorInterview, variable_of
from register.interview import Interview, MissingAnswerError
from register.options import Options
from register.own_questions import GIVEN_BY, OwnQuestions
from register.target import Target
from register.terminal import Terminal, held_back
from register.transaction import Transaction


@attrs.frozen(kw_only=True)
class Registration:
    """One runner; without a `terminal` nothing is asked."""

    options: Options
    terminal: Terminal | None
    show: Callable[[str], None]
    connect: Connect
    executors: Executors

    def run(self) -> None:
        """Find everything out, then register and write.

        Raises `UsageError`, `MissingAnswerError`, `AnswerRefusedError`, `RemoteError`, `ConfigError`,
        `UneditableError`, `UnwritableError`, `LeftOverError`, and `InterruptedByUserError`.
        """
        options, target = self.options, self._target()
        draft = Draft(_template(options.template))
        for key, value in options.settings.items():
            draft.put(key, value)
        around = self._around(draft, target.table())
        if self.terminal is None:
            self._refuse_gaps(draft, around)
        with held_back():
            target.try_writing()
        own = self._own_questions(draft, around, self._taken(target))
        folders = [options.config.absolute().parent]
        if not options.config.exists():
            self.show(f"{options.config} is a new file")
            state_file = own.state_file()
            target = attrs.evolve(target, beginning=document.new_document(state_file, own.concurrent()))
            folders.append(Path(state_file).parent)
        draft.put("url", own.url())
        token = own.token(draft.get("url"))
        draft.put("name", own.name())
        attributes = self._attributes(own, draft.get("name"), of_runner=token.of_runner)
        draft.put("executor", own.executor(self.executors))
        kind = self._kind(draft.get("executor"))
        self._executor_interview(kind, draft, around).run()
        target = attrs.evolve(target, secret_keys={"token", *secret_keys(kind.settings)})
        Transaction(
            records=RunnerRecords(url=draft.get("url"), connect=self.connect, tls=own.tls),
            attributes=attributes,
            target=target,
            folders=folders,
            show=self.show,
        ).commit(draft, token)
        self.show(f"✓ the runner {draft.get('name')} is in {options.config}")

    def _target(self) -> Target:
        return Target(
            config=self.options.config,
            secrets_file=self.options.secrets_file,
            secret_keys=(),
            environ=self.options.environ,
            executors=self.executors,
        )

    def _taken(self, target: Target) -> Sequence[str]:
        """The short tokens of the present runners; complaints that the file earns already are mentioned."""
        present = target.present()
        if isinstance(present, Config):
            return [runner.short_token for runner in present.runners]
        if present is not None:
            lines = [str(each) for each in present.complaints if each.key != "runners"]
            if lines:
                self.show("\n".join(["the file has faults already, which are yours to mend:", *lines]))
        return ()

    def _around(self, draft: Draft, present: Mapping[str, Any]) -> Surroundings:
        folder = self.options.config.absolute().parent
        named = self.options.secrets_file or draft.get("secrets_file") or present.get("secrets_file")
        file = folder / str(named) if named else None
        return Surroundings(
            environ=self.options.environ,
            folder=folder,
            secrets_file=read_secrets_file(file) if file and file.exists() else None,
        )

    def _own_questions(self, draft: Draft, around: Surroundings, taken: Sequence[str]) -> OwnQuestions:
        return OwnQuestions(
            options=self.options,
            interview=Interview(self.terminal, self.show),
            base=draft.table,
            around=around,
            connect=self.connect,
            tls=_tls(draft, around.folder),
            taken=taken,
        )

    def _refuse_gaps(self, draft: Draft, around: Surroundings) -> None:
        """Name all that is missing, at once, before anything is looked at; raises `MissingAnswerError`."""
        options = self.options
        executor = options.executor or draft.get("executor")
        if executor is None and len(self.executors) == 1:
            executor = next(iter(self.executors))
        found = {
            GIVEN_BY["url"]: options.url or draft.get("url"),
            GIVEN_BY["token"]: options.token or options.registration_token,
            GIVEN_BY["executor"]: executor,
        }
        missing = [source for source, value in found.items() if not value]
        if executor in self.executors:
            kind = self._kind(executor)
            missing += self._executor_interview(kind, draft, around).missing()
        if missing:
            raise MissingAnswerError("there is no one to ask, and no " + "; no ".join(missing))

    def _kind(self, executor: str) -> ExecutorKind:
        try:
            kind = self.executors[executor]()
        except (ImportError, AttributeError) as error:
            raise UsageError(f"the executor {executor} cannot be loaded: {error}") from error
        for key in {"token", *secret_keys(kind.settings)} & self.options.settings.keys():
            if is_literal(self.options.settings[key]):
                raise UsageError(
                    f"--set {key}: everybody on this machine sees arguments; "
                    f"give ${variable_of(kind, key)} instead, or "
                    "the place of the secret (env:NAME, file:PATH, credential:NAME, secret:KEY)"
                )
        return kind

    def _executor_interview(
        self, kind: ExecutorKind, draft: Draft, around: Surroundings
    ) -> ExecutorInterview:
        return ExecutorInterview(
            kind=kind,
            draft=draft,
            interview=Interview(self.terminal, self.show),
            around=around,
            connect=self.connect,
            tls=_tls(draft, around.folder),
            settled=self.options.settings.keys(),
        )

    def _attributes(self, own: OwnQuestions, name: str, *, of_runner: bool) -> Attributes:
        """What a new runner is to be like; one that is there already is like that."""
        if of_runner:
            return Attributes(description=name)
        options, tags = self.options, own.tags()
        return Attributes(
            description=options.description or name,
            tags=tags,
            run_untagged=own.run_untagged(tags),
            locked=options.locked is not False,
            paused=options.paused is True,
            access_level=options.access_level or "",
            maximum_timeout=options.maximum_timeout,
            maintenance_note=options.maintenance_note or "",
        )


def _template(path: Path | None) -> Mapping[str, Any]:
    """The one section of a template, which has no token; raises `ConfigError`."""
    if path is None:
        return {}
    try:
        sections = tomllib.loads(path.read_bytes().decode()).get("runners", [])
    except OSError as error:
        raise ConfigError([Complaint(path=path, found=f"cannot be read: {error.strerror}")]) from error
    except ValueError:
        raise ConfigError([Complaint(path=path, found="not valid TOML")]) from None
    if not (isinstance(sections, list) and len(sections) == 1 and isinstance(sections[0], dict)):
        raise ConfigError([Complaint(path=path, found="a template has exactly one [[runners]] section")])
    if "token" in sections[0]:
        raise ConfigError([Complaint(path=path, key="token", found="each runner has a token of its own")])
    return sections[0]


def _tls(draft: Draft, folder: Path) -> Tls:
    authority, certificate, private_key = (
        folder / value if (value := draft.get(key)) else None
        for key in ("tls-ca-file", "tls-cert-file", "tls-key-file")
    )
    return Tls(ca_file=authority, cert_file=certificate, key_file=private_key)
