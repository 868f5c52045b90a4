"""The keys of automation become definitions; what is wrong is told in the words of their tables, at once."""

import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from paas_pipelines.definitions.automation import (
    Approval,
    Call,
    CatchUp,
    Checkout,
    End,
    EngineHook,
    ExecutorDefinition,
    FromCredential,
    Match,
    Message,
    Notify,
    OnDeadline,
    Outcome,
    OutputDefinition,
    Overlap,
    PipelineSource,
    Schedule,
    Scope,
    Slot,
    TaskType,
    Trigger,
    TriggerType,
    Webhook,
)
from paas_pipelines.definitions.definition import Restart, TaskDefinition
from paas_pipelines.definitions.loading import examine, load
from paas_pipelines.definitions.parameter import Parameter, ParameterKind
from paas_pipelines.runs.run import Run, scheduled
from paas_pipelines.store.codec import records, to_text

EXAMPLE = Path(__file__).parents[2] / "pipelines" / "examples" / "automation.yml"
ALL = """
executors:
  pod: {type: kubernetes, namespace: ci, image: "python:3.12", service_account: sa,
        kubeconfig: /etc/kube}
  box:
    type: docker
    image: debian
    volumes: [{name: cache, path: /cache, read_only: true}]
    context: c
    platform: linux/arm64
    http_proxy: http://proxy
    config: {proxies: {default: {httpProxy: x}}}
    login: {username: u, password: {from_credential: reg, field: password}}
    environ: {A: "1", B: {from_credential: aws, field: key}}
    setup: {script: [up], env: {X: y}}
    teardown: {script: [down]}
    scope: run
  far: {type: runner, tags: [linux], runner: big}
actions:
  greet: {params: [{name: whom}, {name: count, type: number, default: 2}], script: [greet],
          env: {A: "1", B: "2"}}
pipelines:
  p:
    description: All
    executor: local
    timeout: 1h
    outputs: {changed: outputs.b.changed}
    notify: [{to: mail, at: [blocked, failed]}, {to: chat, at: succeeded}]
    params:
      - {name: environment, label: Where, description: d, options: [test, live], default: test}
      - {name: count, type: number, min: 1, max: 3}
      - {name: dry, type: boolean, default: false}
      - {name: names, type: list, default: [a, 1]}
      - {name: more, type: object, default: {a: {b: 1}}}
      - {name: ref, pattern: "refs/.*", default: refs/x}
    triggers:
      hook:
        provider: gitlab
        secret: {from_credential: hook, field: token}
        path: a/b
        events: Push Hook
        match: {object_kind: push, list: [1]}
        dedupe: payload.id
        untrusted: drop
        if: payload.ref == "x"
        params: {count: 2}
        params_from: {ref: payload.ref}
        partition: payload.ref
        user: payload.user
      daily: {cron: "@daily", timezone: Europe/Berlin, catch_up: all, catch_up_window: 2h,
              overlap: replace, jitter: 1m,
              enabled: false, params: {count: 1}}
      after: {pipeline: [s], results: [success, failed], params: {count: 1}}
    tasks:
      a: {use: greet, args: {whom: you}, env: {B: "3", C: {from_credential: aws, as: file}}}
      b: {command: make, shell: [bash, -e], requires: [a], test: params.dry, timeout: 1m, restart: retry,
          outputs: {changed: boolean, n: {type: number, default: 3}}, save: ["*.txt"], on_failure: continue}
      c: {engine: box, script: [x], image: alpine, depends_on: [b], load: [b]}
      d: {executor: far, image: "debian:12", script: [x], requires_worker: {os: linux, gpu: "1"},
          checkout: {url: "https://x/y.git", ref_from: params.ref, credential: git, depth: 1}}
      e: {runner: pod, script: [x]}
      f: {runner: big, script: [x]}
      g: {type: approval, text: "Sure?", approvers: ["corp/bob", "group:ops"], count: 2, deadline: 1h,
          on_deadline: approve, reason: required, slot: release}
      h: {approval: {params: [{name: note}]}}
      i: {call: q, params: {x: 1}, wait: false, on_success: succeed}
      j: {match: {text: stdout.b, pattern: "v(.*)"}, depends_on: [b]}
      k: {compare: 'outputs.j.matched && outputs.h.note == "x"', depends_on: [h, j]}
      l: {message: {to: chat, channel: "#c", text: "{{ .environment }}"}}
      m: {end: success}
      n: {call: {pipeline: r, params_from: {x: params.count}}}
      o: {script: [x], when: outputs.n.out == 1, depends_on: [n]}
  q: {}
  s: {}
  r: {params: [{name: x, type: number}], outputs: {out: params.x}}
"""


