"""Quantities (`500m`, `1Gi`), and quotas of them: what a namespace may have, counted from what it has."""

import re
from decimal import Decimal
from functools import partial

from paas_runner.sandbox.kubernetes import errors
from paas_runner.sandbox.kubernetes.resources import BY_KIND, PODS, QUOTAS, Object
from paas_runner.sandbox.kubernetes.storage import Storage

_UNITS = {"": Decimal(1), "m": Decimal("0.001"), "k": Decimal(1000)}
_UNITS |= {f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTPE", 1)}
_UNITS |= {letter: Decimal(1000) ** power for power, letter in enumerate("MGTPE", 2)}
_PER_POD = ("requests.cpu", "requests.memory", "limits.cpu", "limits.memory")


def quantity(text: object) -> Decimal:
    """In its unit; raises ValueError."""
    found = re.fullmatch(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)([A-Za-z]*)", str(text))
    if found is None or found[2] not in _UNITS:
        raise ValueError(f"{text!r} is not a quantity")
    return Decimal(found[1]) * _UNITS[found[2]]


def _written(amount: Decimal) -> str:
    """As the API writes it: in thousandths where it has to, else whole, with a binary suffix if it can."""
    if amount != amount.to_integral_value():
        return f"{int(amount * 1000)}m"
    fits = (unit for unit in ("Gi", "Mi", "Ki") if amount and amount % _UNITS[unit] == 0)
    unit = next(fits, "")
    return f"{int(amount / _UNITS[unit])}{unit}"


def _of_container(container: Object, name: str) -> Decimal | None:
    kind, what = name.split(".")
    given = container.get("resources", {})
    found = given.get(kind, {}).get(what, given.get("limits", {}).get(what))
    return None if found is None else quantity(found)


def _cost(made: Object) -> dict[str, Decimal]:
    """What an object counts for, under the names of a quota; nothing for a pod that has ended."""
    of = BY_KIND[made["kind"]]
    if of is PODS and made["status"]["phase"] in ("Succeeded", "Failed"):
        return {}
    cost = {f"count/{of.qualified}": Decimal(1), of.plural: Decimal(1)}
    for name in _PER_POD if of is PODS else ():
        amounts = (_of_container(each, name) or Decimal() for each in made["spec"]["containers"])
        cost[name] = cost[name.removeprefix("requests.")] = sum(amounts, Decimal())
    return cost


def _used(storage: Storage, quota: Object) -> dict[str, Decimal]:
    every = [
        _cost(each) for of in BY_KIND.values() for each in storage.every(of, quota["metadata"]["namespace"])
    ]
    names = quota["spec"].get("hard", {})
    return {name: sum((each.get(name, Decimal()) for each in every), Decimal()) for name in names}


def admit(storage: Storage, made: Object) -> None:
    """Raises `StatusError` (403) where a quota of its namespace has no room for it, or wants to know more."""
    of, name, cost = BY_KIND[made["kind"]], made["metadata"]["name"], _cost(made)
    for quota in storage.every(QUOTAS, made["metadata"].get("namespace")):
        hard, used, told = quota["spec"].get("hard", {}), _used(storage, quota), quota["metadata"]["name"]
        for what in (each for each in _PER_POD if each in hard and of is PODS):
            silent = [
                each["name"] for each in made["spec"]["containers"] if _of_container(each, what) is None
            ]
            if silent:
                why = f"failed quota: {told}: must specify {what} for: {','.join(silent)}"
                raise errors.forbidden(of, name, why)
        over = [
            each for each in sorted(hard) if each in cost and used[each] + cost[each] > quantity(hard[each])
        ]
        if over:
            limits = {each: quantity(hard[each]) for each in over}
            words = (("requested", cost), ("used", used), ("limited", limits))
            parts = (f"{word}: {','.join(f'{e}={_written(of_[e])}' for e in over)}" for word, of_ in words)
            raise errors.forbidden(of, name, f"exceeded quota: {told}, {', '.join(parts)}")


def recount(storage: Storage, namespace: str | None) -> None:
    """Keep `status.used` of its quotas true."""
    for quota in storage.every(QUOTAS, namespace):
        used = {name: _written(amount) for name, amount in _used(storage, quota).items()}
        status = {"hard": quota["spec"].get("hard", {}), "used": used}
        storage.change(quota, partial(dict.update, status=status))
