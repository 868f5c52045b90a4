from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest

from paas_runner.config import Config, ConfigError, load
from paas_runner.executor.contract import ExecutorKind
from paas_runner.secret import Secret
from paas_runner.settings import setting

LoadText = Callable[..., Config]

RUNNER = """
[[runners]]
  name = "one"
  url = "https://gitlab.example/"
  token = "glrt-t1_aaaaaaaaaaaaaaaa"
  executor = "clever-docker"
  cc_orga_id = "orga_1"
  cc_token = "clever"
"""

WRITTEN_BY_GITLAB_RUNNER = """
concurrent = 1
check_interval = 0
shutdown_timeout = 0
connection_max_age = "15m0s"

[session_server]
  session_timeout = 1800

[[runners]]
  name = "one"
  url = "https://gitlab.example"
  id = 12
  token = "glrt-aaaaaaaaaaaaaaaa"
  token_obtained_at = 2026-11-20T10:00:00Z
  token_expires_at = 0001-01-01T00:00:00Z
  executor = "clever-docker"
  limit = 4
  request_concurrency = 1
  output_limit = 8192
  environment = ["A=$B"]
  cc_orga_id = "orga_1"
  cc_token = "clever"
  [runners.custom_build_dir]
  [runners.feature_flags]
    FF_SCRIPT_SECTIONS = true
  [runners.cache]
    MaxUploadedArchiveSize = 0
    [runners.cache.s3]
    [runners.cache.gcs]
    [runners.cache.azure]
  [runners.docker]
    image = "debian"
    [[runners.docker.services]]
      name = "postgres"
"""


def complaints(error: pytest.ExceptionInfo[ConfigError]) -> list[str]:
    return [line.rpartition("/")[2] for line in str(error.value).split("\n")]


def test_what_is_not_there_has_its_default(load_text: LoadText, tmp_path: Path) -> None:
    config = load_text(RUNNER)

    assert config.path == tmp_path / "config.toml"
    assert config.concurrent == 50
    assert config.check_interval is None
    assert config.shortest_check_interval < timedelta(seconds=1)
    assert config.longest_check_interval == timedelta(seconds=3)
    assert config.job_progress_poll_interval == timedelta(seconds=30)
    assert config.shutdown_timeout == timedelta(seconds=100)
    assert (config.log_level, config.log_format) == ("info", None)
    assert config.state_file == tmp_path / "paas-runner-state.json"
    assert config.paas_max_concurrent_provisioning == 10
    assert config.paas_min_seconds_between_launches == 0
    assert config.paas_finished_jobs_keep_resources is False
    assert config.paas_decommission_launch_failures is True
    assert config.paas_repoll_same_runner_immediately is False
    assert config.paas_log_statistics is True
    assert config.quota_computation is None
    assert config.warnings == ()


def test_a_runner_has_defaults_too(load_text: LoadText) -> None:
    [runner] = load_text(RUNNER).runners

    assert (runner.name, runner.url, runner.executor) == ("one", "https://gitlab.example", "clever-docker")
    assert runner.token == Secret("glrt-t1_aaaaaaaaaaaaaaaa")
    assert runner.short_token == "aaaaaaaaa"
    assert runner.limit == 0
    assert (runner.tls_ca_file, runner.tls_cert_file, runner.tls_key_file) == (None, None, None)
    assert runner.unhealthy_requests_limit == 3
    assert runner.unhealthy_interval == timedelta(hours=1)
    assert runner.quota_max_fraction == 1
    assert runner.paas_job_trace_watch.token is None
    assert runner.paas_job_trace_watch.timeout_seconds == timedelta(seconds=300)
    assert runner.paas_job_trace_watch.poll_step == timedelta(seconds=10)
    assert runner.settings.cc_token == Secret("clever")
    assert runner.settings.cc_deployment_repo_timeout == timedelta(seconds=20)
    assert runner.forwarded == {}


def test_every_global_key_is_read(load_text: LoadText, tmp_path: Path) -> None:
    config = load_text(
        """
        concurrent = 8
        check_interval = 5
        job_progress_poll_interval = 1.5
        log_level = "debug"
        log_format = "json"
        state_file = "state/jobs.json"
        shutdown_timeout = 60
        paas_max_concurrent_provisioning = 2
        paas_min_seconds_between_launches = 1
        paas_finished_jobs_keep_resources = true
        paas_decommission_launch_failures = false
        paas_repoll_same_runner_immediately = true
        paas_log_statistics = false
        """
        + RUNNER
    )

    assert config.concurrent == 8
    assert config.check_interval == timedelta(seconds=5)
    assert config.job_progress_poll_interval == timedelta(seconds=1.5)
    assert (config.log_level, config.log_format) == ("debug", "json")
    assert config.state_file == tmp_path / "state" / "jobs.json"
    assert config.shutdown_timeout == timedelta(minutes=1)
    assert config.paas_max_concurrent_provisioning == 2
    assert config.paas_min_seconds_between_launches == 1
    assert config.paas_finished_jobs_keep_resources is True
    assert config.paas_decommission_launch_failures is False
    assert config.paas_repoll_same_runner_immediately is True
    assert config.paas_log_statistics is False
    assert config.warnings == ()


