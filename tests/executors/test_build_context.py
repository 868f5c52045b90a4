"""What a host is given, and the keys that shape it."""

import json
import tomllib

import attrs
import pytest

from executors.build_context import build_context
from executors.clever import KIND
from executors.clever.settings import CleverSettings
from paas_runner.config import load
from paas_runner.errors import Transient
from paas_runner.executor.contract import HostRequest, HostTrace, JobRefusedError
from paas_runner.http import Tls
from paas_runner.job.failure import FailureReason
from paas_runner.job.tracked import HostName
from paas_runner.secret import Secret
from tests.executors.test_clever import SECTION
from tests.support.records import payload

PREFIX = "gitlab.example:443/group/dependency_proxy/containers"
PROXY = {"key": "CI_DEPENDENCY_PROXY_GROUP_IMAGE_PREFIX", "value": PREFIX}


def requested(**definition):
    return HostRequest(host_name=HostName("h"), payload=payload(**definition))


def test_the_host_gets_the_job_with_its_images_through_the_proxy():
    wanted = requested(
        variables=[PROXY],
        image={"name": "python:3.12", "entrypoint": None},
        services=[{"name": "tutum/wordpress:latest", "alias": None}, {"name": "r.example/x:1", "alias": "x"}],
        steps=[{"script": ["echo é"]}],
    )
    tree = build_context(wanted, SECTION, main_image="img:1")
    assert tree == build_context(wanted, SECTION, main_image="img:1")
    assert json.loads(tree["job.json"]) == {
        **wanted.payload.raw,
        "image": {"name": f"{PREFIX}/library/python:3.12", "entrypoint": None},
        "services": [
            {"name": f"{PREFIX}/tutum/wordpress:latest", "alias": "tutum__wordpress tutum-wordpress"},
            {"name": "r.example/x:1", "alias": "x"},
        ],
    }
    assert "é".encode() in tree["job.json"]


def test_without_a_proxy_the_host_gets_the_payload_byte_for_byte():
    wanted = requested(image={"name": "python:$V"}, services=[{"name": "postgres:13"}], variables=[])
    raw = json.dumps(wanted.payload.raw, ensure_ascii=False, separators=(",", ":")).encode()
    assert build_context(wanted, SECTION, main_image="img:1")["job.json"] == raw


def test_an_image_that_cannot_exist_is_the_authors_to_correct():
    with pytest.raises(JobRefusedError, match="'my image', is no image name: it contains a space") as caught:
        build_context(requested(image={"name": "my image"}), SECTION, main_image="img:1")
    assert caught.value.failure.reason is FailureReason.SCRIPT


def test_a_private_authority_goes_along_and_no_key_of_ours(tmp_path):
    ca, key = tmp_path / "any name.pem", tmp_path / "key.pem"
    ca.write_bytes(b"the authority")
    key.write_bytes(b"private-key-canary")
    section = attrs.evolve(SECTION, tls=Tls(ca_file=ca, cert_file=key, key_file=key))
    tree, plain = (build_context(requested(), each, main_image="img:1") for each in (section, SECTION))
    assert tree["coordinator-ca.crt"] == b"the authority"
    inner = tomllib.loads(tree["runner.toml"].decode())["runners"][0]
    assert inner.pop("tls-ca-file") == "/etc/heptapod-runner/coordinator-ca.crt"
    assert inner == tomllib.loads(plain["runner.toml"].decode())["runners"][0]
    assert b"COPY runner.toml job.json coordinator-ca.crt /etc/heptapod-runner/\n" in tree["Dockerfile"]
    assert not [content for content in tree.values() if b"canary" in content]
    only_ours = attrs.evolve(SECTION, tls=Tls(cert_file=key, key_file=key))
    assert build_context(requested(), only_ours, main_image="img:1") == plain


def test_an_authority_that_cannot_be_read_is_tried_again_with_words(tmp_path):
    section = attrs.evolve(SECTION, tls=Tls(ca_file=tmp_path / "gone.pem"))
    with pytest.raises(Transient, match=r"read `tls-ca-file`: .*gone\.pem: No such file"):
        build_context(requested(), section, main_image="img:1")


def problems(**keys):
    return list(CleverSettings(cc_orga_id="orga_1", cc_token=Secret("x"), **keys).problems())


@pytest.mark.parametrize(
    "image", ["runner", "registry.example:443/a/runner:0.7.0", "r.example/runner@sha256:" + "0" * 64]
)
def test_any_image_may_be_the_inner_runners(image):
    assert problems(heptapod_runner_main_image=image) == []


@pytest.mark.parametrize(
    "image", ["", "runner:1\nRUN id", "runner:1 AS x", "runner\n", "--platform=x", "Runner", "a//b", "$IMAGE"]
)
def test_no_other_text_comes_into_the_dockerfile(image):
    [(key, sentence)] = problems(heptapod_runner_main_image=image)
    assert key == "heptapod_runner_main_image"
    assert sentence.startswith("is no image name: ")


@pytest.mark.parametrize("key", ["paas_git_user_name", "paas_git_user_email"])
@pytest.mark.parametrize("text", ["", "  ", ".", "a <b>", "a\nb", "a\0", "a\r"])
def test_what_git_cannot_sign_with_is_refused(key, text):
    assert problems(**{key: text}) == [(key, "must be text on one line, without < and >")]


def test_without_configuration_the_identity_is_that_of_the_peer():
    identity = CleverSettings().identity
    assert (identity.name, identity.email) == ("Heptapod Paas Runner", "paasrunner@heptapod.test")


def test_the_identity_is_configured_and_stays_with_us(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(
        """
[[runners]]
  name = "one"
  url = "https://gitlab.example/"
  token = "glrt-t1_aaaaaaaaaaaaaaaa"
  executor = "clever-docker"
  cc_orga_id = "orga_1"
  cc_token = "clever"
  heptapod_runner_main_image = "registry.example/runner:1"
  paas_git_user_name = "CI of Example"
"""
    )
    [runner] = load(path, environ={}, executors={"clever-docker": lambda: KIND}).runners
    assert runner.settings.identity.name == "CI of Example"
    assert runner.settings.identity.email == "paasrunner@heptapod.test"
    assert runner.forwarded == {}


def test_the_jobs_trace_is_a_variable_of_the_section_after_the_operators_own():
    section = attrs.evolve(SECTION, forwarded={"environment": ["A=b"]})
    trace = HostTrace(traceparent="00-x-y-01")
    tree = build_context(attrs.evolve(requested(), trace=trace), section, main_image="img:1")
    [written] = tomllib.loads(tree["runner.toml"].decode())["runners"]
    assert written["environment"] == ["A=b", "TRACEPARENT=00-x-y-01"]
    assert "paas_traces" not in written


def test_where_a_host_sends_its_spans_is_a_table_of_its_own():
    trace = HostTrace(traceparent="00-x-y-01", endpoint="http://c:4318", headers={"k": Secret("v")})
    tree = build_context(attrs.evolve(requested(), trace=trace), SECTION, main_image="img:1")
    [written] = tomllib.loads(tree["runner.toml"].decode())["runners"]
    assert written["paas_traces"] == {"endpoint": "http://c:4318", "headers": {"k": "v"}}


def test_an_environment_that_is_no_list_stays_as_the_operator_wrote_it():
    section = attrs.evolve(SECTION, forwarded={"environment": "A=b"})
    request = attrs.evolve(requested(), trace=HostTrace(traceparent="00-x-y-01"))
    [written] = tomllib.loads(build_context(request, section, main_image="img:1")["runner.toml"].decode())[
        "runners"
    ]
    assert written["environment"] == "A=b"
