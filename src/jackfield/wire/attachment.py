"""The two documents between control side and agent, each whole, as the model has them.

Both are strict: an agent that met a wish it does not understand and obeyed the rest would do harm, and a
report that is understood in part is worse than none.
"""

from __future__ import annotations

from jackfield.model.attachment import DesiredState, ObservedState
from jackfield.wire.shape import Request


class Desired(Request):
    desired: DesiredState


class Observed(Request):
    observed: ObservedState
