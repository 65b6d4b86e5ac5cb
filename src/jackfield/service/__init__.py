"""One function for each use case, over one transaction. The control side's decisions become rows here.

Never talks to a host: what an agent must do stands in its desired state, what it did in its report.
"""
