"""Live migration as decisions: which strategy, which plan, which next move.

Pure: the service carries the moves out in the database, the agents on their hosts.
"""