@pytest.fixture
def examined(tmp_path, monkeypatch):
    """What is said of one file with this text."""
    monkeypatch.chdir(tmp_path)

    def examined(text):
        (tmp_path / "pipelines.yml").write_text(text)
        return examine(".", "pipelines.yml")

    return examined


@pytest.fixture
def said(examined):
    """The complaints, without what all of them begin with."""

    def said(text):
        prefix = 'pipelines.yml:[0-9]+: (invalid pipeline definition "p": )?'
        return [re.sub(f"^{prefix}", "", str(each)) for each in examined(text).complaints]

    return said


def test_the_example_of_the_documents_loads_whole(examined):
    found = examined(EXAMPLE.read_text())
    assert (found.complaints, found.warnings) == ([], [])
    deploy, ci, check = found.definitions.values()
    assert deploy.tasks["prod-plan"].depends_on == ("nonprod-apply",)
    assert deploy.tasks["prod-plan"].args == {"account": "project1", "environment": "prod"}
    assert deploy.tasks["prod-approve"].approval == Approval(four_eyes=True)
    assert ci.tasks["test"].executor.settings == {"namespace": "ci", "image": "python:3.12"}
    assert ci.triggers["often"].schedule == Schedule(every=timedelta(minutes=10))
    assert check.tasks["version"].on_failure is Outcome.FAIL
    assert check.tasks["same"].on_failure is Outcome.CONTINUE
    assert check.tasks["os"].script == ("cat /etc/os-release",)


