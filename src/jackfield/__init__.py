"""Jackfield gives virtual machines their own piece of a network card and keeps it when they move."""
