"""A runner of another machine: asks over HTTP, and has the real inner runner do each job as a process.

Blocking, for programs that ask a server of its own process; `python -m tests.support.remote_runner URL TOKEN
FOLDER` asks until it is ended.
"""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

FEATURES = {"return_exit_code": True, "cancelable": True, "cancel_gracefully": True, "raw_variables": True}
TOML = '[[runners]]\nurl = "{url}"\ntoken = "abc"\nexecutor = "shell"\n'


def asked(url, path, body, method="POST"):
    """Status, headers and text of the answer."""
    request = urllib.request.Request(
        url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}, method=method
    )
    try:
        with urllib.request.urlopen(request, timeout=90) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read().decode()


def registered(url, registration_token, description, **more):
    """The token of a new runner."""
    given = {"token": registration_token, "description": description, **more}
    status, _, text = asked(url, "/api/v4/runners", given)
    assert status == 201, text
    return json.loads(text)["token"]


def jobs(url, token):
    """The jobs that it gets, one after the other; held while there is none, and over when it is cut off."""
    seen = ""
    while True:
        body = {"token": token, "system_id": "s_123456789abc", "info": {"features": FEATURES}}
        try:
            status, headers, text = asked(
                url, "/api/v4/jobs/request", body | ({"last_update": seen} if seen else {})
            )
        except OSError:
            return
        seen = headers.get("X-GitLab-Last-Update", "")
        if status == 201:
            yield json.loads(text)


def started(url, folder, job):
    """The inner runner at work on a job."""
    place = Path(folder) / str(job["id"])
    place.mkdir()
    (place / "runner.toml").write_text(TOML.format(url=url))
    (place / "job.json").write_text(json.dumps(job))
    command = [sys.executable, "-m", "paas_runner.inner", "exec-fetched-job"]
    return subprocess.Popen(
        [*command, "--config", str(place / "runner.toml"), str(place / "job.json")],
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "TMPDIR": str(place)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def main():
    url, token, folder = sys.argv[1:]
    for job in jobs(url, token):
        started(url, folder, job).wait()


if __name__ == "__main__":
    main()
