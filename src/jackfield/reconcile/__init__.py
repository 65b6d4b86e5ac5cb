"""Decides what a host's agent does next: what it sees, what is wanted, and the actions between the two.

Pure: nothing here touches the host; the agent carries the actions out.
"""
