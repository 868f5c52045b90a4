"""What a payload says of caches and a `runner.toml` of their place."""

import tomllib
from typing import Any

import pytest

from paas_runner.inner.cache.settings import Bucket, CacheSettings, read_cache_settings
from paas_runner.inner.entries import CacheEntry, CacheKey, CachePolicy, When, read_caches, read_key

S3 = """
Type = "s3"
[s3]
BucketName = "ci"
BucketLocation = "eu-west-3"
AccessKey = "AK"
SecretKey = "hush"
"""


def settings(toml: str) -> CacheSettings:
    return read_cache_settings(tomllib.loads(toml))


def bucket(more: str) -> Bucket:
    found = settings(S3 + more).bucket
    assert found is not None
    return found


def read(*entries: dict[str, Any], fallback_key: str = "") -> tuple[CacheEntry, ...]:
    found = [{"paths": ["a"]} | entry for entry in entries]
    return read_caches(
        found, lambda text: text.replace("$X", "x"), default_key="j/main", fallback_key=fallback_key
    )


def test_a_cache_is_pulled_and_pushed_after_success_by_default() -> None:
    (entry,) = read({})
    assert (entry.key, entry.policy) == (CacheKey("j/main"), CachePolicy.PULL_PUSH)
    assert entry.when is When.ON_SUCCESS


def test_variables_are_expanded_everywhere() -> None:
    (entry,) = read({"key": "k-$X", "fallback_keys": ["f-$X"], "paths": ["p/$X"], "policy": "pu$X"})
    assert (entry.key.text, entry.fallbacks, entry.wanted.paths) == ("k-x", (CacheKey("f-x"),), ("p/x",))
    assert entry.policy is None


def test_a_cache_that_names_no_files_is_none() -> None:
    assert read({"paths": []}, {"paths": None}, {"paths": "text"}) == ()


@pytest.mark.parametrize(
    ("policy", "directions"),
    [
        ("pull", [CachePolicy.PULL]),
        ("push", [CachePolicy.PUSH]),
        ("pull-push", [CachePolicy.PULL, CachePolicy.PUSH]),
    ],
)
def test_a_policy_allows_directions(policy: str, directions: list[CachePolicy]) -> None:
    allowed = [each for each in (CachePolicy.PULL, CachePolicy.PUSH) if CachePolicy(policy).allows(each)]
    assert allowed == directions


def test_the_variable_for_a_fallback_key_comes_last_and_opens_no_protected_cache() -> None:
    (entry,) = read({"fallback_keys": ["one"]}, fallback_key="two")
    assert [key.text for key in entry.fallbacks] == ["one", "two"]
    (entry,) = read({}, fallback_key="main-protected")
    assert entry.fallbacks[0].text == ""
    assert "not allowed to end in" in entry.fallbacks[0].warning


@pytest.mark.parametrize(
    ("raw", "key"),
    [
        ("plain-key", "plain-key"),
        ("a/b", "a/b"),
        ("../../other", "other"),
        ("a/../../b", "b"),
        ("a%2f..%2F%2e%2e/b", "b"),
        ("a\\b", "a/b"),
        ("/absolute", "absolute"),
        ("ends in space ", "ends in space"),
        ("slashes//", "slashes"),
        ("a\0b", "ab"),
        ("..", ""),
        (" / ", ""),
    ],
)
def test_a_key_is_a_path_that_leads_nowhere_else(raw: str, key: str) -> None:
    assert read_key(raw).text == key
    assert bool(read_key(raw).warning) == (raw != key)


@pytest.mark.parametrize("toml", ["", "[s3]\n[gcs]\n[azure]\n", 'Type = ""\n[s3]\nBucketName = "x"'])
def test_empty_tables_say_nothing(toml: str) -> None:
    assert settings(toml) == CacheSettings()


def test_a_bucket_is_addressed_by_host_at_amazon_and_by_path_elsewhere() -> None:
    assert bucket("").url == "https://ci.s3.dualstack.eu-west-3.amazonaws.com"
    assert bucket("DualStack = false").url == "https://ci.s3.eu-west-3.amazonaws.com"
    assert bucket('ServerAddress = "minio.test:9000"').url == "https://minio.test:9000/ci"
    assert bucket('ServerAddress = "minio.test:80"\nInsecure = true').url == "http://minio.test/ci"
    assert bucket('ServerAddress = "minio.test"\nPathStyle = false').url == "https://ci.minio.test"
    assert bucket("PathStyle = true").url == "https://s3.dualstack.eu-west-3.amazonaws.com/ci"


def test_encryption_is_asked_for_by_headers() -> None:
    assert bucket('ServerSideEncryption = "S3"').encryption == {"x-amz-server-side-encryption": "AES256"}
    assert bucket('ServerSideEncryption = "KMS"\nServerSideEncryptionKeyID = "arn"').encryption == {
        "x-amz-server-side-encryption": "aws:kms",
        "x-amz-server-side-encryption-aws-kms-key-id": "arn",
    }


def test_the_secret_key_shows_nowhere() -> None:
    assert "hush" not in repr(settings(S3))


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ('Type = "gcs"', 'Type "gcs", but this runner knows "s3" alone'),
        ('Type = "s3"', "no BucketName"),
        ('Type = "s3"\n[s3]\nBucketName = "x"', "needs AccessKey and SecretKey"),
    ],
)
def test_what_cannot_be_used_is_warned_of_and_caches_stay_here(toml: str, words: str) -> None:
    found = settings(toml)
    assert found.bucket is None
    assert words in found.warnings[0]
    assert "caches stay on this host" in found.warnings[0]


@pytest.mark.parametrize(
    ("more", "name"),
    [
        ({}, "runner/abcdefghi/project/12/k"),
        ({"prefix": "/some/place/"}, "some/place/runner/abcdefghi/project/12/k"),
        ({"shared": True}, "project/12/k"),
    ],
)
def test_where_an_object_lies(more: dict[str, Any], name: str) -> None:
    assert CacheSettings(**more).object_name("abcdefghi", 12, "k") == name