def test_every_key_has_its_meaning(examined):
    found = examined(ALL)
    assert ([str(each) for each in found.complaints], found.warnings) == ([], [])
    definition = found.definitions["p"]
    assert (definition.description, definition.timeout) == ("All", timedelta(hours=1))
    assert definition.outputs == {"changed": "outputs.b.changed"}
    assert definition.notify == (
        Notify(to="mail", at="blocked"),
        Notify(to="mail", at="failed"),
        Notify(to="chat", at="succeeded"),
    )
    assert definition.params_are_checked
    assert definition.params == (
        Parameter(
            name="environment", label="Where", description="d", default="test", choices=("test", "live")
        ),
        Parameter(name="count", kind=ParameterKind.NUMBER, required=True, least=1, most=3),
        Parameter(name="dry", kind=ParameterKind.BOOLEAN, default=False),
        Parameter(name="names", kind=ParameterKind.LIST, default=["a", 1]),
        Parameter(name="more", kind=ParameterKind.OBJECT, default={"a": {"b": 1}}),
        Parameter(name="ref", pattern="refs/.*", default="refs/x"),
    )
    assert definition.triggers == {
        "hook": Trigger(
            name="hook",
            type=TriggerType.WEBHOOK,
            webhook=Webhook(
                provider="gitlab",
                secret=FromCredential(name="hook", field="token"),
                path="a/b",
                events=("Push Hook",),
                match={"object_kind": "push", "list": [1]},
                dedupe="payload.id",
                drops_untrusted=True,
            ),
            condition='payload.ref == "x"',
            params={"count": 2},
            params_from={"ref": "payload.ref"},
            partition="payload.ref",
            user="payload.user",
        ),
        "daily": Trigger(
            name="daily",
            type=TriggerType.SCHEDULE,
            schedule=Schedule(
                cron="0 0 * * *",
                timezone="Europe/Berlin",
                catch_up=CatchUp.ALL,
                catch_up_window=timedelta(hours=2),
                overlap=Overlap.REPLACE,
                jitter=timedelta(minutes=1),
            ),
            enabled=False,
            params={"count": 1},
        ),
        "after": Trigger(
            name="after",
            type=TriggerType.PIPELINE,
            source=PipelineSource(pipelines=("s",), results=("success", "failed")),
            params={"count": 1},
        ),
    }
    tasks = definition.tasks
    shell = ExecutorDefinition()
    assert tasks["a"] == TaskDefinition(
        script=("greet",),
        env={"A": "1", "B": "3"},
        secrets={"C": FromCredential(name="aws", as_file=True)},
        args={"whom": "you", "count": 2},
        executor=shell,
    )
    assert tasks["b"] == TaskDefinition(
        script=("make",),
        shell=("bash", "-e"),
        depends_on=("a",),
        when="params.dry",
        timeout=timedelta(minutes=1),
        restart=Restart.RETRY,
        outputs={
            "changed": OutputDefinition(kind=ParameterKind.BOOLEAN),
            "n": OutputDefinition(kind=ParameterKind.NUMBER, default=3, has_default=True),
        },
        save=("*.txt",),
        on_failure=Outcome.CONTINUE,
        executor=shell,
    )
    assert tasks["c"].load == ("b",)
    assert tasks["c"].image is None
    assert tasks["c"].executor == ExecutorDefinition(
        type="docker",
        name="box",
        settings={
            "image": "alpine",
            "volumes": [{"name": "cache", "path": "/cache", "read_only": True}],
            "context": "c",
            "platform": "linux/arm64",
            "http_proxy": "http://proxy",
            "config.json": {"proxies": {"default": {"httpProxy": "x"}}},
            "login": {
                "username": "u",
                "password": {"from_credential": "reg", "field": "password"},
            },
        },
        env={"A": "1"},
        secrets={"B": FromCredential(name="aws", field="key")},
        setup=EngineHook(script=("up",), env={"X": "y"}),
        teardown=EngineHook(script=("down",)),
        scope=Scope.RUN,
    )
    assert tasks["d"].executor.settings == {"tags": ["linux"], "runner": "big", "image": "debian:12"}
    assert tasks["d"].requires_worker == ("os=linux", "gpu=1")
    assert tasks["d"].checkout == Checkout(
        url="https://x/y.git", ref_from="params.ref", credential="git", depth=1
    )
    assert tasks["e"].executor.settings["kubeconfig"] == "/etc/kube"
    assert (tasks["f"].runner, tasks["f"].executor) == ("big", None)
    assert tasks["g"].approval == Approval(
        text="Sure?",
        approvers=("corp/bob", "group:ops"),
        count=2,
        deadline=timedelta(hours=1),
        on_deadline=OnDeadline.APPROVE,
        reason_required=True,
        slot=Slot.RELEASE,
    )
    assert tasks["h"].approval == Approval(params=(Parameter(name="note", required=True),))
    assert tasks["i"] == TaskDefinition(
        type=TaskType.CALL,
        call=Call(pipeline="q", params={"x": 1}, wait=False),
        on_success=Outcome.SUCCEED,
    )
    assert tasks["j"].match == Match(text="stdout.b", pattern="v(.*)")
    assert tasks["l"].message == Message(to="chat", channel="#c", text="{{ .environment }}")
    assert tasks["m"] == TaskDefinition(type=TaskType.END, end=End.SUCCESS)
    assert tasks["n"].outputs == {"out": OutputDefinition()}
    assert load(".", "pipelines.yml") == found.definitions  # a reload notices nothing


def test_runs_of_all_keys_are_the_same_after_the_disk(examined):
    for definition in examined(ALL).definitions.values():
        run = scheduled(
            definition,
            run_id="r",
            number=1,
            now=datetime(2026, 11, 29, tzinfo=UTC),
            variables={},
            user="",
            partition="",
        )
        assert list(records({"r": to_text(run)}, Run, "run")) == [run]


