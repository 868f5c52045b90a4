"""What the API server says of well-formed objects that cannot be: names, labels, jobs, pods, Secrets."""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Any

from paas_runner.sandbox.kubernetes import errors
from paas_runner.sandbox.kubernetes.errors import Cause
from paas_runner.sandbox.kubernetes.quantities import quantity
from paas_runner.sandbox.kubernetes.resources import JOBS, PODS, SECRETS, Object, Resource

MOST_SECRET_BYTES = 1_048_576
_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_WORD = r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)"
_KEY = rf"({_SUBDOMAIN}/)?{_WORD}"
_LOWER = "must consist of lower case alphanumeric characters, '-' or '.'"
_ALSO = "must consist of alphanumeric characters, '-', '_' or '.'"
_ENDS = "and must start and end with an alphanumeric character"
_NUMBERS = ("parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished")
_JOB_FIXED = ("template", "selector", "completions", "completionMode", "podReplacementPolicy")


def required(field: str, more: str = "") -> Cause:
    return Cause(field, f"Required value{more and ': ' + more}", "Required")


def wrong(field: str, value: object, why: str) -> Cause:
    told = f'"{value}"' if isinstance(value, str) else str(value)
    return Cause(field, f"Invalid value: {told}: {why}")


def validated(of: Resource, given: Object) -> None:
    """Raises `StatusError` (422) with all that is wrong."""
    causes = list(_metadata(given["metadata"], "metadata"))
    if of is JOBS:
        causes += _job(given)
    elif of is PODS:
        causes += _pod(given.get("spec", {}), "spec")
    elif of is SECRETS:
        causes += _secret(given.get("data", {}))
    if causes:
        raise errors.invalid(of, given["metadata"].get("name", ""), causes)


def unaltered(of: Resource, before: Object, after: Object) -> None:
    """Raises `StatusError` (422) where a change touches what cannot be changed."""
    pairs = [
        (f"metadata.{name}", before["metadata"], after["metadata"], name) for name in ("uid", "namespace")
    ]
    if of is JOBS:
        pairs += [(f"spec.{name}", before["spec"], after["spec"], name) for name in _JOB_FIXED]
    elif of is PODS:
        pairs.append(("spec", before, after, "spec"))
    elif of is SECRETS and before.get("immutable"):
        pairs += [(name, before, after, name) for name in ("data", "immutable")]
    causes = [
        Cause(field, "Forbidden: field is immutable", "Forbidden")
        for field, was, now, name in pairs
        if was.get(name) != now.get(name)
    ]
    if causes:
        raise errors.invalid(of, before["metadata"]["name"], causes)


def encoded(given: Object) -> None:
    """Put a Secret's `stringData` into its `data`; raises `StatusError` (400) for what is no Base64."""
    data = dict(given.get("data", {}))
    for key, text in data.items():
        try:
            base64.b64decode(text, validate=True)
        except binascii.Error as error:
            words = 'Secret in version "v1" cannot be handled as a Secret: illegal base64 data'
            raise errors.bad_request(f"{words}: data.{key}") from error
    texts: Mapping[str, str] = given.pop("stringData", {})
    data |= {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}
    given |= {"data": data} if data else {}


def _metadata(metadata: Object, path: str) -> Iterator[Cause]:
    name = metadata.get("name", "")
    if not name:
        yield required(f"{path}.name", "name or generateName is required")
    elif len(name) > 253 or not re.fullmatch(_SUBDOMAIN, name):
        yield wrong(f"{path}.name", name, f"a lowercase RFC 1123 subdomain {_LOWER}, {_ENDS}")
    for kind in ("labels", "annotations"):
        for key in metadata.get(kind, {}):
            if not re.fullmatch(_KEY, key) or len(key.rpartition("/")[2]) > 63:
                yield wrong(f"{path}.{kind}", key, f"name part {_ALSO}, {_ENDS}, and no more than 63 bytes")
    for value in metadata.get("labels", {}).values():
        if len(value) > 63:
            yield wrong(f"{path}.labels", value, "must be no more than 63 bytes")
        elif not re.fullmatch(f"{_WORD}?", value):
            yield wrong(
                f"{path}.labels", value, f"a valid label must be an empty string or {_ALSO[5:]}, {_ENDS}"
            )


