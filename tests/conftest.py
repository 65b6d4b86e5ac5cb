"""What holds for every test."""

import os

from hypothesis import settings

# In CI the examples follow from the tests alone, so that a change is judged by what it changed. Everywhere
# else they are new ones at every run: that is where a new failure is found, printed, and pinned.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")
