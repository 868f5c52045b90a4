"""What `artifacts` and `cache` of a job mean: places in the text into values of `spec.py`."""

import hashlib
from collections.abc import Iterator

from paas_runner.pipelines.gitlab_ci.durations import NEVER, duration
from paas_runner.pipelines.gitlab_ci.places import YamlPlace
from paas_runner.pipelines.gitlab_ci.sections import YamlSection
from paas_runner.pipelines.spec import REPORTS, ArtifactSpec, CacheSpec

MOST_CACHES = 4
MOST_FALLBACK_KEYS = 5
_WHENS = ("on_success", "on_failure", "always")
_POLICIES = ("pull-push", "pull", "push")


def artifacts(place: YamlPlace) -> ArtifactSpec:
    """`artifacts`: a mapping."""
    parts = place.known("paths", "exclude", "untracked", "name", "when", "expire_in", "reports")
    return ArtifactSpec(
        paths=_texts(parts, "paths"),
        exclude=_texts(parts, "exclude"),
        untracked="untracked" in parts and parts["untracked"].flag(),
        name=parts["name"].text() if "name" in parts else None,
        when=_choice(parts, "when", _WHENS),
        expire_in=_lifetime(parts["expire_in"]) if "expire_in" in parts else None,
        reports=dict(_reports(parts["reports"])) if "reports" in parts else {},
    )


def caches(place: YamlPlace) -> tuple[CacheSpec, ...]:
    """`cache`: a mapping, or a list of them."""
    items = place.composed()
    if len(items) > MOST_CACHES:
        place.refuse(f"may have {MOST_CACHES} caches at most")
    return tuple(_cache(item) for item in items)


def _cache(place: YamlPlace) -> CacheSpec:
    parts = place.known("key", "fallback_keys", "paths", "untracked", "policy", "when")
    fallbacks = _texts(parts, "fallback_keys")
    if len(fallbacks) > MOST_FALLBACK_KEYS:
        parts["fallback_keys"].refuse(f"may have {MOST_FALLBACK_KEYS} keys at most")
    policy = parts.get("policy")
    return CacheSpec(
        key=_key(parts["key"]) if "key" in parts else "default",
        fallback_keys=fallbacks,
        paths=_texts(parts, "paths"),
        untracked="untracked" in parts and parts["untracked"].flag(),
        policy=policy.text() if policy and "$" in policy.text() else _choice(parts, "policy", _POLICIES),
        when=_choice(parts, "when", _WHENS),
    )


def _key(place: YamlPlace) -> str:
    """A text, or the names of files with an optional `prefix`: the sandbox knows the names alone."""
    if not isinstance(place.value, YamlSection):
        return place.text()
    parts = place.known("files", "files_commits", "prefix")
    kind = "files_commits" if "files_commits" in parts else "files"
    names = _texts(parts, kind)
    if not names or {"files", "files_commits"} <= parts.keys():
        place.refuse("wants a text, or one of `files` and `files_commits`")
    parts[kind].warn("the sandbox does not see the files: the key stays the same when they change")
    prefix = f"{parts['prefix'].text()}-" if "prefix" in parts else ""
    return prefix + hashlib.sha256("\0".join(names).encode()).hexdigest()[:40]


def _reports(place: YamlPlace) -> Iterator[tuple[str, tuple[str, ...]]]:
    for report in place.entries():
        kind = report.key.rpartition(".")[2]
        if kind == "coverage_report":
            parts = report.known("coverage_format", "path")
            if "path" not in parts:
                report.refuse("has no `path`")
            yield _choice(parts, "coverage_format", ("cobertura", "jacoco")), parts["path"].texts()
        elif kind in REPORTS:
            if kind == "dotenv":
                report.warn("it is kept, but sets no variables in the sandbox")
            yield kind, report.texts()
        else:
            report.warn()


def _lifetime(place: YamlPlace) -> str | None:
    """A duration in words, as it is; None for `never`."""
    words = place.text()
    if words.lower() == NEVER:
        return None
    if duration(words) is None:
        place.refuse(f"is no duration such as `1 week`: `{words}`")
    return words


def _choice(parts: dict[str, YamlPlace], name: str, known: tuple[str, ...]) -> str:
    """One of the known words, the first of them when there is none."""
    if name not in parts:
        return known[0]
    word = parts[name].text()
    if word not in known:
        parts[name].refuse(f"must be one of {', '.join(known)}: `{word}`")
    return word


def _texts(parts: dict[str, YamlPlace], name: str) -> tuple[str, ...]:
    return parts[name].texts() if name in parts else ()
