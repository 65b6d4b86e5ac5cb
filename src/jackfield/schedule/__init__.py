"""Which devices of which host an instance gets: decided exactly, on a snapshot, as a value.

    pool ─▶ match ─▶ fit ─▶ allocate ─▶ Placement | NoFit (in words: explain) | BoundHit

Nothing here claims a device: two decisions on one snapshot may agree, and the store lets one of them win.
"""
