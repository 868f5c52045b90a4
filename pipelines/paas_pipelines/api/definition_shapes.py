"""Definitions as the API spells them: what a pipeline wants to be given, what it does, what starts it."""

from collections.abc import Mapping
from typing import Any

from paas_pipelines.definitions.automation import Trigger
from paas_pipelines.definitions.definition import Definition, TaskDefinition
from paas_pipelines.definitions.parameter import Parameter


def definition_shape(definition: Definition) -> Mapping[str, Any]:
    """One pipeline; scripts and environments stay where they are."""
    return {
        "pipeline": definition.name,
        "description": definition.description,
        "checked": definition.params_are_checked,
        "params": [parameter_shape(each) for each in definition.params],
        "tasks": [task_shape(name, definition.tasks[name]) for name in definition.order],
        "triggers": [trigger_shape(each) for each in definition.triggers.values()],
        "outputs": list(definition.outputs),
        "concurrency": definition.concurrency,
    }


def parameter_shape(parameter: Parameter) -> Mapping[str, Any]:
    """What is not said is left out."""
    return {
        "name": parameter.name,
        "type": parameter.kind,
        "required": parameter.required,
        **_said(
            label=parameter.label,
            description=parameter.description,
            default=parameter.default,
            options=list(parameter.choices),
            pattern=parameter.pattern,
            min=parameter.least,
            max=parameter.most,
        ),
    }


def task_shape(name: str, task: TaskDefinition) -> Mapping[str, Any]:
    """What it is, and when it has its turn."""
    return {
        "name": name,
        "type": task.plugin.name if task.plugin else task.type,
        "dependsOn": list(task.depends_on),
        **_said(
            when=task.when,
            executor=(task.executor.name or task.executor.type) if task.executor else None,
            requiresWorker=list(task.requires_worker),
            outputs=list(task.outputs),
            save=list(task.save),
            load=list(task.load),
            calls=task.call.pipeline if task.call else None,
        ),
    }


def trigger_shape(trigger: Trigger) -> Mapping[str, Any]:
    """What starts it; of a secret the credential's name alone."""
    webhook, schedule, source = trigger.webhook, trigger.schedule, trigger.source
    return {
        "name": trigger.name,
        "type": trigger.type,
        "enabled": trigger.enabled,
        **_said(
            **{"if": trigger.condition},
            provider=webhook.provider if webhook else None,
            path=f"/hooks/{webhook.path}" if webhook else None,
            events=list(webhook.events) if webhook else None,
            cron=schedule.cron if schedule else None,
            everySeconds=schedule.every.total_seconds() if schedule and schedule.every else None,
            timezone=schedule.timezone if schedule else None,
            catchUp=schedule.catch_up if schedule else None,
            overlap=schedule.overlap if schedule else None,
            pipelines=list(source.pipelines) if source else None,
            results=list(source.results) if source else None,
        ),
    }


def _said(**given: Any) -> Mapping[str, Any]:
    return {name: value for name, value in given.items() if value is not None and value not in ("", [])}
