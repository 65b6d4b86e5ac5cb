"""What is remembered: tables, one writer, and one file of functions for each noun.

Functions take a connection and values of the model and give values back; they decide nothing that a pure
module could decide, and never commit: `Store.write` does.
"""
