"""The command `jackfield`: one module for each noun and process, each loaded only when it is called.

Shows and asks; what is done is the server's and the agents' to decide.
"""
