"""What the library raises on purpose: the type says what to do, the text is for a reader."""

from collections.abc import Sequence
from uuid import UUID


class PlansError(Exception):
    """Root of all of them."""


class PlanRefusedError(PlansError):
    """A plan cannot be submitted or started; `complaints` has all that is wrong, each with its path."""

    def __init__(self, name: str, complaints: Sequence[str]) -> None:
        self.complaints = tuple(complaints)
        super().__init__(f"the plan {name!r} is refused: {'; '.join(complaints)}")


class RegistrationError(PlansError):
    """A plugin cannot be in a registry."""


class PluginUnusableError(PlansError):
    """A plugin's `init` said that it cannot work here; no workstream begins with it."""


class NoSuchPlanError(PlansError):
    """No plan has that id."""

    def __init__(self, plan_id: UUID) -> None:
        super().__init__(f"no plan has the id {plan_id}")


class PlanExistsError(PlansError):
    """A plan with that id is stored already."""

    def __init__(self, plan_id: UUID) -> None:
        super().__init__(f"a plan with the id {plan_id} is stored already")


class StalePlanError(PlansError):
    """The plan was submitted too long ago to be started."""


class NotStartedError(PlansError):
    """What is asked is known only of plans that have been started."""


class StoreError(PlansError):
    """The store cannot be read or written."""


class StoreInUseError(StoreError):
    """Another workstream runs plans from this store."""


class DocumentError(PlansError):
    """What is stored, or in a file, is not a plan that this version can read."""


class BuilderError(PlansError):
    """A plan is not built in this order."""


class PlanRunningError(PlansError):
    """A plan that runs cannot be deleted."""

    def __init__(self, plan_id: UUID) -> None:
        super().__init__(f"plan {plan_id} runs: stop it, and delete it when it has ended")


class ClosedError(PlansError):
    """A workstream works inside of its `async with` alone."""

    def __init__(self) -> None:
        super().__init__("the workstream is not open: use it inside of `async with`")
