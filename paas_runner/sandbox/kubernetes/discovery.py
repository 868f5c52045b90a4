"""What clients ask first: versions, groups, resources, and the little of OpenAPI that kubectl reads."""

from typing import Any

from paas_runner.sandbox.kubernetes.errors import StatusError
from paas_runner.sandbox.kubernetes.resources import GROUPS, JOBS, PODS, RESOURCES, Object


def document(parts: list[str], version: str) -> Object:
    """By the parts of the path; raises `StatusError` (404)."""
    match parts:
        case ["version"]:
            major, minor, *_ = version.removeprefix("v").split(".")
            return {"major": major, "minor": minor, "gitVersion": version, "platform": "linux/amd64"}
        case ["api"]:
            return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
        case ["apis"]:
            groups = [_group(group) for group in GROUPS if group]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
        case ["apis", group] if group in GROUPS:
            return {"kind": "APIGroup", "apiVersion": "v1", **_group(group)}
        case ["api", "v1"]:
            return _resources("")
        case ["apis", group, "v1"] if group in GROUPS:
            return _resources(group)
        case ["openapi", "v3"]:
            return {
                "paths": {
                    _path(group): {"serverRelativeURL": f"/openapi/v3/{_path(group)}"} for group in GROUPS
                }
            }
        case ["openapi", "v3", *rest]:
            for group in GROUPS:
                if "/".join(rest) == _path(group):
                    return _openapi(group)
    raise StatusError(404, "NotFound", "the server could not find the requested resource")


def _path(group: str) -> str:
    return f"apis/{group}/v1" if group else "api/v1"


def _group(group: str) -> Object:
    version = {"groupVersion": f"{group}/v1", "version": "v1"}
    return {"name": group, "versions": [version], "preferredVersion": version}


def _resources(group: str) -> Object:
    listed: list[Object] = []
    for each in RESOURCES:
        if each.group == group:
            common = {"namespaced": each.namespaced, "kind": each.kind}
            named = {"name": each.plural, "singularName": each.kind.lower(), "shortNames": list(each.short)}
            categories = {"categories": ["all"]} if each in (JOBS, PODS) else {}
            listed.append({**named, **common, **categories, "verbs": list(each.verbs)})
            listed += [
                {"name": f"{each.plural}/{part}", "singularName": "", **common, "verbs": ["get"]}
                for part in each.subresources
            ]
    version = f"{group}/v1" if group else "v1"
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": listed}


def _openapi(group: str) -> Object:
    """That unknown fields are looked for here, so that kubectl does not do it itself."""
    paths: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
    for each in RESOURCES:
        if each.group == group:
            kind = {"group": group, "version": "v1", "kind": each.kind}
            of = "/namespaces/{namespace}" if each.namespaced else ""
            operation = {
                "x-kubernetes-group-version-kind": kind,
                "parameters": [{"name": "fieldValidation", "in": "query"}, {"name": "dryRun", "in": "query"}],
            }
            paths[f"/{_path(group)}{of}/{each.plural}/{{name}}"] = {"patch": operation}
            schemas[each.kind] = {"type": "object", "x-kubernetes-group-version-kind": [kind]}
    info = {"title": "Kubernetes", "version": "sandbox"}
    return {"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": schemas}}