@pytest.mark.parametrize("number", ["0", "-1", "-0.5"])
def test_no_interval_at_all_means_the_default_interval(number: str, load_text: LoadText) -> None:
    config = load_text(f"check_interval = {number}\nshutdown_timeout = {number}\n{RUNNER}")

    assert config.check_interval is None
    assert config.shutdown_timeout == timedelta(seconds=100)


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"STATE_DIRECTORY": "/var/lib/paas-runner"}, "/var/lib/paas-runner"),
        ({"STATE_DIRECTORY": "/var/lib/first:/var/lib/second"}, "/var/lib/first"),
        ({"STATE_DIRECTORY": ""}, "{beside}"),
        ({}, "{beside}"),
    ],
)
def test_the_state_file_is_where_systemd_wants_it_or_beside_the_configuration(
    environ: Mapping[str, str], folder: str, load_text: LoadText, tmp_path: Path
) -> None:
    config = load_text(RUNNER, environ)

    assert config.state_file == Path(folder.format(beside=tmp_path)) / "paas-runner-state.json"


def test_a_state_file_of_the_configuration_wins(load_text: LoadText) -> None:
    config = load_text('state_file = "/srv/state.json"\n' + RUNNER, {"STATE_DIRECTORY": "/var/lib/x"})

    assert config.state_file == Path("/srv/state.json")


def test_paths_are_absolute_even_if_the_configuration_is_named_by_a_relative_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, executors: Mapping[str, Callable[[], ExecutorKind]]
) -> None:
    (tmp_path / "config.toml").write_text(RUNNER)
    monkeypatch.chdir(tmp_path)

    config = load(Path("config.toml"), environ={}, executors=executors)

    assert config.path == Path("config.toml")
    assert config.state_file == tmp_path / "paas-runner-state.json"


def test_what_gitlab_runner_writes_is_accepted_without_a_word(load_text: LoadText) -> None:
    config = load_text(WRITTEN_BY_GITLAB_RUNNER)

    assert config.concurrent == 1
    assert config.warnings == ()


def test_only_what_concerns_the_inner_runner_is_forwarded_and_as_it_is(load_text: LoadText) -> None:
    [runner] = load_text(WRITTEN_BY_GITLAB_RUNNER).runners

    assert runner.limit == 4
    assert runner.forwarded == {
        "output_limit": 8192,
        "environment": ["A=$B"],
        "custom_build_dir": {},
        "feature_flags": {"FF_SCRIPT_SECTIONS": True},
        "cache": {"MaxUploadedArchiveSize": 0, "s3": {}, "gcs": {}, "azure": {}},
        "docker": {"image": "debian", "services": [{"name": "postgres"}]},
    }


