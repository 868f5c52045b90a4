"""The coordinator as part of this server: its tokens, its book, and its routes below /api/v4.

Promises: no runner is told anything that the disk does not have; a body has a bound before it is read. The
tokens are made of the server's secret, so that there is nothing to store or to lose.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta

import attrs
from starlette.types import ASGIApp

from paas_pipelines.runs.engine import Engine
from paas_pipelines.store.answers import AnsweredWhenWritten
from paas_pipelines.store.journal import Journal
from paas_pipelines.tasks.checkout import Reveal
from paas_pipelines.tasks.files import MOST_TASK_BYTES, RunFiles
from paas_pipelines.tasks.job_spec import ROOT_NAMESPACE
from paas_pipelines.tasks.remote import STUCK_AFTER, RemotePlace
from paas_runner.pipelines.book import Book
from paas_runner.pipelines.coordinator import Coordinator
from paas_runner.pipelines.jobs import Project
from paas_runner.pipelines.options import CoordinatorOptions, Matching
from paas_runner.secret import Secret
from paas_runner.server.api import create_app

ACKNOWLEDGEMENT_SECONDS = 120.0  # as GitLab's (spec gitlab-runner-api.md §2.8)
MOST_ARTIFACT_BYTES = MOST_TASK_BYTES


def registration_token(secret: Secret) -> Secret:
    """With it runners are registered at this server (`paas-runner register`, `gitlab-runner register`)."""
    return _derived(secret, "registration of runners", "GR1348941")


def admin_token(secret: Secret) -> Secret:
    """It opens the administrator's routes of the coordinator (header `PRIVATE-TOKEN`)."""
    return _derived(secret, "administration of the coordinator", "glpat-")


def _derived(secret: Secret, purpose: str, prefix: str) -> Secret:
    digest = hmac.digest(secret.reveal().encode(), f"paas-pipelines: {purpose}".encode(), hashlib.sha256)
    return Secret(prefix + base64.urlsafe_b64encode(digest[:24]).decode())


@attrs.frozen(kw_only=True)
class JobServer:
    """What the assembly works with."""

    coordinator: Coordinator
    place: RemotePlace
    app: ASGIApp
    """Answers what is below `/api/v4`, anything else with a 404."""

    @classmethod
    def open(
        cls,
        *,
        engine: Engine,
        journal: Journal,
        secret: Secret,
        clock: Callable[[], datetime],
        book: Book | None = None,
        most_log_bytes: int = 64 * 1024 * 1024,
        files: RunFiles | None = None,
        reveal: Reveal | None = None,
        stuck_after: timedelta = STUCK_AFTER,
    ) -> "JobServer":
        """On the records in `book`, which goes on where they stand; without one, in memory alone.

        A task that requires what no worker has fails `stuck_after` that.
        """
        options = CoordinatorOptions(
            registration_token=registration_token(secret),
            admin_token=admin_token(secret),
            project=Project(full_path=f"{ROOT_NAMESPACE}/tasks"),
            matching=Matching.TAGS_AND_DESCRIPTION,
            acknowledgement_seconds=ACKNOWLEDGEMENT_SECONDS,
            retries_on_request=False,  # a run's task that was stopped is over
            most_trace_bytes=most_log_bytes,
            most_artifact_bytes=MOST_ARTIFACT_BYTES,
        )
        coordinator = Coordinator(clock, options, secrets.SystemRandom(), book)
        return cls(
            coordinator=coordinator,
            place=RemotePlace(coordinator, engine, files, reveal, stuck_after=stuck_after),
            app=AnsweredWhenWritten(create_app(coordinator), journal),
        )
