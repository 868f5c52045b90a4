"""Caches as a job has them: on the host, in a bucket, and what the log says of it."""

import os
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest

from paas_runner.inner.cache import Cache, job_cache
from paas_runner.inner.process import launched
from tests.support.hosts import URL
from tests.support.kept_files import Log, client, job_in, written
from tests.support.s3_server import ACCESS_KEY, BUCKET, REGION, SECRET_KEY, S3Server

ENTRY = {"key": "k", "paths": ["vendor/"], "policy": "pull-push", "when": "on_success"}
SECTION = f'[[runners]]\nurl = "{URL}"\ntoken = "glrt-abcdefghijkl"\n'


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with client() as opened:
        yield opened


@pytest.fixture
def s3() -> Iterator[S3Server]:
    server = S3Server()
    with server.running():
        yield server


@attrs.define
class Place:
    """Where one job after another runs, each with a folder of its own."""

    path: Path
    toml: str
    http: httpx.AsyncClient
    log: Log = attrs.field(factory=Log)

    def job(self, name: str, *entries: dict[str, Any], **payload: Any) -> Cache:
        self.log = Log()
        found = [ENTRY | entry for entry in entries or ({},)]
        job = job_in(self.path / name, self.toml, cache=found, **payload)
        return job_cache(job, self.log.narrator, self.http, launched, pause=0.01)


@pytest.fixture
def here(tmp_path: Path, http: httpx.AsyncClient) -> Place:
    return Place(tmp_path, f'{SECTION}cache_dir = "{tmp_path}/cache"\n', http)


def in_bucket(
    place: Path, http: httpx.AsyncClient, s3: S3Server, more: str = "", secret: str = SECRET_KEY
) -> Place:
    toml = f"""{SECTION}
[runners.cache]
Type = "s3"
{more}
[runners.cache.s3]
ServerAddress = "{s3.address}"
Insecure = true
BucketName = "{BUCKET}"
BucketLocation = "{REGION}"
AccessKey = "{ACCESS_KEY}"
SecretKey = "{secret}"
"""
    return Place(place, toml, http)


async def filled(place: Place, *entries: dict[str, Any], content: str = "one") -> None:
    """A first job that leaves a cache."""
    cache = place.job("first", *entries)
    written(cache.folder.path, {"vendor/lib": content})
    await cache.archive(succeeded=True)


async def test_a_second_job_has_what_the_first_has_cached(here: Place) -> None:
    await filled(here)
    assert here.log.lines == [
        "Creating cache k...",
        "vendor/: found 2 matching artifact files and directories",
        "The runner has no bucket: the cache is kept on this host alone",
        "Created cache",
    ]
    cache = here.job("second")
    await cache.restore()
    assert (cache.folder.path / "vendor/lib").read_text() == "one"
    assert here.log.lines == [
        "Checking cache for k...",
        "The runner has no bucket: the cache is looked for on this host alone",
        "Successfully extracted cache",
    ]
    assert (here.path / "cache/grp/app/k/cache.zip").exists()


async def test_an_unchanged_cache_is_not_made_again(here: Place) -> None:
    await filled(here)
    cache = here.job("second")
    await cache.restore()
    await cache.archive(succeeded=True)
    assert here.log.lines[-2:] == ["Archive is up to date!", "Created cache"]
    written(cache.folder.path, {"vendor/lib": "two"})
    os.utime(cache.folder.path / "vendor/lib", (2**31 - 1, 2**31 - 1))
    await cache.archive(succeeded=True)
    third = here.job("third")
    await third.restore()
    assert (third.folder.path / "vendor/lib").read_text() == "two"


async def test_a_cache_that_is_not_there_fails_nothing(here: Place) -> None:
    await here.job("first").restore()
    assert here.log.lines[-2:] == [
        "WARNING: No such file or directory",
        "WARNING: Failed to extract cache",
    ]


async def test_fallback_keys_are_tried_in_order(here: Place) -> None:
    await filled(here, {"key": "default"})
    cache = here.job(
        "second",
        {"key": "mine", "fallback_keys": ["parent"]},
        variables=[{"key": "CACHE_FALLBACK_KEY", "value": "default"}],
    )
    await cache.restore()
    asked = [line for line in here.log.lines if line.startswith("Checking")]
    assert asked == [f"Checking cache for {key}..." for key in ("mine", "parent", "default")]
    assert (cache.folder.path / "vendor/lib").exists()


@pytest.mark.parametrize("with_bucket", [False, True])
async def test_a_job_without_files_leaves_the_cache_of_an_earlier_one(
    tmp_path: Path, http: httpx.AsyncClient, s3: S3Server, here: Place, *, with_bucket: bool
) -> None:
    place = in_bucket(tmp_path, http, s3) if with_bucket else here
    await filled(place)
    await place.job("bad", {"policy": "push", "when": "always"}).archive(succeeded=False)
    assert place.log.lines[-1] == "No files to cache: no archive is made"
    user = place.job("user", {"policy": "pull"})
    await user.restore()
    assert (user.folder.path / "vendor/lib").read_text() == "one"


