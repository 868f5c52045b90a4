"""Which fields there are, and of what type: what the API server knows when it decodes an object.

Fields are those of the reference of v1.34, as far down as the sandbox looks.
"""

import re
from typing import Any

from paas_runner.sandbox.kubernetes import errors
from paas_runner.sandbox.kubernetes.resources import Object, Resource

# A type and its fields: text, # number, ? truth, {} texts by name, [] a list, * anything, or another type.
_TYPES = """
Job kind apiVersion metadata:Meta spec:JobSpec status*
Pod kind apiVersion metadata:Meta spec:PodSpec status*
Secret kind apiVersion metadata:Meta data{} stringData{} type immutable?
ResourceQuota kind apiVersion metadata:Meta spec:QuotaSpec status*
SelfSubjectAccessReview kind apiVersion metadata:Meta spec* status*
Meta name generateName namespace selfLink uid resourceVersion creationTimestamp deletionTimestamp generation#
Meta deletionGracePeriodSeconds# labels{} annotations{} finalizers[] managedFields* ownerReferences:Owner[]
Owner apiVersion kind name uid controller? blockOwnerDeletion?
JobSpec parallelism# completions# activeDeadlineSeconds# backoffLimit# ttlSecondsAfterFinished# managedBy
JobSpec selector* backoffLimitPerIndex# maxFailedIndexes# manualSelector? suspend? completionMode
JobSpec podReplacementPolicy podFailurePolicy* successPolicy* template:Template
Template metadata:Meta spec:PodSpec
PodSpec restartPolicy serviceAccountName serviceAccount nodeName schedulerName priorityClassName hostname
PodSpec subdomain dnsPolicy preemptionPolicy runtimeClassName activeDeadlineSeconds#
PodSpec terminationGracePeriodSeconds# priority# automountServiceAccountToken? hostNetwork? hostPID? hostIPC?
PodSpec hostUsers? setHostnameAsFQDN? affinity* os* shareProcessNamespace? enableServiceLinks? dnsConfig*
PodSpec ephemeralContainers* hostAliases* readinessGates* resources* schedulingGates* securityContext*
PodSpec tolerations* topologySpreadConstraints* resourceClaims* overhead* nodeSelector{} imagePullSecrets*
PodSpec volumes:Volume[] containers:Container[] initContainers:Container[]
Container name image imagePullPolicy restartPolicy workingDir terminationMessagePath terminationMessagePolicy
Container stdin? command[] args[] stdinOnce? tty? ports* livenessProbe* readinessProbe* startupProbe*
Container lifecycle* securityContext* resizePolicy* restartPolicyRules* volumeDevices* env:Variable[]
Container envFrom:From[] resources:Resources volumeMounts:Mount[]
Variable name value valueFrom:ValueFrom
ValueFrom secretKeyRef:Key configMapKeyRef:Key fieldRef* resourceFieldRef* fileKeyRef*
From prefix secretRef:Key configMapRef:Key
Key name key optional?
Resources limits* requests* claims*
Mount name mountPath subPath subPathExpr mountPropagation recursiveReadOnly readOnly?
Volume name secret:SecretVolume emptyDir* hostPath* configMap* projected* downwardAPI* persistentVolumeClaim*
Volume nfs* ephemeral* csi* image*
SecretVolume secretName defaultMode# optional? items:Item[]
Item key path mode#
QuotaSpec hard* scopes* scopeSelector*
"""
_FIELDS: dict[str, dict[str, str]] = {}
for _name, *_words in map(str.split, _TYPES.strip().splitlines()):
    _pairs = (re.fullmatch(r"(\w+?)(?::(\w+(?:\[\])?)|([#?*]|\{\}|\[\])|)", word) for word in _words)
    _FIELDS.setdefault(_name, {}).update({p[1]: p[2] or p[3] or "" for p in _pairs if p})
_PLAIN = {"": str, "#": int, "?": bool}
_GO = {str: "string", int: "int", bool: "bool", list: "slice", dict: "struct"}
_JSON = {str: "string", int: "number", float: "number", bool: "bool", list: "array", dict: "object"}


def decoded(of: Resource, raw: Object) -> tuple[Object, list[str]]:
    """The object without what is null or unknown, and which fields these are; raises `StatusError` (400)."""
    unknown: list[str] = []
    found: Object = _decoded(raw, of.kind, of, (), unknown)
    return found, unknown


def _decoded(given: Any, kind: str, of: Resource, path: tuple[str, ...], unknown: list[str]) -> Any:
    if kind == "*":
        return given
    expected = list if kind.endswith("[]") else _PLAIN.get(kind, dict)
    if type(given) is not expected:
        raise errors.bad_request(
            f'{of.kind} in version "v1" cannot be handled as a {of.kind}: json: cannot unmarshal '
            f"{_JSON.get(type(given), 'null')} into Go struct field {'.'.join(path)} of type {_GO[expected]}"
        )
    items: Any = given
    if expected is list:
        *above, last = path
        places = ((*above, f"{last}[{index}]") for index in range(len(items)))
        return [_decoded(each, kind[:-2], of, at, unknown) for at, each in zip(places, items, strict=True)]
    if expected is not dict:
        return given
    fields = _FIELDS.get(kind)
    unknown += [".".join((*path, name)) for name in items if fields is not None and name not in fields]
    return {
        name: _decoded(each, fields[name] if fields else "", of, (*path, name), unknown)
        for name, each in items.items()
        if each is not None and (fields is None or name in fields)
    }
