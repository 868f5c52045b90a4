"""What is made in this process is what git makes: every id, and a pack that git's strictest reading takes."""

import os
import subprocess
from io import BytesIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from executors.build_context import Identity
from executors.clever.settings import CleverSettings
from executors.push.objects import DATE, MESSAGE, commit_of, write_pack
from tests.support.git_in_process import files_of, objects_of
from tests.support.git_server import ENVIRONMENT

NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=20)
TREES = st.dictionaries(
    NAMES.filter(lambda name: not name.startswith(".") and not name.lower().startswith("git~")),
    st.one_of(st.binary(max_size=200), st.sampled_from([b"", b"x" * 5000, bytes(range(256)) * 20])),
    min_size=1,
    max_size=4,
)
SIGNATURES = st.text(
    st.characters(exclude_characters="<>", exclude_categories=["Cs", "Cc", "Cf", "Zl", "Zp"]), max_size=30
).filter(lambda text: text.isprintable() and text.strip(" .,:;<>\"\\'"))
IDENTITIES = st.builds(Identity, name=SIGNATURES, email=SIGNATURES)


def git(repository, *arguments, given=b"", **more):
    return subprocess.run(
        ["git", *arguments],
        cwd=repository,
        env=ENVIRONMENT | more,
        input=given,
        capture_output=True,
        check=True,
    ).stdout


@pytest.fixture(scope="module")
def repositories(tmp_path_factory):
    """One in which git makes objects, one that gets packs."""
    made, got = tmp_path_factory.mktemp("made"), tmp_path_factory.mktemp("got")
    for each in (made, got):
        git(each, "init", "-q", "--bare")
    return made, got


def commit_by_git(repository, tree, identity):
    lines = []
    for name, content in tree.items():
        blob = git(repository, "hash-object", "-w", "--stdin", given=content).strip()
        lines.append(b"100644 blob %s\t%s\0" % (blob, os.fsencode(name)))
    made = git(repository, "mktree", "-z", given=b"".join(lines)).decode().strip()
    facts = {"NAME": identity.name, "EMAIL": identity.email, "DATE": DATE}
    signed = {f"GIT_{who}_{what}": fact for who in ("AUTHOR", "COMMITTER") for what, fact in facts.items()}
    return git(repository, "commit-tree", "-m", MESSAGE, made, **signed).decode().strip()


def pack_of(commit):
    pack = BytesIO()
    write_pack(commit, pack.write)
    return pack.getvalue()


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=TREES, identity=IDENTITIES)
def test_any_tree_is_the_commit_that_git_makes_of_it_and_its_pack_is_whole(repositories, tree, identity):
    made, got = repositories
    commit = commit_of(tree, identity)
    assert commit.id == commit_by_git(made, tree, identity)
    git(got, "index-pack", "--strict", "--fsck-objects", "--stdin", given=pack_of(commit))
    for name, content in tree.items():
        assert git(got, "cat-file", "blob", f"{commit.id}:{name}") == content


@given(tree=TREES, identity=IDENTITIES)
def test_a_pack_has_the_files_and_nothing_twice(tree, identity):
    commit = commit_of(tree, identity)
    objects = objects_of(pack_of(commit))
    assert files_of(commit.id, objects) == tree
    assert len(objects) == 2 + len(set(tree.values()))


@given(tree=TREES, identity=IDENTITIES)
def test_the_order_of_the_files_makes_no_difference(tree, identity):
    assert commit_of(dict(reversed(tree.items())), identity).id == commit_of(tree, identity).id


@pytest.mark.parametrize("text", ["Ann.", " Ann ", "'Ann'", "Ann,;:", '"Ann"'])
def test_what_some_gits_leave_out_of_a_name_is_left_out_before(text):
    assert Identity(name=text, email=text) == Identity(name="Ann", email="Ann")


@pytest.mark.parametrize("text", ["", " ", ".", "<", "a\nb", "a>b", "\t"])
def test_a_name_that_no_commit_can_have_is_refused_in_the_configuration(text):
    settings = CleverSettings(cc_orga_id="orga_1", cc_token=None, paas_git_user_name=text)
    assert "paas_git_user_name" in dict(settings.problems())
