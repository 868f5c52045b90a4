"""The reference of the configuration has every key that the file may have, and says what is so."""

import tomllib
from pathlib import Path

import attrs
import pytest

from executors.clever.settings import CleverSettings
from executors.clever_service.settings import CleverServiceSettings
from executors.kubernetes.settings import KubernetesSettings, PodFlavor, TagPods
from executors.local_docker.settings import LocalDockerSettings
from executors.service_docker.settings import ServiceDockerSettings
from executors.tag_tables import TagHosts, TagImage
from paas_runner.config import dialect, sections
from paas_runner.config.load import _KNOWN_KEYS as GLOBAL_NAMES
from paas_runner.config.model import Config, QuotaComputation
from paas_runner.config.notify import Receiver
from paas_runner.config.reference import Concern, reference
from paas_runner.config.runner import JobTraceWatch, Runner
from paas_runner.config.secret_references import Surroundings
from paas_runner.config.spelling import FORWARDED_TABLES
from paas_runner.config.telemetry import LogRemote, Traces
from paas_runner.executor.contract import installed
from paas_runner.setting_types import SCALARS
from paas_runner.settings import declared, keys_of

CLASSES = {
    ("", ""): Config,
    ("[[runners]]", ""): Runner,
    ("[quota_computation]", ""): QuotaComputation,
    ("[[notify]]", ""): Receiver,
    ("[traces]", ""): Traces,
    ("[log_remote]", ""): LogRemote,
    ("[runners.paas_job_trace_watch]", ""): JobTraceWatch,
    ("[[runners]]", "clever-docker"): CleverSettings,
    ("[[runners]]", "clever-service-docker"): CleverServiceSettings,
    ("[[runners]]", "kubernetes"): KubernetesSettings,
    ("[runners.flavors.NAME]", "kubernetes"): PodFlavor,
    ("[runners.tags.NAME]", "kubernetes"): TagPods,
    ("[[runners]]", "local-docker"): LocalDockerSettings,
    ("[[runners]]", "service-docker"): ServiceDockerSettings,
    ("[runners.tags.NAME]", "clever-docker"): TagHosts,
    ("[runners.tags.NAME]", "local-docker"): TagImage,
}

NOWHERE = Surroundings(environ={}, folder=Path("/"))


@pytest.fixture(scope="module")
def told():
    return {(section.header, section.executor): section for section in reference(installed())}


def names(section):
    return {entry.key for entry in section.keys}


def test_it_has_whatever_the_file_may_have_and_nothing_else(told):
    assert names(told["", ""]) == GLOBAL_NAMES - {"runners", "notify", "pipelines"}
    assert names(told["[[runners]]", ""]) == sections._KNOWN_KEYS
    for place, cls in CLASSES.items():
        assert keys_of(cls) | dialect.ALIASES.get(cls, {}).keys() <= names(told[place])
    assert {key[1] for key in told} == {"", *installed()}


def test_no_key_is_told_twice(told):
    for section in told.values():
        assert len(names(section)) == len(section.keys)


def test_each_default_is_written_as_the_file_would_have_it_and_means_the_default(told):
    for place, cls in CLASSES.items():
        written = {entry.key: entry for entry in told[place].keys}
        for key in declared(cls):
            default = getattr(attrs.fields(cls), key.field).default
            if text := written[key.written].default:
                read = SCALARS[key.kind].read(tomllib.loads(f"it = {text}")["it"], NOWHERE)
                assert read in (default, Path("/", str(default))), key.written
            else:
                assert default in (None, "", (), attrs.NOTHING) or isinstance(default, attrs.Factory), (
                    key.written
                )
            assert written[key.written].required == key.required


def test_secrets_are_called_so_and_have_no_other_words(told):
    for section in told.values():
        for entry in section.keys:
            assert entry.secret == (entry.accepts == "a secret")
    secret = {entry.key for section in told.values() for entry in section.keys if entry.secret}
    assert {"token", "cc_token", "cc_gitlab_namespace_attributes_token"} <= secret


def test_what_is_handed_on_has_its_tables_too(told):
    headers = {header for header, _ in told}
    for path in FORWARDED_TABLES:
        assert headers & {f"[runners.{'.'.join(path)}]", f"[[runners.{'.'.join(path)}]]"}
    forwarded = {entry.key for entry in told["[[runners]]", ""].of(Concern.FORWARDED)}
    assert forwarded == dialect.FORWARDED_KEYS


def test_what_has_no_effect_says_what_is_so_instead(told):
    [entry] = [entry for entry in told["", ""].keys if entry.key == "sentry_dsn"]
    assert entry.concern is Concern.NOBODY
    assert dialect.ASKED_IN_VAIN[Config]["sentry_dsn"] in entry.meaning


def test_titles_tell_the_sections_apart(told):
    titles = [section.title for section in told.values()]
    assert titles[0] == "Global keys"
    assert '[[runners]] with executor = "clever-docker"' in titles
    assert len(set(titles)) == len(titles)
