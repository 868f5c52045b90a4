"""The JSON forms of what is on offer and of applications, as in spec clever-cloud-api.md §2."""

from datetime import datetime
from typing import Any

from paas_runner.sandbox.cloud.accounts import Organisation
from paas_runner.sandbox.cloud.application import Application, Deployment, Instance
from paas_runner.sandbox.cloud.catalogue import MAX_INSTANCES, Flavor, InstanceType, Zone


def milliseconds(at: datetime) -> int:
    """The v2 form of a date."""
    return round(at.timestamp() * 1000)


def flavor(each: Flavor) -> dict[str, Any]:
    """A Flavor object (§2.2)."""
    size = each.mem * 2**20
    return {
        "name": each.name,
        "mem": each.mem,
        "cpus": each.cpus,
        "gpus": 0,
        "disk": None,
        "price": each.price,
        "available": each.available,
        "microservice": each.shared,
        "machine_learning": False,
        "nice": 5 if each.shared else 0,
        "price_id": f"apps.{each.name}",
        "memory": {"unit": "B", "value": size, "formatted": f"{each.mem} MiB"},
        "cpuFactor": 1,
        "memFactor": 1,
    }


def instance_type(each: InstanceType) -> dict[str, Any]:
    """An element of the catalogue (§2.2)."""
    return {
        "type": each.type,
        "version": each.version,
        "name": each.name,
        "variant": variant(each),
        "description": f"{each.name} applications",
        "enabled": each.enabled,
        "comingSoon": not each.enabled,
        "maxInstances": MAX_INSTANCES,
        "tags": [each.type],
        "deployments": ["git"],
        "flavors": [flavor(one) for one in each.flavors],
        "defaultFlavor": flavor(each.default_flavor),
        "buildFlavor": flavor(each.build_flavor),
    }


def variant(each: InstanceType) -> dict[str, Any]:
    return {
        "id": each.variant,
        "slug": each.slug,
        "name": each.name,
        "deployType": each.type,
        "logo": "/logo.svg",
    }


def zone_name(each: Zone) -> dict[str, Any]:
    """The short form of a zone (v2)."""
    region = "eu" if "region:eu" in each.tags else None
    return {"name": each.name, "internal": False, "correspondingRegion": region}


def zone(each: Zone) -> dict[str, Any]:
    """A zone and where it is (v4)."""
    return {
        "id": each.name,
        "name": each.name,
        "country": each.country,
        "countryCode": each.country_code,
        "city": each.city,
        "displayName": None,
        "lat": each.lat,
        "lon": each.lon,
        "outboundIPs": [],
        "tags": list(each.tags),
    }


def domain(app: Application) -> str:
    """The default domain; like all domains it carries a path (§4.5)."""
    return f"{app.domain}/"


def env(app: Application) -> list[dict[str, str]]:
    """The environment as the list form in which it is read."""
    return [{"name": name, "value": value} for name, value in app.env.items()]


def application(app: Application, now: datetime, git_url: str, *, with_env: bool = True) -> dict[str, Any]:
    """An Application object (§2.4)."""
    wanted = app.definition
    fields = wanted.fields
    flags = ("archived", "stickySessions", "homogeneous", "favourite", "cancelOnPush", "separateBuild")
    return {
        "id": app.id,
        "name": wanted.name,
        "description": fields.get("description", wanted.name),
        "zone": fields["zone"],
        "zoneId": fields["zone"],
        "ownerId": app.organisation_id,
        "state": app.state,
        "creationDate": milliseconds(app.created_at),
        "last_deploy": len(app.deployments),
        "commitId": app.commit_id,
        "branch": "master",
        "appliance": None,
        **{name: fields.get(name, False) for name in flags},
        "forceHttps": fields.get("forceHttps", "DISABLED"),
        "webhookUrl": None,
        "webhookSecret": None,
        "buildFlavor": flavor(wanted.build_flavor),
        "vhosts": [{"fqdn": domain(app)}],
        **({"env": env(app)} if with_env else {}),
        "tags": fields.get("tags", []),
        "instance": _instance_definition(app),
        "deployment": {
            "shutdownable": fields.get("shutdownable", False),
            "type": "GIT",
            "repoState": app.repo_state(now),
            "url": git_url,
            "httpUrl": git_url,
        },
        "deployUrl": git_url,
    }


def _instance_definition(app: Application) -> dict[str, Any]:
    wanted = app.definition
    kind = wanted.instance_type
    return {
        "type": kind.type,
        "version": kind.version,
        "variant": variant(kind),
        "minInstances": wanted.fields["minInstances"],
        "maxInstances": wanted.fields["maxInstances"],
        "maxAllowedInstances": MAX_INSTANCES,
        "minFlavor": flavor(wanted.min_flavor),
        "maxFlavor": flavor(wanted.max_flavor),
        "flavors": [flavor(one) for one in kind.flavors],
        "defaultEnv": {},
        "lifetime": wanted.lifetime,
        "instanceAndVersion": f"{kind.type}-{kind.version}",
    }


def deployment(row: Deployment, owner: Organisation) -> dict[str, Any]:
    """A row of the v2 list (§2.6)."""
    return {
        "id": row.number,
        "uuid": row.uuid,
        "date": milliseconds(row.at),
        "state": row.state,
        "action": "DEPLOY",
        "commit": row.commit,
        "cause": row.cause,
        "instances": 1,
        "author": {"id": owner.user_id, "name": owner.name},
    }


def instance(each: Instance, app: Application) -> dict[str, Any]:
    """A v2 instance (§2.6)."""
    size = each.flavor
    return {
        "id": each.id,
        "appId": app.id,
        "ip": "127.0.0.1",
        "appPort": 8080,
        "state": each.state,
        "flavor": {"name": size.name, "mem": size.mem, "cpus": size.cpus, "price": size.price},
        "commit": each.deployment.commit,
        "deployNumber": each.deployment.number,
        "deployId": each.deployment.uuid,
        "instanceNumber": 0,
        "displayName": f"Sandbox {each.id[:4]}",
        "creationDate": milliseconds(each.created_at),
    }
