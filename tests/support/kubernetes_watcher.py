"""A program of the official Python client, in an environment of its own; it prints what it has seen."""

import json
import sys

from kubernetes import client, config, watch

JOB = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"name": "hello"},
    "spec": {
        "backoffLimit": 0,
        "template": {
            "spec": {
                "restartPolicy": "Never",
                "containers": [{"name": "main", "image": "hello"}],
            }
        },
    },
}


def life(batch: client.BatchV1Api, core: client.CoreV1Api) -> dict:
    """A job from its creation to its removal, as a watch tells it."""
    secret = client.V1Secret(metadata={"name": "given"}, string_data={"a": "b"})
    data = core.create_namespaced_secret("default", secret).data
    begin = batch.create_namespaced_job("default", JOB).metadata.resource_version
    seen = []
    watching = watch.Watch()
    for event in watching.stream(
        batch.list_namespaced_job, "default", resource_version=begin, timeout_seconds=20
    ):
        conditions = event["object"].status.conditions or []
        seen.append([event["type"], [each.type for each in conditions]])
        if seen[-1][1][-1:] == ["Complete"]:
            break
    [pod] = core.list_namespaced_pod("default", label_selector="job-name=hello").items
    log = core.read_namespaced_pod_log(pod.metadata.name, "default", timestamps=False)
    lines = list(watch.Watch().stream(core.read_namespaced_pod_log, pod.metadata.name, "default"))
    batch.patch_namespaced_job("hello", "default", {"metadata": {"labels": {"a": "b"}}})
    batch.delete_namespaced_job("hello", "default", propagation_policy="Background")
    return {"data": data, "seen": seen, "log": log, "lines": lines, "phase": pod.status.phase, "begin": begin}


def too_old(batch: client.BatchV1Api, begin: str) -> dict:
    """What becomes of a watch from a version that the server has forgotten."""
    try:
        for _ in watch.Watch().stream(
            batch.list_namespaced_job, "default", resource_version=begin, timeout_seconds=2
        ):
            pass
    except client.ApiException as error:
        return {"status": error.status, "reason": error.reason}
    return {"status": 200}


def bookmarks(core: client.CoreV1Api) -> dict:
    """What comes in some seconds in which nothing happens."""
    given = {"timeout_seconds": 3, "allow_watch_bookmarks": True, "resource_version": "0"}
    watching = watch.Watch()
    kinds = [event["type"] for event in watching.stream(core.list_namespaced_pod, "default", **given)]
    return {"kinds": kinds, "version": watching.resource_version}


def refusals(batch: client.BatchV1Api) -> list:
    """How errors arrive: status, reason and the Status in the body."""
    found = []
    wrong = {**JOB, "metadata": {"name": "Upper"}}
    for call in (
        lambda: batch.read_namespaced_job("absent", "default"),
        lambda: batch.create_namespaced_job("default", wrong),
    ):
        try:
            call()
        except client.ApiException as error:
            found.append([error.status, json.loads(error.body)["reason"]])
    return found


def main() -> None:
    """Each line of standard input is a story, and each of its words after the first is given to it."""
    config.load_kube_config(sys.argv[1])
    batch, core = client.BatchV1Api(), client.CoreV1Api()
    stories = {
        "life": lambda: life(batch, core),
        "too-old": lambda begin: too_old(batch, begin),
        "bookmarks": lambda: bookmarks(core),
        "refusals": lambda: refusals(batch),
    }
    for line in sys.stdin:
        what, *arguments = line.split()
        print(json.dumps(stories[what](*arguments)), flush=True)


if __name__ == "__main__":
    main()
