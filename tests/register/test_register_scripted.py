"""`heptapod-paas-runner-register --non-interactive`: everything given, nothing asked."""

import os
import stat
import tomllib

import pytest

from paas_runner.sandbox.faults import Answer

NOTHING = ([], [])


async def test_a_script_registers_a_runner_with_all_that_the_service_needs(world):
    result = await world.register("--max-concurrency", "7")
    assert result.code == 0, result
    [runner] = world.runners.values()
    document = tomllib.loads(world.config.read_text())
    assert document == {
        "concurrent": 7,
        "state_file": str(world.folder / "paas-runner-state.json"),
        "runners": [
            {
                "name": "made by a script",
                "url": world.sandbox.coordinator_url,
                "id": runner.runner_id,
                "token": runner.token.reveal(),
                "executor": "clever-docker",
                "cc_api_url": world.sandbox.cloud_api_url,
                "cc_multi_tenant": False,
                "cc_orga_id": world.sandbox.organisation_id,
                "cc_token": world.sandbox.cloud_token.reveal(),
                "cc_zone": "par",
                "cc_default_flavor": "M",
                "docker": {"image": "debian:12"},
                "cc_extra_env": {"CC_ENABLE_HEPTAPOD_RUNNER": "true"},
            }
        ],
    }
    assert stat.S_IMODE(world.config.stat().st_mode) == 0o600
    assert world.left_over()[0] == []


async def test_the_arguments_of_1_1_1_mean_what_they_meant(world):
    result = await world.register(
        *("--name", "by argument", "-c", world.sandbox.coordinator_url, "-t", world.registration_token),
        *("-e", "clever-docker", "--max-concurrency", "3", "-l", "INFO"),
        *("--state-file-path", world.folder / "state" / "of" / "it.json"),
        CI_SERVER_URL="http://127.0.0.1:1",
        REGISTRATION_TOKEN="another",
        RUNNER_NAME="by variable",
    )
    assert result.code == 0, result
    document = tomllib.loads(world.config.read_text())
    assert document["concurrent"] == 3
    assert document["state_file"] == str(world.folder / "state" / "of" / "it.json")
    assert stat.S_IMODE((world.folder / "state").stat().st_mode) == 0o700
    assert list(world.runners) == ["by argument"]


async def test_the_coordinator_gets_what_gitlab_runner_sends_it(world):
    result = await world.register(
        "--description",
        "shown there",
        "--maximum-timeout=3600",
        "--locked=false",
        "--access-level=ref_protected",
        RUNNER_TAG_LIST="a, b,",
        REGISTER_PAUSED="true",
        REGISTER_MAINTENANCE_NOTE="ask us",
    )
    assert result.code == 0, result
    runner = world.runners["shown there"]
    assert runner.tags == ("a", "b")
    assert runner.paused
    assert runner.maximum_timeout.total_seconds() == 3600
    assert tomllib.loads(world.config.read_text())["runners"][0]["name"] == "made by a script"


async def test_all_that_lacks_is_named_at_once_and_nothing_is_touched(world):
    result = await world.run(world.config, "--non-interactive")
    assert result.code == 2
    for way in ("CI_SERVER_URL", "REGISTRATION_TOKEN", "RUNNER_EXECUTOR"):
        assert way in result.err
    result = await world.run(world.config, "--non-interactive", "--executor", "clever-docker")
    assert result.code == 2
    for way in ("CI_SERVER_URL", "REGISTRATION_TOKEN", "CC_ORGA_ID", "CC_TOKEN"):
        assert way in result.err
    assert not world.config.exists()
    assert world.left_over() == NOTHING


