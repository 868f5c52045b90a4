"""Identifiers from an injected source of randomness, so that a run can be repeated."""

import random
import uuid


class Identifiers:
    """Makes identifiers in the platform's forms: a prefix such as `app_`, and a uuid."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def new(self, prefix: str = "") -> str:
        """One more identifier."""
        return f"{prefix}{uuid.UUID(int=self._rng.getrandbits(128), version=4)}"
