"""Errors of this package."""

from __future__ import annotations


class ArtelError(Exception):
    """What the node refused or a job failed with.

    `name` tells errors apart, the same names as everywhere in Artel: SpecError, JobFailedError,
    InsufficientCreditsError, UnknownJobError, ControlError (no node answers), …
    `failure` of a JobFailedError has `name`, `message` and perhaps `stack`.
    """

    def __init__(self, name: str, message: str, *, status: int | None = None, failure: dict | None = None):
        super().__init__(f'{name}: {message}')
        self.name = name
        self.message = message
        self.status = status
        self.failure = failure


class FunctionError(TypeError):
    """A function that cannot travel; says which name it uses and what to do."""


class RemoteTraceback(Exception):
    """The cause of an exception that was raised on a worker; its text is the traceback there."""

    def __str__(self) -> str:
        return f'\n"""\n{self.args[0]}"""'
