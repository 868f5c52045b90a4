"""What each keyword of a job means: a place in the text into a value of `spec.py`."""

from datetime import timedelta

import attrs

from paas_runner.job.variables import Variable
from paas_runner.pipelines.gitlab_ci.durations import duration
from paas_runner.pipelines.gitlab_ci.instances import matrix, matrix_names
from paas_runner.pipelines.gitlab_ci.places import YamlPlace
from paas_runner.pipelines.gitlab_ci.sections import YamlSection
from paas_runner.pipelines.reports import RETRY_REASONS
from paas_runner.pipelines.spec import ImageSpec, Retry, RunWhen, ServiceSpec

MOST_RETRIES = 2
MOST_EXIT_CODE = 255
MOST_TIMEOUT = timedelta(days=30)


@attrs.frozen(kw_only=True)
class Need:
    """A job that is waited for; an optional one may be missing from the pipeline."""

    name: str
    instances: tuple[str, ...] = ()  # of a matrix, by name; none: all of them
    optional: bool = False
    artifacts: bool = True


@attrs.frozen(kw_only=True)
class AllowedFailure:
    """Which failures do not stop the pipeline."""

    always: bool = False
    exit_codes: frozenset[int] = frozenset()


def variables(place: YamlPlace) -> tuple[Variable, ...]:
    """`variables`: texts, or mappings with `value` and `expand`."""
    return tuple(_variable(entry) for entry in place.entries())


def _variable(place: YamlPlace) -> Variable:
    key = place.key.rpartition("variables.")[2]
    if not isinstance(place.value, YamlSection):
        return Variable(key=key, value="" if place.value is None else place.text(), public=True)
    parts = place.known("value", "expand", "description")
    value = parts["value"].text() if "value" in parts else ""
    raw = "expand" in parts and not parts["expand"].flag()
    return Variable(key=key, value=value, public=True, raw=raw)


def image(place: YamlPlace) -> ImageSpec:
    """`image`: a name, or a mapping."""
    if not isinstance(place.value, YamlSection):
        return ImageSpec(name=place.text())
    parts = place.known("name", "entrypoint", "pull_policy")
    if "name" not in parts:
        place.refuse("has no `name`")
    return ImageSpec(
        name=parts["name"].text(),
        entrypoint=parts["entrypoint"].texts() if "entrypoint" in parts else None,
        pull_policy=parts["pull_policy"].texts() if "pull_policy" in parts else None,
    )


def services(place: YamlPlace) -> tuple[ServiceSpec, ...]:
    """`services`: a list of names and mappings."""
    return tuple(_service(item) for item in place.composed())


def _service(place: YamlPlace) -> ServiceSpec:
    if not isinstance(place.value, YamlSection):
        return ServiceSpec(name=place.text())
    parts = place.known("name", "alias", "entrypoint", "command", "variables", "pull_policy")
    if "name" not in parts:
        place.refuse("has a service without `name`")
    return ServiceSpec(
        name=parts["name"].text(),
        alias=parts["alias"].text() if "alias" in parts else None,
        entrypoint=parts["entrypoint"].texts() if "entrypoint" in parts else None,
        command=parts["command"].texts() if "command" in parts else None,
        variables=variables(parts["variables"]) if "variables" in parts else (),
        pull_policy=parts["pull_policy"].texts() if "pull_policy" in parts else None,
    )


def needs(place: YamlPlace) -> tuple[Need, ...]:
    """`needs`: a list of job names and mappings with `job`, `optional`, `artifacts` and `parallel`."""
    return tuple(need for item in place.composed() if (need := _need(item)) is not None)


def _need(place: YamlPlace) -> Need | None:
    if not isinstance(place.value, YamlSection):
        return Need(name=place.text())
    if "job" not in place.value or "pipeline" in place.value or "project" in place.value:
        place.warn("only jobs of the same pipeline can be needed in the sandbox, this entry is left out")
        return None
    parts = place.known("job", "optional", "artifacts", "parallel")
    if "job" not in parts:
        place.refuse("has an entry without `job`")
    name = parts["job"].text()
    return Need(
        name=name,
        instances=tuple(matrix_names(name, matrix(parts["parallel"]))) if "parallel" in parts else (),
        optional="optional" in parts and parts["optional"].flag(),
        artifacts="artifacts" not in parts or parts["artifacts"].flag(),
    )


def timeout(place: YamlPlace) -> timedelta:
    """`timeout`: a duration in words."""
    found = duration(place.text())
    if found is None:
        place.refuse(f"is no duration such as `1h 30m`: `{place.text()}`")
    if found > MOST_TIMEOUT:
        place.refuse(f"may be {MOST_TIMEOUT.days} days at most")
    return found


def allow_failure(place: YamlPlace) -> AllowedFailure:
    """`allow_failure`: yes or no, or a mapping with `exit_codes`."""
    if not isinstance(place.value, YamlSection):
        return AllowedFailure(always=place.flag())
    parts = place.known("exit_codes")
    codes = parts["exit_codes"].items() if "exit_codes" in parts else []
    return AllowedFailure(exit_codes=frozenset(code.number(most=MOST_EXIT_CODE, least=1) for code in codes))


def retry(place: YamlPlace) -> Retry:
    """`retry`: a number, or a mapping with `max` and `when`."""
    if not isinstance(place.value, YamlSection):
        return Retry(times=place.number(most=MOST_RETRIES))
    parts = place.known("max", "when")
    reasons = parts["when"].texts() if "when" in parts else ("always",)
    unknown = [reason for reason in reasons if reason not in RETRY_REASONS]
    if unknown:
        parts["when"].refuse(f"knows no failure reason `{unknown[0]}`")
    times = parts["max"].number(most=MOST_RETRIES) if "max" in parts else 0
    return Retry(times=times, reasons=frozenset(reasons))


def when(place: YamlPlace) -> RunWhen:
    """`when`; `manual` is warned about, because such a job cannot be started here."""
    word = place.text()
    if word == "delayed":
        place.warn("the sandbox does not delay jobs, this one runs at once")
        return RunWhen.ON_SUCCESS
    if word not in tuple(RunWhen):
        place.refuse(f"must be one of {', '.join(RunWhen)}: `{word}`")
    if word == RunWhen.MANUAL:
        place.warn("no one starts manual jobs in the sandbox, this one never runs")
    return RunWhen(word)


def tags(place: YamlPlace) -> tuple[str, ...]:
    """`tags`; they are kept, but any runner takes the job."""
    found = place.texts()
    if found:
        place.warn("tags do not select a runner in the sandbox")
    return found
