"""The errors of launchers, below everything that raises or catches them."""


class SubmissionError(RuntimeError):
    """A job was refused; nothing of it is queued."""
