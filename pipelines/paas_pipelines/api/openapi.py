"""The OpenAPI 3.1 document of the API, written by hand: the tables of spec §7, for programs."""

from collections.abc import Mapping
from typing import Any

from paas_pipelines import __version__
from paas_pipelines.api.requests import MOST_VARIABLES
from paas_pipelines.runs.run import TaskStatus
from paas_pipelines.store.logs import Stream

_TEXT = {"type": "string"}
_FLAG = {"type": "boolean"}
_TIME = {"type": "string", "format": "date-time", "description": "In UTC, in whole seconds."}
_ID = {"type": "string", "format": "uuid"}


def _list(items: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"type": "array", "items": items}


def _ref(name: str) -> Mapping[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(required: Mapping[str, Any], optional: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
    return {
        "type": "object",
        "required": list(required),
        "properties": {**required, **(optional or {})},
        "additionalProperties": False,
    }


_SCHEMAS: Mapping[str, Any] = {
    "Error": _object({"error": _TEXT}),
    "Pipeline": _object({"pipeline": _TEXT, "schedulable": _FLAG, "running": _FLAG}),
    "Task": _object(
        {
            "name": _TEXT,
            "status": {"type": "string", "enum": list(TaskStatus)},
            "skipped": _FLAG,
            "exitCode": {"type": "integer", "description": "-1 while it runs."},
            "errored": _FLAG,
        },
        {"dependsOn": _list(_TEXT), "start": _TIME, "end": _TIME, "error": _TEXT},
    ),
    "Job": _object(
        {
            "id": _ID,
            "pipeline": _TEXT,
            "tasks": _list(_ref("Task")),
            "completed": _FLAG,
            "canceled": _FLAG,
            "errored": _FLAG,
            "created": _TIME,
            "user": _TEXT,
        },
        {"start": _TIME, "end": _TIME, "lastError": _TEXT, "variables": {"type": "object"}},
    ),
    "Pipelines": _object({"pipelines": _list(_ref("Pipeline"))}),
    "PipelinesAndJobs": _object({"pipelines": _list(_ref("Pipeline")), "jobs": _list(_ref("Job"))}),
    "ScheduleRequest": {
        "type": "object",
        "description": "Unknown keys are ignored.",
        "required": ["pipeline"],
        "properties": {
            "pipeline": _TEXT,
            "variables": {
                "type": ["object", "null"],
                "maxProperties": MOST_VARIABLES,
                "description": "What scripts find as `{{ .name }}`. `__jobID` is reserved.",
            },
            "queuePartition": {
                **_TEXT,
                "description": "The partition of the wait list, with `queue_strategy: partitioned_replace`.",
            },
        },
    },
    "Scheduled": _object({"jobId": _ID}),
    "Logs": _object({str(stream): _TEXT for stream in Stream}),
    "Health": _object({"alive": _FLAG}),
}


def _json(description: str, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _text(description: str, media_type: str) -> Mapping[str, Any]:
    return {"description": description, "content": {media_type: {"schema": _TEXT}}}


def _query(name: str, about: str, schema: Mapping[str, Any], *, required: bool = False) -> Mapping[str, Any]:
    return {"name": name, "in": "query", "required": required, "description": about, "schema": schema}


_JOB_ID = _query("id", "The job's id.", _ID, required=True)
_LAST_EVENT = {
    "name": "Last-Event-ID",
    "in": "header",
    "required": False,
    "description": "Go on after this event.",
    "schema": _TEXT,
}


def _operation(
    name: str, about: str, good: Mapping[int, Any], *errors: int, **more: Any
) -> Mapping[str, Any]:
    refusals = {
        400: "Something in the request is wrong.",
        404: "There is no such job or task.",
        413: "The body is too large.",
        500: "The job has completed already.",
        503: "The server is shutting down, cannot write to its disk, or has too many streams.",
    }
    answers = {
        **good,
        401: _text("The token is missing or wrong.", "text/plain"),
        **{status: _json(refusals[status], _ref("Error")) for status in (*errors, 503)},
    }
    responses = {str(status): answers[status] for status in sorted(answers)}
    return {"operationId": name, "summary": about, **more, "responses": responses}


_PATHS: Mapping[str, Any] = {
    "/pipelines/": {
        "get": _operation(
            "pipelines", "All pipelines, by name.", {200: _json("The pipelines.", _ref("Pipelines"))}
        )
    },
    "/pipelines/jobs": {
        "get": _operation(
            "pipelinesJobs",
            "All pipelines, and all jobs, the newest first.",
            {200: _json("Pipelines and jobs.", _ref("PipelinesAndJobs"))},
        )
    },
    "/pipelines/schedule": {
        "post": _operation(
            "pipelinesSchedule",
            "Schedule a pipeline: it starts now or waits. Answered when that is on the disk.",
            {202: _json("The new job.", _ref("Scheduled"))},
            400,
            413,
            requestBody={
                "required": True,
                "content": {"application/json": {"schema": _ref("ScheduleRequest")}},
            },
        )
    },
    "/job/detail": {
        "get": _operation(
            "jobDetail", "One job.", {200: _json("The job.", _ref("Job"))}, 400, 404, parameters=[_JOB_ID]
        )
    },
    "/job/logs": {
        "get": _operation(
            "jobLogs",
            "What a task has written: as JSON, as raw text with `stream`, as events with `follow=1`.",
            {
                200: {
                    "description": "The whole content so far; events go on until the task has ended.",
                    "content": {
                        "application/json": {"schema": _ref("Logs")},
                        "text/plain": {"schema": _TEXT},
                        "text/event-stream": {"schema": _TEXT},
                    },
                }
            },
            400,
            404,
            parameters=[
                _JOB_ID,
                _query("task", "The task's name.", {"type": "string", "minLength": 1}, required=True),
                _query("stream", "This output alone.", {"type": "string", "enum": list(Stream)}),
                _query("offset", "Begin at this byte, with `stream`.", {"type": "integer", "minimum": 0}),
                _query("follow", "Go on until the task has ended.", {"type": "string", "enum": ["0", "1"]}),
                _LAST_EVENT,
            ],
        )
    },
    "/job/cancel": {
        "post": _operation(
            "jobCancel",
            "Cancel a job, again too; its tasks may go on ending for a while.",
            {200: _json("It is canceled.", {"const": True})},
            400,
            404,
            500,
            parameters=[_JOB_ID],
        )
    },
    "/runs/stream": {
        "get": _operation(
            "runsStream",
            "What happens to jobs, as events: `snapshot`, `job`, `removed`, `pipelines`.",
            {200: _text("Events without end.", "text/event-stream")},
            parameters=[_LAST_EVENT],
        )
    },
    "/health": {
        "get": {
            "operationId": "health",
            "summary": "Whether the server answers.",
            "security": [],
            "responses": {"200": _json("It does.", _ref("Health"))},
        }
    },
}

DOCUMENT: Mapping[str, Any] = {
    "openapi": "3.1.0",
    "info": {
        "title": "Pipelines",
        "version": __version__,
        "description": "Pipelines of tasks and their runs, which are called jobs here, as in prunner's API.",
    },
    "paths": _PATHS,
    "components": {
        "schemas": _SCHEMAS,
        "securitySchemes": {
            "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            "cookie": {"type": "apiKey", "in": "cookie", "name": "jwt"},
        },
    },
    "security": [{"token": []}, {"cookie": []}],
}
