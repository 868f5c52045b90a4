"""Names of images are read as Docker reads them."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paas_runner.job.images import InvalidReferenceError, is_image_id, parse

SHA256 = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "domain", "path", "tag", "digest"),
    [
        ("postgres", "docker.io", "library/postgres", "", ""),
        ("postgres:13", "docker.io", "library/postgres", "13", ""),
        ("tutum/wordpress", "docker.io", "tutum/wordpress", "", ""),
        ("a/b/c:1.0-rc_1", "docker.io", "a/b/c", "1.0-rc_1", ""),
        ("docker.io/postgres", "docker.io", "library/postgres", "", ""),
        ("index.docker.io/postgres", "docker.io", "library/postgres", "", ""),
        ("index.docker.io/tutum/wordpress:3", "docker.io", "tutum/wordpress", "3", ""),
        ("docker.io:443/postgres", "docker.io:443", "postgres", "", ""),
        ("registry-1.docker.io/library/postgres", "registry-1.docker.io", "library/postgres", "", ""),
        ("localhost/postgres", "localhost", "postgres", "", ""),
        ("localhost:5000", "docker.io", "library/localhost", "5000", ""),
        ("registry.example:5000/group/name:tag", "registry.example:5000", "group/name", "tag", ""),
        ("registry:5000/name", "registry:5000", "name", "", ""),
        ("registry.example/name", "registry.example", "name", "", ""),
        ("127.0.0.1/name", "127.0.0.1", "name", "", ""),
        ("[2001:db8::1]:5000/name:1", "[2001:db8::1]:5000", "name", "1", ""),
        ("Upper/name", "Upper", "name", "", ""),
        ("under_score.example/name", "", "under_score.example/name", "", ""),
        ("a__b/c---d/e.f_g", "docker.io", "a__b/c---d/e.f_g", "", ""),
        ("name:Tag", "docker.io", "library/name", "Tag", ""),
        (f"name:{'t' * 128}", "docker.io", "library/name", "t" * 128, ""),
        (f"name@{SHA256}", "docker.io", "library/name", "", SHA256),
        (f"r.example:1/n:t@{SHA256}", "r.example:1", "n", "t", SHA256),
        (f"name@other+x:{'F' * 32}", "docker.io", "library/name", "", f"other+x:{'F' * 32}"),
        ("a" * 247, "docker.io", "library/" + "a" * 247, "", ""),
    ],
)
def test_a_name_is_split_as_docker_splits_it(text, domain, path, tag, digest):
    found = parse(text)
    assert (found.domain, found.path, found.tag, found.digest) == (domain, path, tag, digest)
    assert found.from_docker_hub == (domain == "docker.io")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("post gres", "a space"),
        (" postgres", "a space"),
        ("postgres\n", r"'\\n'"),
        ("postgres\nRUN reboot", r"'\\n'"),
        ("$IMAGE", r"'\$'"),
        ("café", "'é'"),
        ("Postgres", "lower case"),
        ("group/Name:1", "lower case"),
        ("r.example/Name", "lower case"),
        ("https://r.example/name", "the form"),
        ("name:", "the form"),
        ("name:-tag", "the form"),
        (f"name:{'t' * 129}", "the form"),
        ("a//b", "the form"),
        ("/name", "the form"),
        ("name/", "the form"),
        ("-name", "the form"),
        ("a___b", "the form"),
        ("r.example:port/name", "the form"),
        ("name@sha256", "the form"),
        ("name@sha256:0123", "the form"),
        (f"name@sha256:{'0' * 63}", "digest"),
        (f"name@sha256:{'A' * 64}", "digest"),
        (f"name@SHA256:{'a' * 64}", "digest"),
        ("a" * 248, "longer than 255"),
        ("0" * 64, "id of an image"),
    ],
)
def test_what_docker_refuses_is_refused_in_words(text, why):
    with pytest.raises(InvalidReferenceError, match=why):
        parse(text)


@pytest.mark.parametrize(
    ("text", "host_names"),
    [
        ("postgres:13", ("postgres",)),
        ("tutum/wordpress", ("tutum__wordpress", "tutum-wordpress")),
        (f"tutum/wordpress:4@{SHA256}", ("tutum__wordpress", "tutum-wordpress")),
        (f"tutum/wordpress@{SHA256}", ("tutum__wordpress", "tutum-wordpress")),
        ("library/postgres", ("library__postgres", "library-postgres")),
        (
            "registry.example:5000/group/name:tag",
            ("registry.example__group__name", "registry.example-group-name"),
        ),
        ("docker.io/tutum/wordpress", ("docker.io__tutum__wordpress", "docker.io-tutum-wordpress")),
        ("localhost:5000", ("localhost",)),
        ("[::1]:5000/name", ("[::1]__name", "[::1]-name")),
    ],
)
def test_a_service_has_the_host_names_that_gitlab_runner_gives_it(text, host_names):
    assert parse(text).host_names == host_names


@pytest.mark.parametrize(
    ("text", "answer"),
    [("0" * 64, True), (SHA256, True), ("0" * 63, False), ("0123abcd", False), (f"{SHA256}\n", False)],
)
def test_the_id_of_an_image_is_no_name(text, answer):
    assert is_image_id(text) is answer


ALPHABET = st.text(alphabet="aZ0._-:/@[] $é\n", max_size=40)


@given(ALPHABET | st.text())
def test_every_text_is_a_reference_or_refused(text):
    try:
        found = parse(text)
    except InvalidReferenceError:
        return
    assert text == found.name + text.removeprefix(found.name)
    assert parse(f"{found.domain}/{found.remote}" if found.domain else found.remote).remote == found.remote
    assert text.isascii()
    assert text.isprintable()
    assert " " not in text


@pytest.mark.parametrize("part", ["a", "a-", "a.", "a/", "a__", "aa.", "a:0/", "a@", "[:", "-"])
def test_a_long_text_is_refused_quickly(part):
    started = time.thread_time()
    with pytest.raises(InvalidReferenceError):
        parse(part * 100_000 + "!")
    assert time.thread_time() - started < 2
