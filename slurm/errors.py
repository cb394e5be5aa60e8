"""The errors of launchers, below everything that raises or catches them."""


class SubmissionError(RuntimeError):
    """A job was refused; nothing of it is queued."""


class UnansweredError(SubmissionError):
    """The scheduler has not said whether a job was submitted: one may be queued, and must not be submitted again."""