async def test_without_a_terminal_nothing_is_asked(world):
    result = await world.register(REGISTER_NON_INTERACTIVE=None, CC_TOKEN=None)
    assert result.code == 2
    assert "there is no one to ask, and no $CC_TOKEN" in result.err


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"CI_SERVER_URL": "ftp://x"}, 1, "an address such as https://"),
        ({"CI_SERVER_URL": "http://127.0.0.1:1"}, 1, "Connection refused"),
        ({"CI_SERVER_URL": "http://nowhere.invalid"}, 1, "can it be reached?"),
        ({"REGISTRATION_TOKEN": "wrong"}, 1, "the coordinator does not know this token"),
        ({"REGISTRATION_TOKEN": "glrt-wrong-token"}, 1, "the coordinator does not know this token"),
        ({"CI_SERVER_TOKEN": "wrong"}, 1, "--token: the coordinator does not know this token"),
        ({"CI_SERVER_TOKEN": "file:none"}, 1, "none is no file"),
        (
            {"RUNNER_EXECUTOR": "shell"},
            1,
            '"shell" is not on offer; choices: clever-docker, clever-service-docker, kubernetes',
        ),
        ({"CC_MULTI_TENANT": "perhaps"}, 1, "yes or no was expected"),
        ({"CC_ORGA_ID": "a/b"}, 1, "this is no id of an organisation"),
        ({"CC_ORGA_ID": "orga_00000000-0000-4000-8000-000000000000"}, 1, "for another organisation"),
        ({"CC_TOKEN": "wrong"}, 1, "Clever Cloud does not know this token"),
        ({"CC_ZONE": "mars"}, 1, '"mars" is not on offer; choices: par,'),
        ({"CC_DEFAULT_FLAVOR": "9XL"}, 1, '"9XL" is not on offer; choices: XS,'),
        ({"REGISTER_MAXIMUM_TIMEOUT": "an hour"}, 2, "a whole number of seconds"),
        ({"REGISTER_MAXIMUM_TIMEOUT": "5"}, 1, "maximum_timeout: needs to be at least 10 minutes"),
        ({"REGISTER_LOCKED": "half"}, 2, "true or false"),
    ],
)
async def test_what_is_not_acceptable_is_explained_and_leaves_nothing(world, change, code, words):
    result = await world.register(**change)
    assert (result.code, result.out.count("Traceback")) == (code, 0), result
    assert words in result.err
    assert "Traceback" not in result.err
    assert not world.config.exists()
    assert world.left_over() == NOTHING


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--max-concurrency", "none"], 1, "a whole number of at least 1"),
        (["--state-file-path", "/"], 1, "the path of a file was expected"),
        (["--set", "limit"], 2, "KEY=VALUE"),
        (["--set", "cc_token=in-the-arguments"], 2, "give $CC_TOKEN instead"),
        (["--set", "cc_zon=par"], 78, "unknown key; did you mean `cc_zone`?"),
        (["--set", "limit=many"], 78, "expected a whole number of at least 0"),
        (["--template-config", "none.toml"], 78, "none.toml: cannot be read"),
        (["--tls-ca-file", "/none.pem"], 78, "tls-ca-file"),
        (["-l", "loud"], 2, "no such level"),
    ],
)
async def test_arguments_that_will_not_do_leave_nothing(world, arguments, code, words):
    result = await world.register(*arguments)
    assert result.code == code, result
    assert words in result.err
    assert world.left_over() == NOTHING


async def test_registration_tokens_that_are_switched_off_are_explained(world):
    world.sandbox.coordinator_faults.add(Answer(410, body=b"{}"), method="POST", path="/api/v4/runners")
    result = await world.register()
    assert result.code == 1
    assert "create the runner there, and give its authentication token (glrt-…)" in result.err


async def test_a_redirect_names_the_address_to_give(world):
    there = {"location": "https://gitlab.example.com/api/v4/runners/verify"}
    world.sandbox.coordinator_faults.add(Answer(301, headers=there), path="**/verify")
    result = await world.register()
    assert result.code == 1
    assert "redirects to https://gitlab.example.com: give that address" in result.err


@pytest.mark.parametrize("variable", ["CI_SERVER_TOKEN", "REGISTRATION_TOKEN"])
async def test_an_authentication_token_is_verified_and_nothing_is_registered(world, variable):
    created = world.sandbox.coordinator.runners.add(description="created there")
    result = await world.register(**{"REGISTRATION_TOKEN": None, variable: created.token.reveal()})
    assert result.code == 0, result
    assert list(world.runners) == ["created there"]
    [section] = tomllib.loads(world.config.read_text())["runners"]
    assert (section["token"], section["id"]) == (created.token.reveal(), created.runner_id)


async def test_what_the_coordinator_keeps_for_a_created_runner_is_refused(world):
    created = world.sandbox.coordinator.runners.add(description="created there")
    result = await world.register("--paused", CI_SERVER_TOKEN=created.token.reveal(), RUNNER_TAG_LIST="a")
    assert result.code == 2
    assert "--tag-list, --paused: a runner with an authentication token (glrt-…) keeps this" in result.err
    assert not world.config.exists()