@pytest.mark.parametrize("with_bucket", [False, True])
async def test_a_job_without_files_does_not_hide_a_fallback(
    tmp_path: Path, http: httpx.AsyncClient, s3: S3Server, here: Place, *, with_bucket: bool
) -> None:
    place = in_bucket(tmp_path, http, s3) if with_bucket else here
    branch = {"key": "branch", "fallback_keys": ["base"], "when": "always"}
    first = place.job("first-of-branch", branch)
    await first.restore()
    await first.archive(succeeded=False)
    await filled(place, {"key": "base"})
    second = place.job("second-of-branch", branch)
    await second.restore()
    assert (second.folder.path / "vendor/lib").read_text() == "one"


async def test_the_policy_says_what_is_done(here: Place) -> None:
    await filled(here, {"policy": "pull"})
    assert here.log.lines == ["Not uploading cache k due to policy"]
    await filled(here)
    cache = here.job("second", {"policy": "push"})
    await cache.restore()
    assert here.log.lines == ["Not downloading cache k due to policy"]
    assert not (cache.folder.path / "vendor").exists()


async def test_the_result_says_which_caches_are_saved(here: Place) -> None:
    cache = here.job(
        "first", *({"key": when, "when": when} for when in ("on_success", "on_failure", "always"))
    )
    assert [entry.key.text for entry in cache.to_archive(succeeded=True)] == ["on_success", "always"]
    assert [entry.key.text for entry in cache.to_archive(succeeded=False)] == ["on_failure", "always"]


async def test_a_job_may_have_several_caches(here: Place) -> None:
    entries = ({"key": "a", "paths": ["a"]}, {"key": "b", "paths": ["b"]})
    cache = here.job("first", *entries)
    written(cache.folder.path, {"a": "1", "b": "2"})
    await cache.archive(succeeded=True)
    cache = here.job("second", *entries)
    await cache.restore()
    assert sorted(path.name for path in cache.folder.path.iterdir()) == ["a", "b"]


async def test_without_any_place_the_author_gets_a_reason(tmp_path: Path, http: httpx.AsyncClient) -> None:
    place = Place(tmp_path, SECTION, http)
    await place.job("first").restore()
    assert "neither `cache_dir` nor a [runners.cache]" in place.log.text


async def test_a_key_that_leads_elsewhere_is_changed_with_a_warning(here: Place) -> None:
    await filled(here, {"key": "../../other/project/k"})
    assert 'WARNING: cache key "../../other/project/k" sanitized to "other/project/k"' in here.log.lines
    assert (here.path / "cache/grp/app/other/project/k/cache.zip").exists()


async def test_an_author_cannot_name_another_project(here: Place) -> None:
    await filled(here)
    variables = [{"key": "CI_PROJECT_PATH", "value": "grp/app"}, {"key": "CI_PROJECT_ID", "value": "12"}]
    info = {"project_id": 13, "project_full_path": "grp/other"}
    cache = here.job("second", job_info=info, variables=variables)
    await cache.restore()
    assert not (cache.folder.path / "vendor").exists()


async def test_a_link_that_a_job_has_put_into_the_cache_dir_leads_nowhere(here: Place) -> None:
    victim = written(here.path / "victim", {"cache.zip": "untouched"})
    place = here.path / "cache/grp/app"
    place.mkdir(parents=True)
    (place / "k").symlink_to(victim)
    await filled(here)
    assert here.log.lines[-1] == "WARNING: Failed to create cache"
    assert [path.name for path in victim.iterdir()] == ["cache.zip"]
    assert (victim / "cache.zip").read_text() == "untouched"


async def test_a_damaged_cache_is_a_warning(here: Place) -> None:
    written(here.path / "cache/grp/app/k", {"cache.zip": "no zip"})
    await here.job("first").restore()
    assert here.log.lines[-1] == "WARNING: Failed to extract cache"
    assert "cannot be unpacked" in here.log.text


async def test_nothing_is_left_behind_of_a_cache_that_could_not_be_made(here: Place) -> None:
    cache = here.job("first", {"paths": ["a"]})
    path = written(cache.folder.path, {"a": "x"}) / "a"
    os.utime(path, (2**31, 2**31))
    (here.path / "cache/grp/app/k/cache.zip").mkdir(parents=True)
    os.utime(here.path / "cache/grp/app/k/cache.zip", (0, 0))
    await cache.archive(succeeded=True)
    assert here.log.lines[-1] == "WARNING: Failed to create cache"
    assert [path.name for path in (here.path / "cache/grp/app/k").iterdir()] == ["cache.zip"]


