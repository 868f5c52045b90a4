"""Files as git keeps them: blobs, one tree, one commit, and the pack that carries all of them. Pure.

Ids and packs come from gitdb, the object database under GitPython, which needs neither a repository nor the
git program. GitPython's own trees and commits need both, so these two are written here: a tree is a line for
each file, a commit is a text (git's `Documentation/gitformat-pack` and `git help cat-file`). Tests hold every
id and every pack against git itself.
"""

from collections.abc import Callable, Mapping, Sequence
from io import BytesIO

import attrs

from executors.build_context import Identity

MESSAGE = "Job definition"
DATE = "946684800 +0000"
"""Of every commit: the id is to follow from the tree."""

_REGULAR_FILE = b"100644"


@attrs.frozen(kw_only=True)
class Commit:
    """A commit without parents, and all that it is made of."""

    id: str
    """In hexadecimal."""

    objects: Sequence[tuple[bytes, bytes, bytes]] = attrs.field(repr=False)
    """Type, id and content of each, the commit last."""


def commit_of(tree: Mapping[str, bytes], identity: Identity) -> Commit:
    """The commit of some files, none of them in a folder."""
    blobs = [(name.encode(), _id(b"blob", content), content) for name, content in tree.items()]
    lines = b"".join(b"%s %s\0%s" % (_REGULAR_FILE, name, blob) for name, blob, _ in sorted(blobs))
    tree_id = _id(b"tree", lines)
    text = _commit_text(tree_id.hex(), identity)
    commit_id = _id(b"commit", text)
    return Commit(
        id=commit_id.hex(),
        objects=(
            *{blob: (b"blob", blob, content) for _, blob, content in blobs}.values(),
            (b"tree", tree_id, lines),
            (b"commit", commit_id, text),
        ),
    )


def write_pack(commit: Commit, write: Callable[[bytes], object]) -> None:
    """Write all objects of a commit as one pack, each compressed, none as a difference to another."""
    from gitdb.base import OStream
    from gitdb.pack import PackEntity

    streams = [
        OStream(identifier, kind, len(content), BytesIO(content))
        for kind, identifier, content in commit.objects
    ]
    PackEntity.write_pack(streams, write, object_count=len(streams))


def _id(kind: bytes, content: bytes) -> bytes:
    from gitdb.fun import write_object
    from gitdb.stream import Sha1Writer

    digest = Sha1Writer()
    write_object(kind, len(content), BytesIO(content).read, digest.write)
    return bytes(digest.sha())


def _commit_text(tree_id: str, identity: Identity) -> bytes:
    who = f"{identity.name} <{identity.email}> {DATE}"
    return f"tree {tree_id}\nauthor {who}\ncommitter {who}\n\n{MESSAGE}\n".encode()
