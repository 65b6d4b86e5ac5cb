"""The JSON of the HTTP interface, version 1: one file per noun, to and from the model.

A shape says how a noun is written for others to read; what the noun means stays in the model. Nothing
here decides, stores or sends anything.
"""