def test_certificates_are_found_beside_the_configuration(load_text: LoadText, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("a certificate")
    elsewhere = tmp_path / "client.pem"
    elsewhere.write_text("another")

    [runner] = load_text(f'{RUNNER}tls-ca-file = "ca.pem"\ntls-cert-file = "{elsewhere}"\n').runners

    assert runner.tls_ca_file == tmp_path / "ca.pem"
    assert runner.tls_cert_file == elsewhere


@pytest.mark.parametrize(
    ("written", "duration"),
    [
        ('"60m"', timedelta(hours=1)),
        ('"1h30m"', timedelta(hours=1.5)),
        ('"1h0m0s"', timedelta(hours=1)),
        ('"1.5h"', timedelta(minutes=90)),
        ('"90s"', timedelta(seconds=90)),
        ('"250ms"', timedelta(milliseconds=250)),
        ('"2m3us"', timedelta(minutes=2, microseconds=3)),
        ("60000000000", timedelta(minutes=1)),
        ("0", timedelta()),
    ],
)
def test_durations_are_written_as_in_gitlab_runner(
    written: str, duration: timedelta, load_text: LoadText
) -> None:
    [runner] = load_text(f"{RUNNER}unhealthy_interval = {written}\n").runners

    assert runner.unhealthy_interval == duration


@pytest.mark.parametrize(
    "written", ['"60"', '"m"', '"1h 30m"', '"-1m"', '""', "-1", "1.5", "true", f'"{"9" * 99}h"']
)
def test_what_is_no_duration_is_refused(written: str, load_text: LoadText) -> None:
    with pytest.raises(ConfigError, match='unhealthy_interval: expected a duration such as "1h30m", found'):
        load_text(f"{RUNNER}unhealthy_interval = {written}\n")


def test_references_to_the_environment_are_replaced(load_text: LoadText) -> None:
    environ = {"HOST": "gitlab.example", "TOKEN": "glrt-bbbbbbbbbbbb", "ZONE": "rbx", "CLEVER": "$notagain"}
    text = """
        [[runners]]
          url = "https://${HOST}/sub"
          token = "$TOKEN"
          executor = "clever-docker"
          cc_orga_id = "5$ and $ 6"
          cc_zone = "${ZONE}hds"
          cc_token = "$CLEVER"
          cc_extra_env = {KEPT = "$ZONE"}
    """

    [runner] = load_text(text, environ).runners

    assert runner.url == "https://gitlab.example/sub"
    assert runner.token == Secret("glrt-bbbbbbbbbbbb")
    assert runner.settings.cc_orga_id == "5$ and $ 6"
    assert runner.settings.cc_zone == "rbxhds"
    assert runner.settings.cc_token == Secret("$notagain")
    assert runner.settings.cc_extra_env == {"KEPT": "$ZONE"}


def test_names_that_1_1_1_documents_wrongly_are_understood_with_a_warning(
    load_text: LoadText, tmp_path: Path
) -> None:
    config = load_text(
        "job_progress_interval = 20\npass_decommision_launched_failures = false\n"
        f"{RUNNER}  [runners.job_trace_watch]\n    token = 'api'\n    timout_seconds = 60\n"
    )

    assert config.job_progress_poll_interval == timedelta(seconds=20)
    assert config.paas_decommission_launch_failures is False
    assert config.runners[0].paas_job_trace_watch.token == Secret("api")
    assert config.runners[0].paas_job_trace_watch.timeout_seconds == timedelta(seconds=60)
    file = tmp_path / "config.toml"
    right_name = "paas_decommission_launch_failures"
    assert config.warnings == (
        f"{file}:1: job_progress_interval: accepted, but its name is `job_progress_poll_interval`",
        f"{file}:2: pass_decommision_launched_failures: accepted, but its name is `{right_name}`",
        f"{file}:11: runners[0].job_trace_watch: accepted, but its name is `paas_job_trace_watch`",
        f"{file}:13: runners[0].job_trace_watch.timout_seconds: accepted, but its name is `timeout_seconds`",
    )


def test_what_is_asked_for_in_vain_is_named_and_what_happens_instead(
    load_text: LoadText, tmp_path: Path
) -> None:
    config = load_text(
        "listen_address = ':9252'\nsentry_dsn = 'https://x'\nuser = 'ci'\n"
        "metrics_server = ':9252'\nconnection_max_age = '1h'\n"
        "[session_server]\n  listen_address = '0.0.0.0:8093'\n"
        f"{RUNNER}  strict_check_interval = true\n"
        "  disable_verbose = true\n  tls-skip-verify = true\n"
    )

    told = [warning.removeprefix(f"{tmp_path / 'config.toml'}:") for warning in config.warnings]
    assert [line.partition(";")[0] for line in told] == [
        "2: sentry_dsn: has no effect",
        "3: user: has no effect",
        "4: metrics_server: has no effect",
        "5: connection_max_age: has no effect",
        "6: session_server: has no effect",
        "16: runners[0].strict_check_interval: has no effect",
        "17: runners[0].disable_verbose: has no effect",
        "18: runners[0].tls-skip-verify: has no effect",
    ]
    assert "`listen_address`" in told[2]
    assert "`tls-ca-file`" in told[-1]


def test_what_gitlab_runner_writes_of_itself_asks_for_nothing(load_text: LoadText) -> None:
    config = load_text(
        "connection_max_age = '15m0s'\nlisten_address = ''\n[session_server]\n  session_timeout = 1800\n"
        f"{RUNNER}  id = 7\n  request_concurrency = 1\n  strict_check_interval = false\n"
        "  token_obtained_at = 2026-01-01T00:00:00Z\n  token_expires_at = 0001-01-01T00:00:00Z\n"
        "  disable_verbose = false\n  tls-skip-verify = false\n"
    )

    assert config.warnings == ()


@pytest.mark.parametrize(("written", "meant"), [("", None), ("0", None), ("1", 1), ("4", 4)])
def test_how_many_requests_are_in_flight_at_once_may_be_said_as_for_gitlab_runner(
    written: str, meant: int | None, load_text: LoadText
) -> None:
    config = load_text(f"{RUNNER}  request_concurrency = {written}\n" if written else RUNNER)

    assert config.runners[0].request_concurrency == meant
    assert config.warnings == ()


def test_an_interval_that_is_given_is_kept_to_whether_jobs_come_or_not(load_text: LoadText) -> None:
    config = load_text(f"check_interval = 5\n{RUNNER}")

    assert config.shortest_check_interval == config.longest_check_interval == timedelta(seconds=5)


def test_keys_of_1_1_1_without_a_meaning_for_us_are_accepted_with_a_warning(load_text: LoadText) -> None:
    config = load_text(
        f"{RUNNER}  paas_keep_resources_for_reuse_seconds = 120\n"
        "  heptapod_paas_runner_helper_image = 'helper'\n  quota_max_fraction = 0.5\n"
        "[quota_computation]\nreference_runner = 'one'\nreference_flavor = 'M'\nreference_jobs_count = 4\n"
    )

    assert config.quota_computation is not None
    assert config.quota_computation.reference_jobs_count == 4
    assert config.quota_computation.allowed_fraction_per_runner == 1
    assert config.runners[0].quota_max_fraction == 0.5
    assert config.runners[0].paas_keep_resources_for_reuse_seconds == timedelta(seconds=120)
    assert [line.rpartition("/")[2] for line in config.warnings] == [
        "config.toml:10: runners[0].heptapod_paas_runner_helper_image: has no effect",
    ]


def test_two_sections_may_have_one_name_if_nothing_refers_to_it(load_text: LoadText) -> None:
    config = load_text(RUNNER + RUNNER.replace("aaaa", "bbbb"))

    assert [runner.name for runner in config.runners] == ["one", "one"]


def test_an_executor_adds_keys_of_its_own(
    load_text: LoadText, make_kind: Callable[[type[Any]], ExecutorKind]
) -> None:
    @attrs.frozen(kw_only=True)
    class Limits:
        cpus: float = setting("Share of the processors.", minimum=0.5)

    @attrs.frozen(kw_only=True)
    class Local:
        where: Path = setting("Folder.", key="working-folder")
        size: str = setting("Size.", choices=("big", "tiny"))
        limits: Limits | None = setting("Limits.", default=None)

    text = """
        [[runners]]
          url = "http://localhost:3000"
          token = "aaaaaaaaaaaaaaaaaaaa"
          executor = "local"
          working-folder = "work"
          size = "big"
          limits.cpus = 2
    """
    local = make_kind(Local)

    config = load_text(text, local=lambda: local)

    assert config.runners[0].settings == Local(
        where=config.path.parent / "work", size="big", limits=Limits(cpus=2.0)
    )
    with pytest.raises(ConfigError) as error:
        load_text(text.replace("big", "bik").replace("2", "0"), local=lambda: local)
    assert complaints(error) == [
        'config.toml:7: runners[0].size: expected one of big, tiny, found "bik" (text); did you mean `big`?',
        "config.toml:8: runners[0].limits.cpus: expected a number of at least 0.5, found 0 (whole number)",
    ]


def test_a_setting_of_a_type_that_no_file_can_hold_is_an_error_of_its_author(
    load_text: LoadText, make_kind: Callable[[type[Any]], ExecutorKind]
) -> None:
    @attrs.frozen(kw_only=True)
    class Odd:
        numbers: set[int] = setting("Numbers.", factory=set)

    with pytest.raises(TypeError, match=r"Odd\.numbers"):
        load_text(RUNNER.replace("clever-docker", "odd"), odd=lambda: make_kind(Odd))


def test_an_executor_that_cannot_be_imported_is_a_complaint(load_text: LoadText) -> None:
    def broken() -> ExecutorKind:
        raise ModuleNotFoundError("No module named 'docker'")

    with pytest.raises(ConfigError) as error:
        load_text(RUNNER.replace("clever-docker", "local"), local=broken)

    assert complaints(error) == [
        "config.toml:6: runners[0].executor: the executor local cannot be loaded: No module named 'docker'"
    ]


def test_complaints_are_sorted_by_line_and_hold_their_facts(load_text: LoadText, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        load_text(RUNNER + "  limit = -1\n[quota_computation]\nreference_runner = 3\n")

    assert [(each.line, each.key) for each in error.value.complaints] == [
        (9, "runners[0].limit"),
        (10, "quota_computation.reference_flavor"),
        (10, "quota_computation.reference_jobs_count"),
        (11, "quota_computation.reference_runner"),
    ]
    first = error.value.complaints[0]
    assert first.path == tmp_path / "config.toml"
    assert (first.expected, first.found) == ("a whole number of at least 0", "-1 (whole number)")


def test_a_missing_file_is_a_complaint(
    tmp_path: Path, executors: Mapping[str, Callable[[], ExecutorKind]]
) -> None:
    with pytest.raises(ConfigError) as error:
        load(tmp_path / "no.toml", environ={}, executors=executors)

    assert complaints(error) == ["no.toml: cannot be read: No such file or directory"]


def test_a_folder_is_a_complaint(tmp_path: Path, executors: Mapping[str, Callable[[], ExecutorKind]]) -> None:
    with pytest.raises(ConfigError) as error:
        load(tmp_path, environ={}, executors=executors)

    assert str(error.value) == f"{tmp_path}: cannot be read: Is a directory"


def test_a_file_that_cannot_be_read_is_a_complaint(
    executors: Mapping[str, Callable[[], ExecutorKind]],
) -> None:
    """A file whose reading fails for root, too."""
    with pytest.raises(ConfigError) as error:
        load(Path("/proc/self/mem"), environ={}, executors=executors)

    assert str(error.value) == "/proc/self/mem: cannot be read: Input/output error"


def test_a_bottomless_document_is_a_complaint(load_text: LoadText) -> None:
    with pytest.raises(ConfigError) as error:
        load_text("concurrent = " + "[" * 20_000 + "]" * 20_000)

    assert complaints(error) == ["config.toml: nested too deeply"]


@pytest.mark.parametrize(
    ("more", "place"),
    [
        ("address = 'log.example'", ("log.example", 6514)),
        ("address = 'log.example'\ntls = false", ("log.example", 601)),
        ("address = '[::1]:5140'", ("::1", 5140)),
    ],
)
def test_the_log_goes_to_the_port_that_is_usual_for_its_way(
    load_text: LoadText, more: str, place: object
) -> None:
    remote = load_text(f"[log_remote]\n{more}\n{RUNNER}").log_remote
    assert remote is not None
    assert remote.place == place


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("address = 'https://x'", "log_remote.address: has neither scheme nor path"),
        ("address = 'x'\napp_name = 'a b'", "log_remote.app_name: must be 1 to 48"),
        ("address = 'x'\nfacility = 'mail'", "log_remote.facility: expected one of user, daemon"),
        ("address = 'x'\ntls-cert-file = 'config.toml'", "log_remote.tls-cert-file: and `tls-key-file`"),
        ("address = 'x'\ntls = false\ntls-ca-file = 'config.toml'", "log_remote.tls: is false"),
    ],
)
def test_where_the_log_goes_is_said_wrongly(load_text: LoadText, more: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_text(f"[log_remote]\n{more}\n{RUNNER}")
    [complaint] = caught.value.complaints
    assert said in str(complaint)


QUOTA = """
[quota_computation]
  reference_runner = "one"
  reference_flavor = "M"
  reference_jobs_count = 4
"""
LOCAL_DOCKER = '[[runners]]\n  name = "two"\n  url = "https://b"\n  token = "bbbbbbbbb"\n'


@pytest.mark.parametrize("top", [QUOTA, ""])
def test_one_quota_for_hosts_that_weigh_otherwise_is_warned_about(top: str, load_text: LoadText) -> None:
    """H128: check and run say so; without a quota weights do not matter."""
    config = load_text(f'{top}{RUNNER}{LOCAL_DOCKER}  executor = "local-docker"\n')

    said = (
        "adds up weights that cannot be compared, those of hosts of clever-docker and local-docker; "
        "give each of them a service, and a quota, of its own"
    )
    warned = [line.partition("quota_computation: ")[2] for line in config.warnings]
    assert warned == ([said] if top else [])


def test_hosts_of_other_executors_with_weights_of_one_scale_are_added_up_without_a_word(
    load_text: LoadText,
) -> None:
    @attrs.frozen(kw_only=True)
    class Nothing:
        pass

    class Alike:
        settings = Nothing
        scale = "memory"

    config = load_text(f'{QUOTA}{RUNNER}{LOCAL_DOCKER}  executor = "alike"\n', alike=Alike)

    assert config.warnings == ()
