"""A world without hardware in which the real code of both shells runs: hosts, clock, ids, faults, checks.

Public: users may test with it too. What is simulated is the host and the time, never a decision.
"""
