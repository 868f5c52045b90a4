"""Encryption of what a credential in the store has: AES-256-GCM, bound to its name, type and version.

What was sealed for one cannot be put in the place of another, nor an old version in the place of a new one.
An envelope names the key that opens it by a digest, which says nothing of the key.
"""

import base64
import binascii
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from types import ModuleType

import attrs

from paas_runner.errors import Exit, RunnerError
from paas_runner.secret import Secret

_NONCE_BYTES = 12
KEY_BYTES = 32


class WrongKeyError(ValueError):
    """What is given is no key; the text never has any of it."""


def checked_key(key: Secret) -> bytes:
    """The bytes of one; raises `WrongKeyError`."""
    try:
        found = base64.b64decode(key.reveal(), validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if len(found) != KEY_BYTES:
        raise WrongKeyError(
            f"is no key of {KEY_BYTES} bytes in base64: `openssl rand -base64 {KEY_BYTES}` makes one"
        )
    return found


def key_id(key: bytes) -> str:
    """By which an envelope names it."""
    return hashlib.sha256(b"paas-pipelines credential key:" + key).hexdigest()[:16]


class SealError(RunnerError):
    """Nothing can be encrypted, or what is stored cannot be decrypted; the text has no value."""

    exit_code = Exit.CONFIG


@attrs.frozen(kw_only=True)
class Envelope:
    """What the store has of one version."""

    key: str
    """The id of the key that opens it."""

    nonce: str
    data: str


class Keys:
    """Those of one server: the first seals, all open."""

    def __init__(self, keys: Sequence[Secret]) -> None:
        """Raises `WrongKeyError`, `SealError`."""
        found = [checked_key(key) for key in keys]
        self._keys: Mapping[str, bytes] = {key_id(key): key for key in found}
        self.first = key_id(found[0]) if found else ""
        if found:
            _aead()

    def __bool__(self) -> bool:
        return bool(self._keys)

    def sealed(self, values: Mapping[str, str], *bound: str) -> Envelope:
        """With the first key, bound to these texts; raises `SealError` where there is none."""
        if not self._keys:
            raise SealError("there is no key to store credentials with: see credential_keys in [pipelines]")
        nonce = os.urandom(_NONCE_BYTES)
        cipher = _aead().AESGCM(self._keys[self.first])
        data = cipher.encrypt(nonce, json.dumps(dict(values)).encode(), _bound(bound))
        return Envelope(key=self.first, nonce=_text(nonce), data=_text(data))

    def opened(self, envelope: Envelope, *bound: str) -> Mapping[str, Secret]:
        """What was sealed, if it was with these texts; raises `SealError`."""
        key = self._keys.get(envelope.key)
        if key is None:
            raise SealError(f"it was stored with the key {envelope.key}, which is not among credential_keys")
        try:
            data = (
                _aead()
                .AESGCM(key)
                .decrypt(base64.b64decode(envelope.nonce), base64.b64decode(envelope.data), _bound(bound))
            )
            return {name: Secret(value) for name, value in json.loads(data).items()}
        except Exception:  # noqa: BLE001 - whatever is wrong with it, nothing of it may be told
            raise SealError("what is stored was changed, or belongs to another one") from None


def _aead() -> ModuleType:
    try:
        from cryptography.hazmat.primitives.ciphers import aead
    except ImportError:
        raise SealError(
            "credential_keys needs: pip install 'paas-pipelines[automation]' (cryptography)"
        ) from None
    return aead


def _bound(texts: Sequence[str]) -> bytes:
    return json.dumps(list(texts)).encode()


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
