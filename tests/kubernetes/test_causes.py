"""Why a pod waits or has ended: a table of what clusters say."""

import pytest

from paas_runner.kubernetes.causes import Who, of_events, of_job, of_pod


def waiting(reason, message="words"):
    return {
        "containerStatuses": [{"name": "c", "state": {"waiting": {"reason": reason, "message": message}}}]
    }


def ended(reason):
    return {
        "phase": "Failed",
        "containerStatuses": [{"state": {"terminated": {"reason": reason, "exitCode": 1}}}],
    }


def disrupted(reason):
    told = {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": "words"}
    return {"phase": "Failed", "conditions": [told]}


UNSCHEDULED = {
    "conditions": [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
    ]
}


@pytest.mark.parametrize(
    ("status", "text", "final"),
    [
        (waiting("ErrImagePull"), "its image cannot be fetched: words", False),
        (waiting("ImagePullBackOff"), "its image cannot be fetched: words", False),
        (waiting("InvalidImageName"), "its image has no valid name: words", True),
        (waiting("ErrImageNeverPull"), "its image is not on the node, and may not be fetched: words", True),
        (
            waiting("CreateContainerConfigError"),
            "what it is configured with is missing or wrong: words",
            False,
        ),
        (waiting("CreateContainerError"), "the node could not make its container: words", False),
        (waiting("RunContainerError"), "the node could not start its container: words", False),
        (waiting("CrashLoopBackOff"), "it ends as soon as it is started: words", False),
        (ended("OOMKilled"), "it needed more memory than it may use, and was killed", True),
        (ended("ContainerCannotRun"), "its program cannot be run", True),
        (ended("StartError"), "its program cannot be run", True),
        (ended("ContainerStatusUnknown"), "its node was lost, or has forgotten it", True),
        (
            {"phase": "Failed", "reason": "Evicted", "message": "low on memory"},
            "its node ran short of memory, disk or processes, and evicted it: low on memory",
            True,
        ),
        ({"phase": "Failed", "reason": "DeadlineExceeded"}, "it ran for longer than it may", True),
        ({"phase": "Failed", "reason": "NodeLost"}, "its node does not answer any more", True),
        ({"phase": "Failed", "reason": "Terminated"}, "its node was shut down", True),
        ({"phase": "Failed", "reason": "OutOfcpu"}, "its node had no room for it after all", True),
        (disrupted("PreemptionByScheduler"), "a pod that is more important took its place: words", True),
        (
            disrupted("DeletionByTaintManager"),
            "its node does not answer any more, or is being emptied: words",
            True,
        ),
        (disrupted("EvictionByEvictionAPI"), "it was evicted, as when a node is drained: words", True),
        (disrupted("DeletionByPodGC"), "its node is gone: words", True),
        (
            disrupted("TerminationByKubelet"),
            "its node ended it: it ran short, was shut down or preempted it: words",
            True,
        ),
        (UNSCHEDULED, "no node has room for it: 0/3 nodes", False),
        (
            {"initContainerStatuses": waiting("ErrImagePull")["containerStatuses"], **UNSCHEDULED},
            "its image cannot be fetched: words",
            False,
        ),
    ],
)
def test_a_pod_says_why(status, text, final):
    cause = of_pod({"status": status})
    assert cause
    assert (cause.text, cause.final) == (text, final)


@pytest.mark.parametrize(
    "status",
    [
        {},
        {"phase": "Running"},
        waiting("ContainerCreating"),
        waiting("PodInitializing"),
        ended("Error"),
        ended("Completed"),
    ],
)
def test_a_pod_with_which_nothing_is_wrong_by_its_own_word_has_no_cause(status):
    assert of_pod({"status": status}) is None


def failed(reason):
    return {
        "status": {"conditions": [{"type": "Failed", "status": "True", "reason": reason, "message": "words"}]}
    }


@pytest.mark.parametrize(
    ("job", "text"),
    [
        (failed("DeadlineExceeded"), "it took longer than it may: words"),
        (failed("BackoffLimitExceeded"), "its pod failed, or was removed: words"),
        (failed("Other"), "it failed: words"),
    ],
)
def test_a_job_says_why_it_failed(job, text):
    cause = of_job(job)
    assert cause
    assert cause.text == text


def test_a_job_that_has_not_failed_has_no_cause():
    assert of_job({}) is None
    assert of_job({"status": {"conditions": [{"type": "Failed", "status": "False"}]}}) is None


def event(reason, message, kind="Warning"):
    return {"reason": reason, "message": message, "type": kind}


@pytest.mark.parametrize(
    ("events", "text"),
    [
        (
            [event("FailedCreate", "exceeded quota: q")],
            "the namespace's quota has no room for it: exceeded quota: q",
        ),
        (
            [event("FailedCreate", "failed quota: must specify cpu")],
            "the namespace's quota wants limits that it does not have: failed quota: must specify cpu",
        ),
        (
            [event("FailedCreate", 'pods "x" violates PodSecurity')],
            'the namespace\'s pod security forbids it: pods "x" violates PodSecurity',
        ),
        ([event("FailedCreate", "x")], "its pod cannot be created: x"),
        ([event("FailedScheduling", "0/3 nodes")], "no node has room for it: 0/3 nodes"),
        ([event("FailedMount", "x"), event("NodeNotReady", "y")], "its node does not answer any more: y"),
        ([event("Preempted", "by x")], "a pod that is more important took its place: by x"),
        ([event("FailedCreatePodSandBox", "cni")], "its node cannot prepare it: cni"),
    ],
)
def test_events_say_why(events, text):
    cause = of_events(events)
    assert cause
    assert cause.text == text


def test_events_that_say_nothing_bad_are_no_cause():
    assert of_events([event("Scheduled", "x", "Normal"), event("Pulled", "x", "Normal")]) is None
    assert of_events([event("FailedScheduling", "x", "Normal"), event("Unheard", "x")]) is None


def test_the_words_of_a_cluster_are_one_line_of_bounded_length():
    cause = of_pod({"status": waiting("ErrImagePull", "a\n\x1b[1m" + "b" * 1000)})
    assert cause
    assert cause.text.isprintable()
    assert len(cause.text) < 400
    assert cause.who is Who.AUTHOR
