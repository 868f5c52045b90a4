"""The push that launches a job: one commit on `master`, the same tree always as the same commit.

Author and committer are configured, the dates are fixed, so one configuration gives the same tree the same
id, whoever makes it: pushing a job again finds its own commit there and sends nothing, and another commit
there is left alone, because the host has its job already. Two ways lead to it, each a `build_context.Push`:

- `built_in`: commit and pack are made here (`objects`) and sent by two requests (`protocol`);
- `program`: the git program does it, in a `folder` of its own.

What a remote's answers mean is in `verdicts`, in the same words for both.
"""
