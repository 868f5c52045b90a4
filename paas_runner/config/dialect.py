"""The dialect of the file beside our own settings: GitLab Runner's keys, and what 1.1.1 wrote otherwise.

GitLab Runner's keys are those of spec gitlab-runner-api.md §9.1 and §9.2, those of heptapod-paas-runner 1.1.1
are rows H048-H069 of core-features.md.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from paas_runner.config.model import Config
from paas_runner.config.runner import JobTraceWatch, Runner

GLOBAL_TABLES = frozenset({"experimental", "labels", "machine", "session_server"})
GLOBAL_KEYS = GLOBAL_TABLES | {
    "connection_max_age",
    "metrics_server",
    "sentry_dsn",
    "user",
}
"""Of no concern to us or to the inner runner; `metrics_server` is what `listen_address` was called once."""

OUTER_KEYS = frozenset(
    {
        "disable_verbose",
        "id",
        "strict_check_interval",
        "tls-skip-verify",
    }
)
"""Of `[[runners]]`, concerning the service that asks for jobs: not forwarded.

`disable_verbose` and `tls-skip-verify` are of old versions; GitLab Runner ignores them by now.
"""

RUNNER_TABLES = frozenset(
    {
        "artifact",
        "autoscaler",
        "cache",
        "custom",
        "custom_build_dir",
        "docker",
        "experimental",
        "feature_flags",
        "instance",
        "kubernetes",
        "labels",
        "machine",
        "monitoring",
        "parallels",
        "referees",
        "ssh",
        "virtualbox",
    }
)
FORWARDED_KEYS = RUNNER_TABLES | {
    "builds_dir",
    "cache_dir",
    "clean_git_config",
    "clone_url",
    "debug_trace_disabled",
    "environment",
    "get_sources_timeout",
    "job_status_final_update_retry_limit",
    "output_limit",
    "post_build_script",
    "post_clone_script",
    "post_get_sources_script",
    "pre_build_script",
    "pre_clone_script",
    "pre_get_sources_script",
    "prepare_timeout",
    "proxy_exec",
    "safe_directory_checkout",
    "shell",
    "slot_cgroup_template",
    "step_runner_image",
    "use_slot_cgroups",
}
"""Of `[[runners]]`, concerning the inner runner: handed on as they are."""

WITHOUT_EFFECT = frozenset({"heptapod_paas_runner_helper_image"})
"""Of `[[runners]]`, with a meaning in 1.1.1 only."""

ASKED_IN_VAIN: Mapping[type[Any], Mapping[str, str]] = {
    Config: {
        "connection_max_age": "connections are kept as long as they are good",
        "metrics_server": "it is called `listen_address` now",
        "sentry_dsn": "errors are in the log alone",
        "session_server": "there are no interactive terminals",
        "user": "the service runs as the user who starts it",
    },
    Runner: {
        "disable_verbose": "`log_level` says what is logged",
        "tls-skip-verify": "certificates are verified: `tls-ca-file` names an authority of your own",
        "strict_check_interval": "after a job the next is asked for at once",
    },
}
"""Keys of GitLab Runner with which something is asked for that nobody does, and what is so instead."""

AS_GITLAB_RUNNER_WRITES_THEM: Mapping[str, object] = {"connection_max_age": "15m0s"}
"""Values by which nobody asks for anything."""

SECRETS_FILE_KEY = "secrets_file"

ALIASES: Mapping[type[Any], Mapping[str, str]] = {
    Config: {
        "job_progress_interval": "job_progress_poll_interval",
        "pass_decommision_launched_failures": "paas_decommission_launch_failures",
    },
    Runner: {"job_trace_watch": "paas_job_trace_watch"},
    JobTraceWatch: {"timout_seconds": "timeout_seconds"},
}

_LEVELS: Mapping[str, str] = {"warn": "warning", "trace": "debug"}
"""Of logrus, by the name that they have here."""

_NEVER = datetime(1, 1, 1, tzinfo=UTC)
"""Go's time that is none."""

_UNSET: Mapping[str, tuple[object, ...]] = {
    "tls-ca-file": ("",),
    "tls-cert-file": ("",),
    "tls-key-file": ("",),
    "token_expires_at": (_NEVER,),
    "request_concurrency": (0,),
    "token_obtained_at": (_NEVER,),
    "unhealthy_requests_limit": (0,),
}


def as_read_there(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document with the level of the log as GitLab Runner understands it, by any of its names."""
    level = document.get("log_level")
    if not isinstance(level, str):
        return dict(document)
    return {**document, "log_level": _LEVELS.get(level.lower(), level.lower())}


def without_unset(section: Mapping[str, Any]) -> dict[str, Any]:
    """A section of `[[runners]]` without the keys whose values say that they are not set."""
    return {
        key: value
        for key, value in section.items()
        if isinstance(value, bool) or value not in _UNSET.get(key, ())
    }