async def test_a_token_that_the_file_has_already_is_refused_before_anything_else(world):
    created = world.sandbox.coordinator.runners.add(description="created there")
    assert (await world.register(CI_SERVER_TOKEN=created.token.reveal())).code == 0
    before = world.config.read_bytes()
    result = await world.register(CI_SERVER_TOKEN=created.token.reveal())
    assert result.code == 1
    assert "the file has a section with this token already" in result.err
    assert world.config.read_bytes() == before


async def test_a_template_begins_the_section_and_arguments_and_variables_win(world):
    template = world.folder / "template.toml"
    template.write_text(
        """
        [[runners]]
          name = "of the template"
          limit = 4
          cc_default_flavor = "L"
          environment = ["A=1"]
          [runners.docker]
            image = "alpine:3"
            volumes = ["/cache"]
          [runners.cache.s3]
            BucketName = "b"
        """
    )
    result = await world.register(
        *("--template-config", template, "--set", "limit=2", "--set", 'cc_zones=["par", "ldn"]'),
        RUNNER_NAME=None,
        CC_DEFAULT_FLAVOR="S",
    )
    assert result.code == 0, result
    [section] = tomllib.loads(world.config.read_text())["runners"]
    assert section["name"] == "of the template"
    assert section["limit"] == 2
    assert (section["cc_zones"], section["cc_default_flavor"]) == (["par", "ldn"], "S")
    assert section["docker"] == {"image": "alpine:3", "volumes": ["/cache"]}
    assert section["cache"] == {"s3": {"BucketName": "b"}}


@pytest.mark.parametrize("folder", ["/proc/none", "a file/none"])
async def test_a_state_folder_that_cannot_be_made_is_told_before_anything_is_looked_at(world, folder):
    (world.folder / "a file").touch()
    result = await world.register(
        "--state-file-path", f"{folder}/state.json", CI_SERVER_URL="http://127.0.0.1:1"
    )
    assert result.code == 1
    assert "--state-file-path: " in result.err
    assert f"{folder} cannot be written: " in result.err
    assert not world.config.exists()


async def test_a_folder_of_the_configuration_that_cannot_be_made_is_told_first(world):
    result = await world.run(
        "/proc/none/config.toml", **world.clever | {"CI_SERVER_URL": "http://127.0.0.1:1"}
    )
    assert result.code == 1
    assert "/proc/none cannot be written: " in result.err


async def test_a_file_with_a_syntax_error_is_told_with_its_line(world):
    world.config.write_text("concurrent = 2\n[[runners]\n")
    result = await world.register()
    assert result.code == 78
    assert f"{world.config}:2: not valid TOML" in result.err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[runners]]\ntoken = 'x'\n", "each runner has a token of its own"),
        ("[[runners]]\n[[runners]]\n", "exactly one [[runners]] section"),
        ("concurrent = ", "not valid TOML"),
    ],
)
async def test_a_template_that_is_none_is_refused(world, text, words):
    template = world.folder / "template.toml"
    template.write_text(text)
    result = await world.register("--template-config", template)
    assert result.code == 78
    assert words in result.err


async def test_secrets_go_into_a_file_of_their_own_on_request(world):
    secrets = world.folder / "secrets.toml"
    for number in (1, 2):
        result = await world.register("--secrets-file", secrets, RUNNER_NAME="the same name")
        assert result.code == 0, result
        assert len(tomllib.loads(world.config.read_text())["runners"]) == number
    text = world.config.read_text()
    kept = tomllib.loads(secrets.read_text())
    first, second = tomllib.loads(text)["runners"]
    assert (first["token"], second["token"]) == ("secret:the-same-name-token", "secret:the-same-name-token-2")
    assert first["secrets_file"] == str(secrets)
    tokens = [runner.token.reveal() for runner in world.runners.values()]
    assert kept["the-same-name-token-2"] in tokens
    assert kept["the-same-name-cc_token"] == world.sandbox.cloud_token.reveal()
    assert not [secret for secret in kept.values() if secret in text]
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o600