async def test_a_bucket_hands_a_cache_from_one_host_to_another(
    tmp_path: Path, http: httpx.AsyncClient, s3: S3Server
) -> None:
    place = in_bucket(tmp_path, http, s3, 'Path = "ci"')
    url = f"http://{s3.address}/{BUCKET}/ci/runner/abcdefghi/project/12/k"
    await filled(place)
    assert list(s3.objects) == ["ci/runner/abcdefghi/project/12/k"]
    assert place.log.lines[-2:] == [f"Uploading cache.zip to {url}", "Created cache"]
    cache = place.job("second")
    await cache.restore()
    assert (cache.folder.path / "vendor/lib").read_text() == "one"
    assert place.log.lines == [
        "Checking cache for k...",
        f"Downloading cache from {url}",
        "Successfully extracted cache",
    ]
    await cache.archive(succeeded=True)
    assert "Archive is up to date!" in place.log.lines


async def test_runners_may_share_their_caches(tmp_path: Path, http: httpx.AsyncClient, s3: S3Server) -> None:
    await filled(in_bucket(tmp_path, http, s3, "Shared = true"), {"key": "a key/with ö"})
    assert list(s3.objects) == ["project/12/a%20key/with%20%C3%B6"]


async def test_what_is_here_is_not_fetched_unless_the_bucket_has_something_newer(
    tmp_path: Path, http: httpx.AsyncClient, s3: S3Server
) -> None:
    place = in_bucket(tmp_path, http, s3)
    place.toml = place.toml.replace("\n\n", f'\ncache_dir = "{tmp_path}/cache"\n', 1)
    await filled(place)
    await place.job("second").restore()
    (name,) = s3.objects
    s3.stored_at[name] = s3.stored_at[name].replace(year=2020)
    cache = place.job("third")
    await cache.restore()
    assert "cache.zip is up to date" in place.log.lines
    assert (cache.folder.path / "vendor/lib").exists()


async def test_a_wrong_key_is_a_warning_with_the_services_own_word(
    tmp_path: Path, http: httpx.AsyncClient, s3: S3Server
) -> None:
    place = in_bucket(tmp_path, http, s3, secret="another")
    await filled(place)
    assert place.log.lines[-2:] == [
        "WARNING: Uploading cache failed: received 403 Forbidden (SignatureDoesNotMatch)",
        "WARNING: Failed to create cache",
    ]
    await place.job("second").restore()
    assert "Downloading cache failed: received 403 Forbidden (SignatureDoesNotMatch)" in place.log.text
    assert "another" not in place.log.text


async def test_an_object_that_is_not_there_leads_to_the_fallback(
    tmp_path: Path, http: httpx.AsyncClient, s3: S3Server
) -> None:
    place = in_bucket(tmp_path, http, s3)
    await filled(place, {"key": "default"})
    cache = place.job("second", {"key": "mine", "fallback_keys": ["default"]})
    await cache.restore()
    assert place.log.lines[1] == "WARNING: file does not exist"
    assert place.log.lines[-1] == "Successfully extracted cache"


async def test_a_service_that_is_out_of_order_is_tried_three_times(
    tmp_path: Path, http: httpx.AsyncClient, s3: S3Server
) -> None:
    place = in_bucket(tmp_path, http, s3)
    s3.failures = 2
    await filled(place)
    assert (len(s3.seen), len(s3.objects)) == (3, 1)
    assert place.log.lines.count("WARNING: Retrying...") == 2
    s3.failures = 3
    await place.job("second").restore()
    assert place.log.lines[-1] == "WARNING: Failed to extract cache"


async def test_a_service_that_does_not_answer_fails_no_job(tmp_path: Path, http: httpx.AsyncClient) -> None:
    server = S3Server(address="127.0.0.1:1")
    place = in_bucket(tmp_path, http, server)
    await place.job("first").restore()
    assert re.search("WARNING: Downloading cache error: ConnectError", place.log.text)


async def test_an_archive_over_the_limit_stays_here(
    tmp_path: Path, http: httpx.AsyncClient, s3: S3Server
) -> None:
    place = in_bucket(tmp_path, http, s3, "MaxUploadedArchiveSize = 10")
    await filled(place)
    assert s3.objects == {}
    assert "the bucket takes 10 at most: it is kept on this host alone" in place.log.text


async def test_a_session_token_and_encryption_are_signed_too(
    tmp_path: Path, http: httpx.AsyncClient, s3: S3Server
) -> None:
    s3.session_token = "session"
    place = in_bucket(tmp_path, http, s3)
    place.toml += 'SessionToken = "session"\nServerSideEncryption = "S3"\n'
    await filled(place)
    assert s3.headers["x-amz-server-side-encryption"] == "AES256"
    assert len(s3.objects) == 1
