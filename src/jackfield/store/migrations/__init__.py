"""The schema's history, oldest first. A revision is never changed once it was released."""