async def test_a_secret_may_be_given_by_its_place_and_stays_there(world):
    place = world.folder / "cloud token"
    place.touch(mode=0o600)
    place.write_text(world.sandbox.cloud_token.reveal() + "\n")
    result = await world.register("--set", "cc_token=file:cloud token", CC_TOKEN=None)
    assert result.code == 0, result
    assert tomllib.loads(world.config.read_text())["runners"][0]["cc_token"] == "file:cloud token"


async def test_no_secret_is_shown(world):
    result = await world.register("-l", "debug")
    secrets = [world.registration_token, world.sandbox.cloud_token.reveal()]
    secrets += [runner.token.reveal() for runner in world.runners.values()]
    assert result.code == 0
    assert len(secrets) == 3
    assert not [secret for secret in secrets if secret in result.out + result.err]


PRESENT = """\
# The operator's own file.
concurrent = 3   # not more
log_level = "warning"

[[runners]]
  # the first one
  name = "present"
  url = "http://127.0.0.1:1"
  token = "glrt-was-there-before"
  executor = "clever-docker"
  cc_orga_id = "orga_1"
  cc_token = "not to be touched"

  [runners.docker]
    image = "debian:12"
# the last word
"""


async def test_every_byte_of_an_existing_file_stays(world):
    world.config.write_text(PRESENT)
    world.config.chmod(0o644)
    result = await world.register()
    assert result.code == 0, result
    assert world.config.read_text().startswith(PRESENT)
    document = tomllib.loads(world.config.read_text())
    assert [runner["name"] for runner in document["runners"]] == ["present", "made by a script"]
    assert "state_file" not in document
    assert stat.S_IMODE(world.config.stat().st_mode) == 0o600


async def test_a_group_that_was_let_in_on_purpose_stays_in_and_a_link_stays_a_link(world):
    real = world.folder / "real.toml"
    real.write_text(PRESENT)
    real.chmod(0o640)
    world.config.symlink_to(real)
    result = await world.register()
    assert result.code == 0, result
    assert world.config.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert "made by a script" in real.read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
async def test_files_of_another_user_stay_theirs_and_new_ones_are_the_folders(world):
    world.config.write_text(PRESENT)
    os.chown(world.config, 4321, 8765)
    os.chown(world.folder, 4321, 8765)
    secrets = world.folder / "secrets.toml"
    assert (await world.register("--secrets-file", secrets)).code == 0
    for path in (world.config, secrets):
        assert (path.stat().st_uid, path.stat().st_gid) == (4321, 8765)


async def test_faults_that_a_file_has_already_are_shown_and_do_not_matter(world):
    world.config.write_text(PRESENT.replace("concurrent", "concurent"))
    result = await world.register()
    assert result.code == 0, result
    assert "the file has faults already" in result.out
    assert "config.toml:2: concurent: unknown key; did you mean `concurrent`?" in result.out


async def test_a_file_that_is_no_toml_is_left_alone(world):
    world.config.write_text("concurrent = \n")
    result = await world.register()
    assert result.code == 78
    assert "config.toml:1: not valid TOML" in result.err
    assert world.config.read_text() == "concurrent = \n"
    assert world.left_over() == NOTHING


async def test_a_file_without_runners_gets_its_first(world):
    world.config.write_text("concurrent = 2\nrunners = []\n")
    assert (await world.register()).code == 0
    document = tomllib.loads(world.config.read_text())
    assert [runner["name"] for runner in document["runners"]] == ["made by a script"]


async def test_a_file_that_could_not_be_written_is_found_out_before_anything_is_asked(world):
    (world.folder / "file").write_text("")
    world.config = world.folder / "file" / "config.toml"
    result = await world.register(CI_SERVER_URL="http://127.0.0.1:1")
    assert result.code == 1
    assert "cannot be written: Not a directory" in result.err


async def test_a_secret_may_be_in_the_secrets_file_of_the_configuration(world):
    secrets = world.folder / "secrets.toml"
    secrets.touch(mode=0o600)
    secrets.write_text(f'clever = "{world.sandbox.cloud_token.reveal()}"\n')
    world.config.write_text('secrets_file = "secrets.toml"\n')
    result = await world.register("--set", "cc_token=secret:clever", CC_TOKEN=None)
    assert result.code == 0, result
    assert tomllib.loads(world.config.read_text())["runners"][0]["cc_token"] == "secret:clever"
