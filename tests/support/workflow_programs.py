"""`kog` and `paas-runner workflow` as processes of their own, on a Docker engine."""

import json
import os
import subprocess
import sys
from pathlib import Path

import attrs

BIN = Path(sys.executable).parent
ACTION = """\
#!/bin/bash
echo "step $STEP_NUMBER begins"
[ -z "$RUNS" ] || echo x >> "$RUNS"
[ -z "$KOG_ENV_CONTEXT" ] && read -r CONTEXT || CONTEXT=$(echo "$KOG_CONTEXT" | base64 -d)
[ -n "$DEAF" ] || trap "exit 143" TERM
sleep "${SLEEP:-0}" & wait $!
echo "an error" >&2
RESULT="\\"result\\":\\"${RESULT:-success}\\",\\"rc\\":${RESULT_CODE:-0}"
echo "KOG:{$RESULT,\\"message\\":\\"$MESSAGE\\",\\"context\\":$CONTEXT}"
"""


@attrs.frozen(kw_only=True)
class Programs:
    """With records in a folder of their own."""

    folder: Path
    environment: dict[str, str]

    def command(self, *arguments):
        return [BIN / arguments[0], *arguments[1:]]

    def run(self, *arguments, seconds=60):
        return subprocess.run(
            self.command(*arguments),
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def start(self, *arguments):
        return subprocess.Popen(
            self.command(*arguments),
            env=self.environment,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def json(self, *arguments):
        return json.loads(self.run("paas-runner", "workflow", *arguments, "--json").stdout)


def programs(folder, **environment):
    return Programs(
        folder=folder,
        environment={**os.environ, "XDG_STATE_HOME": str(folder / "state"), "COLUMNS": "200", **environment},
    )


def action_image(engine, name, *, is_legacy=False):
    """An image that reports what its variables say."""
    understood = "" if is_legacy else "ENV KOG_ENV_CONTEXT=true\n"
    dockerfile = f'FROM {engine.base}\nCOPY action /action\n{understood}ENTRYPOINT ["/action"]\n'
    return engine.build(name, dockerfile, action=ACTION)
