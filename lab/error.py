"""The one exception of the laboratory."""


class LabError(Exception):
    """The laboratory cannot do what was asked; the sentence says what to change."""
