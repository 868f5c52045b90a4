"""What the books say afterwards."""

import asyncio
from datetime import timedelta

import pytest

from paas_runner.sandbox.cloud import CloudRefusedError
from paas_runner.testing.virtual_time import EPOCH, run_virtual
from tests.support.clouds import FILES, OTHER_TOKEN, TOKEN, Program, new_application, virtual_cloud


def test_every_application_ever_created_is_remembered() -> None:
    async def story() -> None:
        cloud, organisation = virtual_cloud(Program())
        first = new_application(cloud, organisation, name="hpd-job-a-1")
        await asyncio.sleep(10)
        second = new_application(cloud, organisation, name="hpd-job-a-1")
        await cloud.delete(organisation.id, first.id, by=OTHER_TOKEN)
        entry = cloud.ledger.entry(first.id)
        assert (entry.created_at, entry.deleted_at) == (EPOCH, EPOCH + timedelta(seconds=10))
        assert (entry.name, entry.flavor, entry.created_by) == ("hpd-job-a-1", "heptapod-runner-M", TOKEN)
        assert [each.app_id for each in cloud.ledger.alive] == [second.id]
        assert [each.app_id for each in cloud.ledger.created] == [first.id, second.id]
        assert len(cloud.ledger.named("hpd-job-a-1")) == 2
        assert [(call.verb, call.by) for call in cloud.ledger.calls] == [
            ("create", TOKEN),
            ("create", TOKEN),
            ("delete", OTHER_TOKEN),
        ]

    run_virtual(story())


def test_pushes_launches_and_repeated_deletions_are_counted() -> None:
    async def story() -> None:
        cloud, organisation = virtual_cloud(Program(seconds=5))
        app = new_application(cloud, organisation)
        cloud.received_push(app.id, "c1", FILES)
        await asyncio.sleep(10)
        cloud.received_push(app.id, "c2", FILES)
        await asyncio.sleep(10)
        await cloud.delete(organisation.id, app.id)
        with pytest.raises(CloudRefusedError):
            await cloud.delete(organisation.id, app.id)
        entry = cloud.ledger.entry(app.id)
        assert (entry.pushes, entry.launches, entry.deletions) == (2, 2, 2)
        assert cloud.ledger.billed == timedelta(seconds=10)

    run_virtual(story())


def test_another_organisation_cannot_close_an_application_s_books() -> None:
    async def story() -> None:
        cloud, organisation = virtual_cloud(Program())
        other = cloud.add_organisation("Other", OTHER_TOKEN)
        app = new_application(cloud, organisation)
        with pytest.raises(CloudRefusedError):
            await cloud.delete(other.id, app.id)
        assert cloud.ledger.entry(app.id).alive
        assert cloud.ledger.entry(app.id).deletions == 0

    run_virtual(story())


def test_the_books_hide_tokens() -> None:
    async def story() -> None:
        cloud, organisation = virtual_cloud(Program())
        new_application(cloud, organisation, env={"SECRET": "canary-value"})
        shown = repr(
            (cloud.ledger.created, cloud.ledger.calls, organisation, cloud.applications(organisation.id))
        )
        assert "canary" not in shown

    run_virtual(story())
