"""What a pod's containers are given of other objects: volumes, environment, and `$(NAME)` in texts."""

import base64
import os
import re
from collections.abc import Mapping
from pathlib import Path

from paas_runner.sandbox.kubernetes.resources import SECRETS, Object
from paas_runner.sandbox.kubernetes.storage import Storage

_REFERENCE = re.compile(r"\$(?:\$|\(([^)]*)\))")


class MissingError(Exception):
    """What a pod names is not there; the kubelet waits for it."""


def mount(storage: Storage, pod: Object, volume: Object, folder: Path) -> None:
    """Make the volume; raises `MissingError` for an absent Secret, and for other kinds of volumes."""
    secret = volume.get("secret")
    if secret is None and "emptyDir" not in volume:
        raise MissingError(f"the sandbox has no volumes but those of Secrets, and empty ones: {volume}")
    folder.mkdir(mode=0o700, exist_ok=True)
    data = _secret(storage, pod, {**secret, "name": secret["secretName"]}) if secret else {}
    for item in (secret or {}).get("items") or [{"key": key, "path": key} for key in data]:
        if item["key"] not in data:
            raise MissingError(f"references non-existent secret key: {item['key']}")
        target = folder / item["path"]
        target.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(data[item["key"]])


def environment(storage: Storage, pod: Object, container: Object) -> dict[str, str]:
    """The container's; raises `MissingError`."""
    made: dict[str, str] = {}
    for source in container.get("envFrom", ()):
        if "secretRef" not in source:
            raise MissingError(f'configmap "{source.get("configMapRef", {}).get("name")}" not found')
        data = _secret(storage, pod, source["secretRef"])
        made |= {source.get("prefix", "") + key: value.decode() for key, value in data.items()}
    for variable in container.get("env", ()):
        name, given = variable["name"], variable.get("valueFrom", {})
        if reference := given.get("secretKeyRef"):
            data = _secret(storage, pod, reference)
            if reference["key"] in data:
                made[name] = data[reference["key"]].decode()
            elif not reference.get("optional"):
                raise MissingError(f"couldn't find key {reference['key']} in Secret {reference['name']}")
        elif given:
            part, _, field = given.get("fieldRef", {}).get("fieldPath", "").partition(".")
            made[name] = str(pod.get(part, {}).get(field, ""))
        else:
            made[name] = expanded(variable.get("value", ""), made)
    return made


def expanded(text: str, given: Mapping[str, str]) -> str:
    """`$(NAME)` is replaced where the name is known, and `$$` is a dollar (reference of `Container`)."""
    return _REFERENCE.sub(lambda found: "$" if found[1] is None else given.get(found[1], found[0]), text)


def _secret(storage: Storage, pod: Object, reference: Object) -> dict[str, bytes]:
    found = storage.find(SECRETS, pod["metadata"]["namespace"], reference["name"])
    if found is None and not reference.get("optional"):
        raise MissingError(f'secret "{reference["name"]}" not found')
    return {key: base64.b64decode(text) for key, text in (found or {}).get("data", {}).items()}
