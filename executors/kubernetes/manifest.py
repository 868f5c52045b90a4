"""What a host is made of: a Job, whose pod waits for a Secret, and that Secret. Pure.

The pod cannot start before its Secret is there: so to provision starts nothing, and to launch is to create
the Secret, of whose name there is one. A Job may start its program twice, say Kubernetes' documents ("Jobs").
A pod that has failed is not replaced here (`backoffLimit: 0`), but that of a Job which was suspended is, when
it is resumed, as by Kueue. So the Secret names the one pod that it is for, by its uid; and a folder of the
pod's own, which can be made once, says that its program was begun, should a node start a container again.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from executors.build_context import CONFIGURATION_FOLDER
from executors.kubernetes.settings import KubernetesSettings, PodFlavor, toleration
from paas_runner.executor.contract import HostRequest, RunnerSection
from paas_runner.job.lifetime import MARGIN
from paas_runner.job.tracked import HostName

INSTALLATION, RUNNER, JOB = "paas-runner.installation", "paas-runner.runner", "paas-runner.job"
MADE_BY = {"app.kubernetes.io/managed-by": "paas-runner"}
QUEUE = "kueue.x-k8s.io/queue-name"
CONTAINER = "inner-runner"
NOT_ITS_POD = 75
"""The exit code of a pod that the job was not given to, or not now."""

MOST_SECRET_BYTES = 1024 * 1024
"""core/v1 `MaxSecretSize`, of all values together."""

GRACE_SECONDS = 15
KEPT_SECONDS = 3600
"""After its end a Job is there for so long at most, for whoever looks for it."""

_BEGUN = "/run/paas-runner-begun"
_POD = "pod"
_VOLUME = "job"
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,50}[a-z0-9])?")
_PROGRAM = f"""
if [ "$POD_UID" != "$(cat {CONFIGURATION_FOLDER}/{_POD})" ]; then
  echo "paas-runner: this job was given to another pod" >&2
  exit {NOT_ITS_POD}
fi
if ! mkdir {_BEGUN}/once; then
  echo "paas-runner: this job was begun here before" >&2
  exit {NOT_ITS_POD}
fi
cd {CONFIGURATION_FOLDER}
exec /usr/bin/gitlab-runner exec-fetched-job --config $PWD/runner.toml $PWD/job.json
"""


def object_name(host: HostName) -> str:
    """The Job's name: the host's own where the cluster takes it, else one that follows from it alone."""
    if _NAME.fullmatch(host):
        return host
    plain = re.sub(r"[^a-z0-9]+", "-", host.lower()).strip("-")[:40]
    return f"{plain}-{_digest(host)}"


def labels(section: RunnerSection, host: HostName | None = None) -> dict[str, str]:
    """Whose a host is; with `host` which it is, too."""
    found = {INSTALLATION: section.installation, RUNNER: section.short_token} | ({JOB: host} if host else {})
    return {name: label_value(value) for name, value in found.items()}


def label_value(text: str) -> str:
    """The text itself where it may be a label's value, else one that follows from it alone."""
    return text if _LABEL.fullmatch(text) else _digest(text)


def job(
    request: HostRequest,
    section: RunnerSection,
    settings: KubernetesSettings,
    *,
    flavor: PodFlavor,
    image: str,
    secret: str,
    waits: timedelta,
) -> dict[str, Any]:
    """The Job; it ends by itself after its job's timeout, the margin, and the time of waiting for a node."""
    ours = {**MADE_BY, **labels(section, request.host_name)}
    notes = {JOB: request.host_name, INSTALLATION: section.installation}
    limit = request.payload.timeout + MARGIN + waits
    spec = {
        "backoffLimit": 0,
        "podReplacementPolicy": "Failed",
        "activeDeadlineSeconds": int(limit.total_seconds()),
        "ttlSecondsAfterFinished": KEPT_SECONDS,
        "template": {
            "metadata": {"labels": ours, "annotations": notes},
            "spec": pod(settings, flavor=flavor, image=image, secret=secret),
        },
    }
    queue = {QUEUE: settings.queue_name} if settings.queue_name else {}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": object_name(request.host_name),
            "labels": {**ours, **queue},
            "annotations": notes,
        },
        "spec": {**spec, "suspend": True} if queue else spec,
    }


def secret(
    name: str, files: Mapping[str, bytes], *, job_name: str, job_uid: str, pod_uid: str
) -> dict[str, Any]:
    """What the pod waits for; it goes with its Job."""
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": job_name, "uid": job_uid}
    whole = {**files, _POD: pod_uid.encode()}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "labels": MADE_BY, "ownerReferences": [owner]},
        "immutable": True,
        "type": "Opaque",
        "data": {key: base64.b64encode(value).decode() for key, value in whole.items()},
    }


def secret_of(found: Mapping[str, Any]) -> str:
    """The name of the Secret that a Job's pod waits for."""
    volumes = found["spec"]["template"]["spec"].get("volumes") or []
    ours = (each["secret"] for each in volumes if each["name"] == _VOLUME and each.get("secret"))
    return next((str(each["secretName"]) for each in ours), "")


def pod(settings: KubernetesSettings, *, flavor: PodFlavor, image: str, secret: str) -> dict[str, Any]:
    """What a Job makes its pod of."""
    size = {"cpu": flavor.cpu, "memory": flavor.memory}
    container = {
        "name": CONTAINER,
        "image": image,
        "command": ["/bin/sh", "-c", _PROGRAM],
        "env": [
            {"name": "POD_UID", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}},
            {"name": "DEBUG", "value": "true"},
        ],
        "resources": {"requests": size, "limits": size},
        "securityContext": {"allowPrivilegeEscalation": False, "privileged": False},
        "volumeMounts": [
            {"name": _VOLUME, "mountPath": CONFIGURATION_FOLDER, "readOnly": True},
            {"name": "begun", "mountPath": _BEGUN},
        ],
    }
    optional = {
        "serviceAccountName": settings.service_account,
        "priorityClassName": settings.priority_class,
        "nodeSelector": dict(settings.node_selector),
        "imagePullSecrets": [{"name": name} for name in settings.image_pull_secrets],
        "tolerations": [toleration(each) for each in settings.tolerations],
    }
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [
            {"name": _VOLUME, "secret": {"secretName": secret, "defaultMode": 0o444}},
            {"name": "begun", "emptyDir": {}},
        ],
        **{key: value for key, value in optional.items() if value},
    }


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:20]
