"""What the conformance suite has for hosts that nobody creates: service-docker, by both protocols (H130)."""

import random
from contextlib import contextmanager
from datetime import timedelta

import pytest

from executors.service_docker import ServiceDocker
from executors.service_docker.settings import ServiceDockerSettings
from paas_runner.conformance import Call, ExecutorConformance, host_request
from paas_runner.executor.contract import RunnerSection
from paas_runner.helper.protocol import GrpcMethod
from paas_runner.http import Http
from paas_runner.job.tracked import JobKey, host_name
from paas_runner.sandbox.faults import DropAfter
from tests.support.reference_helper import TOKEN, ReferenceHelper, served

pytestmark = pytest.mark.timeout(60)

CALLS = {Call.LAUNCH: GrpcMethod.LAUNCH_JOB, Call.DELETE: GrpcMethod.FORGET_JOB}


class OneHelper:
    def __init__(self, helper, url, http1):
        self._helper, self._url, self._http1 = helper, url, http1

    def executor(self, installation):
        section = RunnerSection(
            name="helper",
            url="https://gitlab.example",
            short_token="abc123xyz",
            forwarded={},
            installation=installation,
        )
        settings = ServiceDockerSettings(host=self._url, http1=self._http1, token=TOKEN)
        return ServiceDocker(second_look_after=timedelta(seconds=0.1)).build(
            settings, section, Http(rng=random.Random(2))
        )

    def request(self, job_id):
        return host_request("abc123xyz", job_id)

    async def existing(self):
        """What is there is the helper; a host is what has a job."""
        return [self._name(job.job_id) for job in self._helper.jobs]

    async def launches(self, name):
        return [self._name(each.job.job_id) for each in self._helper.launched].count(name)

    async def vanish(self, ref):
        self._helper.jobs.clear()

    @contextmanager
    def losing_the_answer(self, call):
        rule = self._helper.fail(CALLS[call], DropAfter(), times=1)
        try:
            yield
        finally:
            self._helper.faults.remove(rule)

    def _name(self, job_id):
        return host_name(JobKey("abc123xyz", job_id))


class TestServiceDocker(ExecutorConformance):
    @pytest.fixture(params=[True, False], ids=["http1", "grpc"])
    async def provider(self, request):
        helper = ReferenceHelper()
        async with served(helper, http1=request.param) as url:
            yield OneHelper(helper, url, request.param)

    # of hosts that are created, and listed: here is none of either
    test_a_provisioned_host_exists_once_under_the_jobs_name_and_becomes_ready = None
    test_a_host_is_adopted_after_a_crash = None
    test_a_host_whose_creation_was_not_answered_is_adopted = None
    test_a_creation_that_outlives_its_caller_ends_in_one_launch_and_no_host_left = None
    test_a_refused_creation_is_an_error_in_words_and_leaves_nothing = None
    test_hosts_are_listed_by_name_reference_and_age = None
    test_a_search_removes_the_host_of_a_lost_record_and_no_other = None
    test_another_installations_host_is_neither_listed_nor_adopted_nor_removed = None
    test_another_programs_host_of_that_name_is_neither_listed_nor_adopted_nor_removed = None
