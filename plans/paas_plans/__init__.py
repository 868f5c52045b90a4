"""Durable plans: blocks of sequences of actions, checked before, during and after, that survive `kill -9`."""

# fmt: off
# isort: off
from paas_plans.builder import Builder
from paas_plans.clone import clone, remaining
from paas_plans.document import from_json, to_json
from paas_plans.errors import (
    BuilderError, ClosedError, DocumentError, NoSuchPlanError, NotStartedError, PlanExistsError,
    PlanRefusedError, PlanRunningError, PlansError, PluginUnusableError, RegistrationError, StalePlanError,
    StoreError, StoreInUseError,
)
from paas_plans.ids import fresh_id, made_at
from paas_plans.plan import (
    NIL, UNLIMITED, Action, ActionError, Attempt, Block, CheckKind, Checks, DeferredActions, DeferredBatch,
    Item, Path, Plan, Reason, Sequence, State, Status, When, path_words,
)
from paas_plans.plugin import (
    FAST, SECONDS, THIRTY_SECONDS, BasePlugin, Context, Plugin, PluginError, Policy,
)
from paas_plans.registry import Registry
from paas_plans.secret import HIDDEN, NOT_SECRET, SECRET, Cipher, not_secret, secret
from paas_plans.stores.memory import MemoryStore
from paas_plans.stores.protocol import Filter, Store, Summary
from paas_plans.stores.sqlite import SQLiteStore
from paas_plans.walk import Step, at, items, last_update, names, replaced, walk
from paas_plans.workstream import Workstream

__version__ = "0.1.0"

__all__ = [
    "FAST", "HIDDEN", "NIL", "NOT_SECRET", "SECONDS", "SECRET", "THIRTY_SECONDS", "UNLIMITED", "Action",
    "ActionError", "Attempt", "BasePlugin", "Block", "Builder", "BuilderError", "CheckKind", "Checks",
    "Cipher", "ClosedError", "Context", "DeferredActions", "DeferredBatch", "DocumentError", "Filter",
    "Item", "MemoryStore", "NoSuchPlanError", "NotStartedError", "Path", "Plan",
    "PlanExistsError", "PlanRefusedError", "PlanRunningError", "PlansError", "Plugin", "PluginError",
    "PluginUnusableError", "Policy", "Reason", "RegistrationError", "Registry", "SQLiteStore", "Sequence",
    "StalePlanError", "State", "Status", "Step", "Store", "StoreError", "StoreInUseError", "Summary",
    "When", "Workstream", "at", "clone", "fresh_id", "from_json", "items", "last_update", "made_at",
    "names", "not_secret", "path_words", "remaining", "replaced", "secret", "to_json", "walk",
]
