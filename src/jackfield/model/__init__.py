"""The nouns of Jackfield and the rules that hold between them.

Values only: nothing here reads a file, a clock, a socket or a database.
"""
