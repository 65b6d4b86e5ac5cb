"""The saga's decisions, one sentence each. The whole of it under crashes is in tests/property."""

from datetime import timedelta

import pytest
from build import NOON, migration

from jackfield.migrate.saga import (
    Advance,
    Alarm,
    Facts,
    Finish,
    RemoveSource,
    RequestAbort,
    Sighting,
    TurnBack,
    Wait,
    next_move,
)
from jackfield.model.attachment import (
    AttachmentReport,
    AttachmentState,
    DomainState,
    OrderReport,
    OrderState,
)
from jackfield.model.migration import Direction, MigrationState, StepName

LATE = NOON + timedelta(hours=1)


def seen(state: DomainState = DomainState.RUNNING, *, has_job=False, is_fresh=True) -> Sighting:
    return Sighting(state=state, has_job=has_job, is_fresh=is_fresh)


def facts(**given) -> Facts:
    return Facts(
        **{
            "now": NOON,
            "source": seen(),
            "target": seen(DomainState.ABSENT),
            "attachments": (),
            "order": None,
            "target_is_released": False,
            "source_is_released": False,
            **given,
        }
    )


def said(state: AttachmentState, problem: str | None = None) -> AttachmentReport:
    return AttachmentReport(claim_id="c2", generation=1, state=state, problem=problem)


def order(state: OrderState, error: str | None = None) -> OrderReport:
    return OrderReport(id="m1", generation=1, state=state, error=error)


@pytest.mark.behaviour(55)
def test_nothing_moves_before_every_device_of_the_target_is_prepared():
    ready = said(AttachmentState.PREPARED)
    assert isinstance(next_move(migration(), facts(attachments=(ready, None))), Wait)
    assert isinstance(next_move(migration(), facts(attachments=(said(AttachmentState.PENDING),))), Wait)
    assert next_move(migration(), facts(attachments=(ready, ready))) == Advance(StepName.BIND)


def test_a_device_that_cannot_be_prepared_turns_the_move_back_with_its_reason():
    failed = said(AttachmentState.FAILED, "no netdev")
    move = next_move(migration(), facts(attachments=(None, failed)))
    assert move == TurnBack("b could not prepare a device: no netdev")


@pytest.mark.parametrize("position", [StepName.PREPARE, StepName.BIND])
def test_an_abort_a_deadline_or_a_guest_that_ended_turn_back_before_the_pivot(position):
    row = migration(position=position)
    assert next_move(migration(position=position, abort_requested=True), facts()) == TurnBack(
        "aborted on request"
    )
    assert isinstance(next_move(row, facts(now=LATE)), TurnBack)
    assert next_move(row, facts(source=seen(DomainState.SHUTOFF))) == TurnBack("the guest is shutoff on a")


def test_bound_ports_let_the_guest_move():
    assert next_move(migration(position=StepName.BIND), facts()) == Advance(StepName.MIGRATE)


@pytest.mark.behaviour(61)
def test_every_end_of_the_order_leads_to_a_survey_never_to_belief():
    row = migration(position=StepName.MIGRATE)
    for state in (OrderState.SUCCEEDED, OrderState.FAILED, OrderState.UNKNOWN):
        assert next_move(row, facts(order=order(state))) == Advance(StepName.SURVEY)
    assert isinstance(next_move(row, facts(order=order(OrderState.RUNNING))), Wait)
    assert isinstance(next_move(row, facts()), Wait)


def test_a_move_that_outlasts_its_deadline_is_aborted_once():
    row = migration(position=StepName.MIGRATE)
    assert isinstance(next_move(row, facts(now=LATE)), RequestAbort)
    asked = migration(position=StepName.MIGRATE, abort_requested=True)
    assert isinstance(next_move(asked, facts(now=LATE)), Wait)


SURVEY = migration(position=StepName.SURVEY)
OFF = (DomainState.ABSENT, DomainState.SHUTOFF, DomainState.CRASHED)


def test_a_survey_waits_for_both_hosts_and_for_libvirt_to_be_done():
    assert isinstance(next_move(SURVEY, facts(source=seen(is_fresh=False))), Wait)
    assert isinstance(next_move(SURVEY, facts(target=seen(is_fresh=False))), Wait)
    assert isinstance(next_move(SURVEY, facts(source=seen(has_job=True))), Wait)


def test_a_guest_that_runs_on_the_target_alone_is_activated_there():
    there = facts(source=seen(DomainState.ABSENT), target=seen())
    assert next_move(SURVEY, there) == Advance(StepName.ACTIVATE)


@pytest.mark.parametrize("state", [DomainState.PAUSED, DomainState.SHUTOFF, DomainState.CRASHED])
def test_a_copy_left_on_the_source_is_removed_before_the_change_over(state):
    assert next_move(SURVEY, facts(source=seen(state), target=seen())) == RemoveSource()


@pytest.mark.behaviour(61)
def test_a_guest_that_runs_on_both_hosts_raises_an_alarm_and_nothing_is_touched():
    assert isinstance(next_move(SURVEY, facts(target=seen())), Alarm)


@pytest.mark.parametrize("state", [*OFF, DomainState.PAUSED])
def test_a_guest_that_still_runs_on_the_source_stays_there(state):
    row = migration(position=StepName.SURVEY, error="connection reset")
    assert next_move(row, facts(target=seen(state))) == TurnBack("connection reset")


@pytest.mark.parametrize("state", [*OFF, DomainState.PAUSED])
def test_a_guest_paused_on_the_source_runs_on_there(state):
    move = next_move(SURVEY, facts(source=seen(DomainState.PAUSED), target=seen(state)))
    assert isinstance(move, TurnBack) and move.resume_source


@pytest.mark.parametrize("state", OFF)
def test_a_guest_that_ended_on_the_way_is_no_success(state):
    move = next_move(SURVEY, facts(source=seen(state), target=seen(DomainState.ABSENT)))
    assert isinstance(move, TurnBack) and "ended on the way" in move.why
    only_copy = facts(source=seen(state), target=seen(DomainState.PAUSED))
    assert isinstance(next_move(SURVEY, only_copy), Alarm)


def test_after_the_change_over_the_move_ends_when_the_source_proved_release():
    assert next_move(migration(position=StepName.ACTIVATE), facts()) == Advance(StepName.RELEASE_SOURCE)
    row = migration(position=StepName.RELEASE_SOURCE)
    assert isinstance(next_move(row, facts()), Wait)
    assert next_move(row, facts(source_is_released=True)) == Finish(MigrationState.DONE)
    late = next_move(row, facts(now=LATE))
    assert isinstance(late, Finish) and late.state is MigrationState.DONE and late.note


def test_the_way_back_ends_when_the_target_proved_release_and_the_guest_runs():
    back = migration(direction=Direction.BACK)
    assert isinstance(next_move(back, facts()), Wait)
    assert next_move(back, facts(target_is_released=True)) == Finish(MigrationState.FAILED)
    aborted = migration(direction=Direction.BACK, abort_requested=True)
    assert next_move(aborted, facts(target_is_released=True)) == Finish(MigrationState.ABORTED)
    late = next_move(back, facts(now=LATE))
    assert isinstance(late, Finish) and late.note
    paused = migration(direction=Direction.BACK, resume_source=True)
    still = facts(target_is_released=True, source=seen(DomainState.PAUSED))
    assert next_move(paused, still) == Wait("a lets the guest run on")
    assert next_move(paused, facts(target_is_released=True)) == Finish(MigrationState.FAILED)


def test_a_move_that_ended_stays_ended():
    assert isinstance(next_move(migration(state=MigrationState.DONE), facts()), Wait)
