"""What a configuration of heptapod-paas-runner means otherwise here, as far as it says something about it."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from paas_runner.config import Config, Runner
from paas_runner.job.known_runner import peer_name

OURS = "paas-runner"
"""Whose state file it is that this service wrote."""


def differences(config: Config, document: Mapping[str, Any], environ: Mapping[str, str]) -> Iterator[str]:
    """Sentences; none of what is the same, or of what the warnings of the file say."""
    state = document.get("state_file")
    if isinstance(state, str) and not Path(state).is_absolute() and not state.startswith("$"):
        yield (
            f"`state_file` is relative: there it begins at the folder in which the program is started, here "
            f"at that of the configuration, so it is {config.state_file}"
        )
    for runner in config.runners:
        yield from _of_runner(runner)
    shared = Counter(peer_name(runner.token.reveal()) for runner in config.runners)
    for name, count in shared.items():
        if count > 1:
            yield (
                f"{count} runners have tokens that begin with {name}: there they are one, here each has its "
                "own jobs; those of the state file go to the last of them"
            )
    for name, instead in (
        ("REQUESTS_CA_BUNDLE", "name that file in `tls-ca-file`"),
        ("ALL_PROXY", "use HTTPS_PROXY"),
        ("all_proxy", "use HTTPS_PROXY"),
    ):
        if environ.get(name):
            yield f"${name} is obeyed there and ignored here: {instead}"


def _of_runner(runner: Runner) -> Iterator[str]:
    title = f"runner {runner.title}"
    if runner.limit:
        yield f"{title}: `limit` is ignored there; here it has {runner.limit} jobs at once, at most"
    if count := runner.request_concurrency:
        yield (
            f"{title}: `request_concurrency` is ignored there; here {count} requests for a job are in flight "
            "at once, at most: without the key a burst of jobs is taken faster"
        )
    if runner.tls_ca_file:
        yield f"{title}: of `tls-ca-file` hosts get the path there, and the file itself here"
    if runner.paas_job_trace_watch.token:
        yield (
            f"{title}: the `token` of its trace watch is an administrator's, and not needed here: revoke it "
            "as soon as nobody will go back"
        )


def version_of(document: Mapping[str, Any]) -> str:
    """Which version wrote a state file."""
    if "paas_runner" in document:
        return OURS
    return "1.1.1" if "standby_resources" in document else "0.5.0"
