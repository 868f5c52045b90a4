"""Every event that we log: a short name that stays, for programs, and a sentence for people.

The caller logs the name and the facts. The sentence takes its place where lines for people are rendered
(`logs.chain`); JSON has the name. docs/logs.md lists both; a test holds the three together.
"""

from collections.abc import Mapping
from typing import Any

from structlog.typing import EventDict

SENTENCES: Mapping[str, str] = {
    # the service
    "started": "started",
    "stopping": "stopping: no new jobs; calls in flight are finished; a second signal ends at once",
    "request_awaited": "the request for a job that is in flight is waited for: it may bring one",
    "calls_cut_off": "calls in flight were cut off: the next start looks at what became of them",
    "stopped_at_once": "stopped at once: the next start looks at what became of the calls in flight",
    "stopped": "stopped",
    "cannot_start": "cannot start",
    "store_awaited": "the database of the records does not answer: it is waited for",
    "records_unusable": "the records cannot be used",
    "service_error": "unexpected error: the records are in the store, a restart goes on from there",
    "loops_hung": "loops have hung: the watchdog is no longer fed, and restarts the service",
    "service_manager_unreachable": "the service manager cannot be told",
    "system_id_not_kept": "the system id cannot be kept: the next start may get another",
    "installation_differs": "the id of this installation is not everywhere the same: hosts with the other "
    "one are not ours until `installation_id` says so",
    "installation_not_kept": "the id of this installation cannot be kept beside the store: a lost store "
    "would take it along",
    "site_opened": "metrics, health and readiness are served",
    "site_closed": "metrics, health and readiness are not served there any more",
    "site_error": "unexpected error: a question over HTTP was not answered",
    # what operators ask for
    "signal_too_early": "a signal came too early: the service is still starting",
    "signal_refused": "a signal was refused",
    "signal_error": "unexpected error: a signal was not answered",
    "control_socket_unavailable": "the control socket cannot be opened: commands cannot ask this service",
    "control_client_gone": "a command did not wait for its answer",
    "control_error": "unexpected error: a question was not answered",
    "service_state": "state",
    "runner_state": "state of a runner",
    "standby_state": "the state of a host on standby",
    "job_state": "state of a job",
    "draining": "draining: no new jobs; the service ends after the last",
    "drained": "drained",
    "drained_with_leftovers": "drained, but not all is gone",
    "runner_paused": "runner paused: it asks for no more jobs",
    "runner_resumed": "runner resumed",
    "token_expires": "a runner's token ends soon, or has ended: put another one into the configuration",
    "configuration_note": "configuration",
    "configuration_reloaded": "configuration reloaded",
    "configuration_unchanged": "configuration reloaded: nothing has changed",
    "configuration_refused": "configuration refused: the one in force stays",
    "restart_needed": "some keys wait for a restart: until then they keep their values",
    "runner_removed": "runner removed: it has no jobs any more",
    # acquisition
    "job_acquired": "job acquired",
    "job_request_failed": "no job could be asked for",
    "runner_refused": "the coordinator refuses this runner: is its token revoked, expired or mistyped?",
    "acquisition_error": "unexpected error: no job was acquired this time",
    "job_unreadable": "a job came in a form that cannot be read",
    "job_reading_error": "unexpected error: the job is failed",
    "job_left_to_holder": "a job was recorded for a section that another process has by now, "
    "which goes on with it",
    "job_handed_out_again": "the coordinator handed out a job again that is tracked already",
    "job_given_back": "a job could not be recorded before the stop, not even in the state file, and was "
    "reported as failed",
    "job_not_given_back": "a job could not be recorded before the stop, and its coordinator could not be "
    "told",
    "acquisition_blocked": "no job can be acquired",
    "credentials_refused": "no job is asked for until the provider takes the runner's credentials",
    "credentials_accepted": "the provider takes the runner's credentials again: jobs are asked for",
    "credentials_look_error": "unexpected error at a look whether the provider takes the credentials",
    "statistics": "statistics",
    "statistics_error": "unexpected error: the statistics are not written this time",
    "flavors_error": "unexpected error: what hosts weigh could not be made out",
    "observer_error": "unexpected error: what watches the service was not told of an event",
    "close_error": "unexpected error: connections could not be closed",
    "weight_quota": "weight quota",
    "quota_too_small": "the quota is too small for some flavors: jobs that ask for one of them are failed",
    "flavors_unreadable": "what hosts weigh cannot be read",
    # one job
    "job_waits_for_room": "there is no room for the job's host under the quota yet: it waits for it",
    "job_provisioning": "job provisioning",
    "job_provisioned": "job provisioned",
    "job_launching": "job launching",
    "job_launched": "job launched",
    "job_running": "job running",
    "job_failing": "job failing",
    "job_decommissioning": "job decommissioning",
    "job_standby": "job over, its host waits for another one",
    "host_reused": "a host on standby is used again",
    "no_host_reused": "a host on standby could not be used again",
    "job_gone": "job gone",
    "host_left_in_place": "job gone, its host left in place as configured",
    "looks_stretched": "more looks at jobs are due than are allowed: they are made more rarely",
    "looks_on_time": "the looks at jobs are made as often as configured again",
    "action_postponed": "an action on a job did not succeed yet",
    "job_error": "unexpected error: the job is kept and looked at again",
    "job_without_runner": "a tracked job belongs to a runner that the configuration no longer has: "
    "put the runner back and reload, or remove the host by hand",
    "host_found_again": "a host was found again, no second one is needed",
    "host_account_unavailable": "nothing can be told of the host",
    # records and costs
    "record_not_written": "the job's record cannot be written: no new jobs until it can",
    "record_not_removed": "a finished job's record cannot be removed",
    "state_file_loaded": "state file loaded",
    "handles_set_aside": "jobs of heptapod-paas-runner make no sense here, or their hosts do not: they are "
    "kept in a file; look for each host at its provider and remove it, or start that program on the file",
    "state_file_set_aside": "a state file appeared while the service ran, its jobs are not tracked: "
    "put in the place of the state file while the service is stopped, it is added to the records",
    "hosts_possibly_unknown": "jobs came without a host: should heptapod-paas-runner have been creating one "
    "when it stopped, remove it by hand",
    "costs_since_start": "costs since the start",
    # several processes on one store
    "section_taken": "a runner section was taken: its jobs are gone on with here",
    "section_handed_over": "a runner section was handed over: another process goes on with its jobs",
    "section_lost": "a runner section is another process's: what was done for it here is cut off",
    "section_error": "unexpected error: a runner section is left all the same",
    "stale_write": "a record was refused, since its section is another process's by now: nothing was written",
    "store_unreachable": "the store does not answer: jobs are looked after, and none is asked "
    "for once the leases have run out",
    "store_reachable": "the store answers again",
    "leases_run_out": "the leases have run out while the store does not answer: no job is asked "
    "for, and jobs are only looked at",
    "leases_error": "unexpected error: leases are renewed at the next turn",
    "jobs_not_loaded": "the jobs of a section cannot be loaded yet: nobody goes on with them until they can",
    "not_left": "the store could not be told of the end: others take over when the leases have run out",
    "word_heard": "an operator asked another process, and it is done here, too",
    "word_not_followed": "what an operator asked another process is refused here",
    "word_error": "unexpected error: what an operator asked another process was not done here",
    "others_not_told": "other processes could not be told what the operator asked for: ask them, too",
    "not_listening": "nothing is heard from other processes for a while",
    "listening_error": "unexpected error: nothing is heard from other processes for a while",
    # notices
    "notice_made": "somebody is to be told",
    "notice_delivered": "a notice was taken",
    "notice_not_delivered": "a notice was not taken yet",
    "notice_given_up": "a notice was not taken for two days: nobody gets it",
    "notices_not_written": "what was told cannot be written: after a restart it may be told again",
    "notices_not_read": "the store does not say what notices need of it",
    "notices_unreadable": "what a receiver was told cannot be read: it may be told again",
    "notices_left": "notices were left at the end: they wait for the next start",
    "notices_error": "unexpected error: notices are looked at again",
    # hosts and records compared
    "orphan_found": "an orphan was found and is removed",
    "orphan_removed": "orphan removed",
    "orphan_not_removed": "an orphan cannot be removed yet",
    "host_disappeared": "a job's host has disappeared",
    "unknown_host_busy": "a host may run a job of which nothing is known",
    "sweep_failed": "hosts and records could not be compared",
    "sweep_error": "unexpected error: hosts and records could not be compared",
    # jobs that were lost on their way to us
    "job_lost": "the coordinator believes that a job runs here of which nothing is known: it was lost on its "
    "way to the disk",
    "lost_job_retried": "a lost job was canceled, and is retried",
    "lost_job_left": "a lost job is left to the coordinator",
    "audit_refused": "the coordinator does not tell which jobs it believes to run here: lost ones are not "
    "found",
    "audit_failed": "it cannot be found out which jobs the coordinator believes to run here: this is tried "
    "again",
    "audit_cut": "the coordinator believes that more jobs run here than are read of its list",
    "audit_unsure": "the coordinator does not tell the machines of a runner apart: jobs that seem to be lost "
    "may be another machine's, and are left alone",
    "audit_error": "unexpected error: the coordinator's list of jobs could not be compared",
    "tenants_unreadable": "the tenants of earlier jobs cannot be read",
    # clouds and engines
    "http_call": "call",
    "clever_cloud_refused": "Clever Cloud refused",
    "catalogue_unreadable": "the catalogue cannot be read again yet",
    "catalogue_entries_skipped": "odd entries of the catalogue are left out",
    "tags_not_told": "the coordinator does not say what tags its jobs have, as GitLab does since 19.3: "
    "[runners.tags] decides nothing",
    "max_flavor_absent": "the largest flavor that is allowed is not on offer: nothing heavier is given",
    "trying_another_place": "no host available here, trying another place",
    "host_removed_by_name": "removing a host by its name",
    "host_details_unavailable": "the host cannot be looked at more closely",
    "use_unknown": "what a job used of its host cannot be learned",
    "host_log_unavailable": "no log of the host available",
    "launched_before": "the host has a job already, launched earlier with another configuration",
    "launched_already": "the host was launched already",
    "helper_not_there": "the helper service of a host that is being made does not answer yet",
    "helper_not_clean": "a helper service could not remove what a job has left: it takes no other job",
    "tenant_without_credentials": "no one can be found to pay for a group's jobs",
    # the log elsewhere
    "remote_log_interrupted": "the receiver of the log cannot be reached: lines are kept, as far as there is "
    "room",
    "remote_log_resumed": "the receiver of the log has lines again",
    "remote_log_lost": "the process ends with lines that the receiver of the log has not got",
    "remote_log_error": "unexpected error: a line for the receiver of the log is left out",
    # traces
    "traces_not_taken": "the receiver of traces does not take them: they are kept, as far as there is room",
    "traces_taken_again": "the receiver of traces takes them again",
    "spans_dropped": "spans are dropped, and counted until the receiver takes them again",
    "spans_lost": "the service ended with spans that the receiver has not taken",
    "traces_error": "unexpected error: the spans that waited are dropped",
    # the inner runner, on a host
    "spans_not_sent": "the spans of the run on this host were not sent",
    "inner_error": "unexpected error",
}
"""By name; an event of another's executor stands as it was logged."""


FACTS = ("job", "runner", "phase", "host", "flavor", "tenant")
"""By these a line is found where lines have fields: in a journal, at a receiver of syslog."""


def facts_of(event: Mapping[str, Any]) -> Mapping[str, str]:
    """Those of them that the event has."""
    return {name: str(event[name]) for name in FACTS if event.get(name) is not None}


def worded(_logger: object, _method: str, event: EventDict) -> EventDict:
    """As a processor: the sentence instead of the name."""
    event["event"] = SENTENCES.get(str(event.get("event")), event.get("event"))
    return event
