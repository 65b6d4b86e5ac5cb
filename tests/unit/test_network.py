from __future__ import annotations

import pytest

from jackfield.model.error import Rejected
from jackfield.model.network import SegmentKind, check_segment


@pytest.mark.behaviour(43)
@pytest.mark.parametrize(
    ("segment", "vlan"), [(SegmentKind.FLAT, None), (SegmentKind.VLAN, 1), (SegmentKind.VLAN, 4094)]
)
def test_a_segment_is_flat_or_has_a_vlan(segment, vlan):
    check_segment(segment, vlan)


@pytest.mark.behaviour(43)
@pytest.mark.parametrize(
    ("segment", "vlan"),
    [(SegmentKind.FLAT, 100), (SegmentKind.VLAN, None), (SegmentKind.VLAN, 0), (SegmentKind.VLAN, 4095)],
)
def test_a_vlan_that_does_not_belong_to_its_segment_is_refused(segment, vlan):
    with pytest.raises(Rejected) as refused:
        check_segment(segment, vlan)
    assert refused.value.code == "network-vlan"