MISTAKES = {
    # of pipelines
    "p: {order: sequence, tasks: {a: {script: [x]}, b: {script: [x], depends_on: [a]}}}": [
        'task "b": depends_on is not allowed with order: sequence'
    ],
    "p: {order: zigzag}": ["order must be one of graph, sequence"],
    "p: {executor: x, tasks: {a: {script: [x]}}}": ['unknown executor "x"'],
    "p: {timeout: 0s}": ["timeout must be positive"],
    "p: {timeout: 3 days}": ["timeout must be a duration, such as 10m"],
    "p: {description: [a]}": ["description must be a text"],
    "p: {outputs: {x: outputs.a.b}}": ['output "x", column 1: unknown name "outputs.a.b"'],
    "p: {outputs: {a b: 'true'}}": ['output "a b" must have letters, digits and _ in its name only'],
    "p: {notify: [{to: x, at: never}]}": ["at must be of blocked, failed, succeeded, canceled"],
    "p: {notify: [{too: x, at: failed}]}": ['unknown key "too", did you mean "to"?'],
    # of params
    "p: {params: [{name: x, default: 1, type: boolean}]}": ['param "x": default must be a boolean'],
    "p: {params: [{name: x, options: [a], default: b}]}": ['param "x": default must be one of a'],
    "p: {params: [{name: x, pattern: '('}]}": ['param "x": pattern "(" is no pattern of RE2: missing ): ('],
    "p: {params: [{name: x, pattern: a, default: b}]}": ['param "x": default does not match a'],
    "p: {params: [{name: x, type: number, min: 2, max: 1}]}": ['param "x": min must not be greater than max'],
    "p: {params: [{name: x, type: object, max: 1}]}": ['param "x": max is not allowed with type object'],
    "p: {params: [{name: x}, {name: x}]}": ['param "x": is declared twice'],
    "p: {params: [{name: xY}, {name: xy}]}": ['param "xy": is $PARAM_XY, as another is'],
    "p: {params: [{name: X}, {}, 3, {name: a, dflt: 1}]}": [
        'param "X": name must be like environment or minCount: a small letter, then letters, digits and _',
        "param 2: name must be like environment or minCount: a small letter, then letters, digits and _",
        "param 3 must be a mapping",
        'unknown key "dflt", did you mean "default"?',
    ],
    # of tasks
    "p: {tasks: {a: {when: 'true'}}}": ['task "a": type cannot be inferred'],
    "p: {tasks: {a: {type: bash}}}": [
        'task "a": type must be one of run, approval, call, match, compare, message, end'
    ],
    "p: {tasks: {a: {type: approval, script: [x]}}}": ['task "a": script is not allowed with type approval'],
    "p: {tasks: {a: {type: approval, command: x}}}": ['task "a": command is not allowed with type approval'],
    "p: {tasks: {a: {script: [x], four_eyes: true}}}": ['task "a": four_eyes is not allowed with type run'],
    "p: {tasks: {a: {script: [x], command: y}}}": ['task "a": use either script or command'],
    "p: {tasks: {b: , a: {script: [x], depends_on: [b], requires: [b]}}}": [
        'task "a": use either depends_on or requires'
    ],
    "p: {tasks: {a: {use: x}}}": ['task "a": unknown action "x"'],
    "p: {tasks: {a: {script: [x], args: {a: 1}}}}": ['task "a": args needs use'],
    "p: {tasks: {a: {script: [x], executor: x}}}": ['task "a": unknown executor "x"'],
    "p: {tasks: {a: {script: [x], executor: shell, runner: y}}}": ['task "a": use either executor or runner'],
    "p: {tasks: {a: {script: [x], executor: {type: docker, tags: [a], image: x}}}}": [
        'task "a": tags is not allowed with type docker'
    ],
    "p: {tasks: {a: {script: [x], executor: docker}}}": ['task "a": executor docker needs an image'],
    "p: {tasks: {a: {script: [x], executor: shell, image: x}}}": [
        'task "a": image is not allowed with executor shell'
    ],
    "p: {tasks: {a: {script: [x], requires_worker: [gpu]}}}": [
        'task "a": requires_worker needs a runner executor'
    ],
    "p: {tasks: {a: {script: [x], checkout: {url: x}}}}": ['task "a": checkout needs a runner executor'],
    "p: {tasks: {a: {script: [x], runner: y, checkout: {ref: x}}}}": ['task "a": checkout needs a url'],
    "p: {tasks: {a: {script: [x], env: {X: {from_credential: y, fild: z}}}}}": [
        'task "a": unknown key "fild", did you mean "field"?'
    ],
    "p: {tasks: {a: {script: [x], outputs: {x: text}}}}": [
        'task "a": x must be one of string, number, boolean, list, object'
    ],
    "p: {tasks: {a: {script: [x], outputs: {x: {type: number, default: y}}}}}": [
        'task "a": output "x": default must be a number'
    ],
    "p: {tasks: {a: {script: [x], load: [b]}, b: {script: [x]}}}": [
        'task "a": load: "b" does not come before'
    ],
    "p: {tasks: {a: {script: [x], load: [c]}}}": ['task "a": load: "c" is no task'],
    "p: {tasks: {a: {script: [x], when: [y]}}}": ['task "a": when must be an expression'],
    "p: {tasks: {a: {script: [x], when: '1'}}}": ['task "a": when must be true or false, not number'],
    "p: {tasks: {a: {script: [x]}, b: {script: [x], when: status.a == 'success'}}}": [
        'task "b": when, column 1: unknown name "status.a"'
    ],
    "p: {params: [{name: n, type: number}], tasks: {b: {script: [x], when: params.n == 'a'}}}": [
        'task "b": when, column 10: == does not go with number, string'
    ],
    "p: {tasks: {a-b: {script: [x]}, a_b: {script: [x], when: 'true'}}}": ['names "a-b" and "a_b" collide'],
    "p: {tasks: {a: {match: {text: run.id}}}}": ['task "a": match needs a pattern'],
    "p: {tasks: {a: {match: {text: run.id, pattern: '('}}}}": [
        'task "a": pattern "(" is no pattern of RE2: missing ): ('
    ],
    "p: {tasks: {a: {compare: run.id}}}": ['task "a": compare must be true or false, not string'],
    "p: {tasks: {a: {message: {text: x}}}}": ['task "a": message needs a to'],
    "p: {tasks: {a: {message: {to: x, text: '{{ .'}}}}": [
        'task "a": template: interpolate:1: unclosed action'
    ],
    "p: {tasks: {a: {end: maybe}}}": ['task "a": end must be one of success, failure'],
    "p: {tasks: {a: {call: q}}}": ['task "a": unknown pipeline "q"'],
    "p: {tasks: {a: {call: q, params: {y: 1}}}}\n  q: {params: [{name: x}]}": [
        'task "a": param "y" is not declared',
        'task "a": param "x": is required',
    ],
    "p: {tasks: {a: {call: q, params_from: {y: run.id}}}}\n  q: {}": ['task "a": param "y" is not declared'],
    "p: {tasks: {a: {type: approval, params: [{name: x}], count: 2}}}": ['task "a": params needs count: 1'],
    "p: {tasks: {a: {type: approval, count: 0}}}": ['task "a": count must be at least 1'],
    "p: {tasks: {a: {type: approval, four_eyes: true}}, triggers: {t: {every: 1m}}}": [
        'task "a": four_eyes needs to know who starts it: trigger "t" has no user'
    ],
    # of what goes round
    "p: {tasks: {a: {call: p}}}": ['task "a": call cycle: p -> p'],
    "p: {tasks: {a: {call: q}}}\n  q: {tasks: {a: {call: r}}}\n  r: {tasks: {a: {call: p}}}": [
        "call cycle: p -> q -> r -> p"
    ],
    "q: {triggers: {t: {pipeline: p}}}\n  p: {triggers: {t: {pipeline: q}}}": [
        'invalid pipeline definition "q": trigger cycle: p -> q -> p'
    ],
    "p: {triggers: {t: {pipeline: p}}}": ["trigger cycle: p -> p"],
    "q: {tasks: {a: {call: r}}}\n  r: {}\n  p: {triggers: {t: {pipeline: r}}, tasks: {a: {call: q}}}": [
        "trigger cycle: p -> q -> r -> p"
    ],
    # of scripts
    "p: {params: [{name: x}], tasks: {a: {script: ['echo {{ if .x }}{{ .x }}{{ end }}']}}}": [
        'task "a": {{ .x }} is free text: use "$PARAM_X"'
    ],
    "p: {params: [{name: x, type: list}], tasks: {a: {script: ['{{ range $.x }}{{ . }}{{ end }}']}}}": [
        'task "a": {{ .x }} is free text: use "$PARAM_X"'
    ],
    "p: {params: [{name: x}], executor: {type: shell, teardown: {script: ['rm {{ .x }}']}}, "
    "tasks: {a: {script: [x]}}}": ['task "a": {{ .x }} is free text: use "$PARAM_X"'],
    # of triggers
    "p: {triggers: {t: {provider: github}}}": ['trigger "t": webhook needs a secret'],
    "p: {triggers: {t: {secret: {from_credential: x}}}}": ['trigger "t": webhook needs a provider'],
    "p: {triggers: {t: {provider: github, secret: x}}}": [
        'trigger "t": secret must be {from_credential: name}: no secret stands in this file'
    ],
    "p: {triggers: {t: {provider: svn, secret: {from_credential: x}}}}": [
        'trigger "t": provider must be one of github, gitlab, standard, token'
    ],
    "p: {triggers: {t: {if: 'true'}}}": ['trigger "t": type cannot be inferred'],
    "p: {triggers: {t: {every: 1m, dedupe: payload}}}": [
        'trigger "t": dedupe is not allowed with type schedule'
    ],
    "p: {triggers: {t: {every: 1m, cron: '@daily'}}}": ['trigger "t": use either cron or every'],
    "p: {triggers: {t: {every: 0s}}}": ['trigger "t": every must be positive'],
    "p: {triggers: {t: {every: 10min}}}": ['trigger "t": every must be a duration, such as 10m'],
    "p: {triggers: {t: {every: 999ms}}}": ['trigger "t": every must be at least 1s'],
    "p: {triggers: {t: {every: 1h}}, tasks: {_untrusted: {script: [x]}}}": [
        'task "_untrusted": the approval of untrusted runs has this name'
    ],
    "p: {tasks: {a: {type: approval, approvers: []}}}": ['task "a": approvers must name somebody'],
    "p: {triggers: {t: {cron: '* * * * * *'}}}": [
        (
            'trigger "t": cron must have five fields, or be one of '
            "@yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly"
        )
    ],
    "p: {triggers: {t: {cron: '61 * * * *'}}}": [
        'trigger "t": cron "61 * * * *" cannot be understood: Bad minute'
    ],
    "p: {triggers: {t: {every: 1m, timezone: Mars/Olympus}}}": [
        'trigger "t": unknown time zone "Mars/Olympus"'
    ],
    "p: {triggers: {t: {every: 1m, timezone: ../../etc/passwd}}}": [
        'trigger "t": unknown time zone "../../etc/passwd"'
    ],
    "p: {triggers: {t: {every: 1m, evry: 2m}}}": ['trigger "t": unknown key "evry", did you mean "every"?'],
    "p: {triggers: {t: {pipeline: q}}}": ['trigger "t": unknown pipeline "q"'],
    "p: {triggers: {t: {every: 1m, if: params.x}}}": ['trigger "t": if, column 1: unknown name "params.x"'],
    "p: {triggers: {t: {every: 1m, params_from: {x: event.id}}}}": ['trigger "t": param "x" is not declared'],
    "p: {params: [{name: n, type: number}], triggers: {t: {every: 1m, params: {n: a}}}}": [
        'trigger "t": param "n": must be a number'
    ],
    "p: {triggers: {a: {provider: token, secret: {from_credential: x}, path: h}, "
    "b: {provider: token, secret: {from_credential: y}, path: h}}}": [
        'trigger "b": path "h" is shared with "p", trigger "a": provider and secret must be equal'
    ],
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_is_told_in_its_words(said, text):
    found = said(f"pipelines:\n  {text}\n")
    assert [each.removeprefix('task "a": ') if "cycle" in each else each for each in found] == [
        each.removeprefix('task "a": ') if "cycle" in each else each for each in MISTAKES[text]
    ]


def test_mistakes_of_actions_and_executors_name_them_and_make_no_others(said):
    text = """
executors: {pod: {type: kubernetes, namspace: ci}, docker: {type: docker}, x: {teardown: {script: []}}}
actions:
  plan: {params: [{name: n, type: number, default: a}], script: [x]}
  apply: {params: [{name: n}], script: [x]}
pipelines:
  p: {tasks: {a: {use: plan, args: {z: 1}}, b: {use: apply, args: {z: 1}}, c: {executor: x, script: [x]}}}
"""
    assert said(text) == [
        'invalid executor "pod": unknown key "namspace", did you mean "namespace"?',
        'invalid executor "docker": docker is a type, and cannot be a name',
        'invalid executor "x": teardown needs a script',
        'invalid action "plan": param "n": default must be a number',
        'task "a": args: param "z": is unknown',
        'task "b": args: param "z": is unknown; param "n": is required',
    ]


def test_all_mistakes_come_at_once_with_their_lines(examined):
    found = examined("""
pipelines:
  p:
    timeout: 0s
    triggers:
      t:
        every: 1m
        dedupe: x
    tasks:
      a:
        script: [x]
        when: params.x
      b:
        type: approval
        deadlin: 3s
        count: none
  q:
    tasks:
      c:
        call: nobody
""")
    assert [(each.line, each.text.partition(": ")[2]) for each in found.complaints] == [
        (4, "timeout must be positive"),
        (8, 'trigger "t": dedupe is not allowed with type schedule'),
        (16, 'task "b": count must be a whole number'),
        (15, 'task "b": unknown key "deadlin", did you mean "deadline"?'),
        (20, 'task "c": unknown pipeline "nobody"'),
    ]
    assert found.warnings == []


@pytest.mark.parametrize(
    ("text", "complaints", "warnings"),
    [
        ("p: {tasks: {a: {script: [x], wen: 'false'}}}", [], 1),
        ("p: {order: sequence, tasks: {a: {script: [x], wen: 'false'}}}", ["wen"], 0),
        ("p: {tasks: {a: {script: [x]}, b: {type: approval, four-eyes: true}}}", ["four-eyes"], 0),
        ("p: {tasks: {a: {script: [x], wen: 'false'}, b: {type: approval, coutn: 2}}}", ["wen", "coutn"], 0),
        ("p: {params: {x: {typ: string}}, tasks: {a: {script: [x]}}}", [], 1),
    ],
)
def test_a_misspelt_key_is_wrong_where_automation_is_used_and_else_ignored(
    text, complaints, warnings, examined
):
    """Without `four_eyes`, whoever started a run would approve it."""
    found = examined(f"pipelines:\n  {text}\n")
    assert [
        each.text.partition('unknown key "')[2].partition('"')[0] for each in found.complaints
    ] == complaints
    assert len(found.warnings) == warnings


def test_two_hooks_with_one_secret_share_a_path_across_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    hook = "{provider: github, secret: {from_credential: %s}, path: all}"
    for name, secret in (("a", "s"), ("b", "s"), ("c", "other")):
        (tmp_path / f"{name}.yml").write_text(
            f"pipelines: {{{name}: {{triggers: {{t: {hook % secret}}}}}}}\n"
        )
    assert [str(each) for each in examine(".", "*.yml").complaints] == [
        (
            'c.yml:1: invalid pipeline definition "c": trigger "t": path "all" is shared with "a", '
            'trigger "t": provider and secret must be equal'
        )
    ]


def test_limits(said):
    triggers = ", ".join(f"t{number}: {{every: 1m}}" for number in range(101))
    tasks = ", ".join(f"t{number}: {{end: success}}" for number in range(501))
    assert said(f"pipelines: {{p: {{triggers: {{{triggers}}}, tasks: {{{tasks}}}}}}}") == [
        "at most 100 triggers are possible",
        "at most 500 tasks are possible",
    ]


def test_tasks_of_prunner_may_have_names_and_numbers_that_automation_may_not(said):
    tasks = ", ".join(f"t{number}: {{script: [x]}}" for number in range(600))
    assert said(f"pipelines: {{p: {{tasks: {{a-b: , a_b: , {tasks}}}}}}}") == []


def test_safe_values_may_be_in_templates(said):
    text = """
pipelines:
  p:
    params: [{name: n, type: number}, {name: b, type: boolean}, {name: o, options: [x, y]}, {name: free}]
    tasks: {a: {script: ['echo {{ .n }} {{ .b }} {{ .o }} {{ .args.x }} "$PARAM_FREE"']}}
"""
    assert said(text) == []


def test_without_the_extra_other_files_load_and_what_needs_it_says_so(tmp_path):
    """In a process without the libraries."""
    (tmp_path / "old.yml").write_text("pipelines: {p: {params: {x: {}}, tasks: {a: {script: [x]}}}}\n")
    (tmp_path / "new.yml").write_text(
        "pipelines: {q: {triggers: {t: {cron: '@daily'}, u: {every: 1m, if: 'true'}}, "
        "params: [{name: x, pattern: a}]}}\n"
    )
    code = (
        "import sys\n"
        "for name in ('cel_expr_python', 're2', 'cronsim'): sys.modules[name] = None\n"
        "from paas_pipelines.definitions.loading import examine\n"
        "assert not examine('.', 'old.yml').complaints\n"
        "for each in examine('.', 'new.yml').complaints: print(each.text)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    remedy = "needs: pip install 'paas-pipelines[automation]'"
    assert done.stdout.splitlines() == [
        f'invalid pipeline definition "q": trigger "t": cron {remedy}',
        f'invalid pipeline definition "q": param "x": pattern a pattern {remedy}',
        f'invalid pipeline definition "q": trigger "u": if: an expression {remedy}',
    ]
