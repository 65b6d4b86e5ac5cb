from __future__ import annotations

import pytest

from jackfield.model.claim import ClaimState, may_become


@pytest.mark.behaviour(38)
def test_every_way_out_of_a_claim_leads_through_releasing():
    assert {(now, then) for now in ClaimState for then in ClaimState if may_become(now, then)} == {
        (ClaimState.HELD, ClaimState.ACTIVE),
        (ClaimState.HELD, ClaimState.RELEASING),
        (ClaimState.ACTIVE, ClaimState.RELEASING),
        (ClaimState.RELEASING, ClaimState.RELEASED),
    }
