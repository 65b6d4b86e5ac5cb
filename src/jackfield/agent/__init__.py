"""The host side's loop: look, decide, act, report. One agent for each host.

Never decides by itself what should run where, and never acts on an absence.
"""