def _job(job: Object) -> Iterator[Cause]:
    spec, name = job.get("spec", {}), job["metadata"].get("name", "")
    if len(name) > 63:
        yield wrong("spec.template.labels", name, "must be no more than 63 bytes")
    for field in _NUMBERS:
        if spec.get(field, 0) < 0:
            yield wrong(f"spec.{field}", spec[field], "must be greater than or equal to 0")
        elif field in _NUMBERS[:2] and spec.get(field, 1) > 1:
            yield wrong(f"spec.{field}", spec[field], "the sandbox runs one pod of a job, and counts to one")
    if (policy := spec.get("podReplacementPolicy", "Failed")) not in ("Failed", "TerminatingOrFailed"):
        field, values = "spec.podReplacementPolicy", 'supported values: "Failed", "TerminatingOrFailed"'
        yield Cause(field, f'Unsupported value: "{policy}": {values}', "NotSupported")
    template = spec.get("template", {})
    if template.get("spec", {}).get("restartPolicy") not in ("OnFailure", "Never"):
        yield required("spec.template.spec.restartPolicy", 'valid values: "OnFailure", "Never"')
    yield from _metadata({"name": "pod", **template.get("metadata", {})}, "spec.template.metadata")
    yield from _pod(template.get("spec", {}), "spec.template.spec")


def _pod(spec: Object, path: str) -> Iterator[Cause]:
    if not spec.get("containers"):
        yield required(f"{path}.containers")
    volumes = {volume.get("name") for volume in spec.get("volumes", ())}
    names: set[str] = set()
    for kind in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(kind, ())):
            yield from _container(container, f"{path}.{kind}[{index}]", volumes, names)
            names.add(container.get("name", ""))


def _container(container: Object, path: str, volumes: set[Any], names: set[str]) -> Iterator[Cause]:
    name = container.get("name", "")
    if name in names:
        yield Cause(f"{path}.name", f'Duplicate value: "{name}"', "Duplicate")
    elif name and (len(name) > 63 or not re.fullmatch(_LABEL, name)):
        yield wrong(f"{path}.name", name, f"a lowercase RFC 1123 label {_LOWER[:-7]}, {_ENDS}")
    for field in ("name", "image"):
        if not container.get(field, "").strip():
            yield required(f"{path}.{field}")
    for index, variable in enumerate(container.get("env", ())):
        if not re.fullmatch(r"[ -<>-~]+", given := variable.get("name", "")):
            why = "must consist only of printable ASCII characters other than '='"
            yield wrong(f"{path}.env[{index}].name", given, f"a valid environment variable name {why}")
    for index, mount in enumerate(container.get("volumeMounts", ())):
        if mount.get("name") not in volumes:
            field = f"{path}.volumeMounts[{index}].name"
            yield Cause(field, f'Not found: "{mount.get("name", "")}"', "NotFound")
    resources = container.get("resources", {})
    limits, requests = (
        {k: _amount(v) for k, v in resources.get(w, {}).items()} for w in ("limits", "requests")
    )
    for of in (each for each in requests if each in limits and requests[each] > limits[each]):
        why = f"must be less than or equal to {of} limit of {resources['limits'][of]}"
        yield wrong(f"{path}.resources.requests", resources["requests"][of], why)


def _amount(text: object) -> Any:
    try:
        return quantity(text)
    except ValueError as error:
        raise errors.bad_request(f"quantities must match the regular expression: {error}") from error


def _secret(data: Mapping[str, str]) -> Iterator[Cause]:
    for key in data:
        if not re.fullmatch(r"[-._a-zA-Z0-9]{1,253}", key):
            yield wrong(f"data[{key}]", key, f"a valid config key {_ALSO}")
    if sum(len(base64.b64decode(text)) for text in data.values()) > MOST_SECRET_BYTES:
        yield Cause("data", f"Too long: may not be more than {MOST_SECRET_BYTES} bytes", "TooLong")
