"""The errors that users meet: one sentence that names the thing and the fix."""


class GemmaryError(Exception):
    """A check failed (exit status 1)."""


class InputError(GemmaryError, ValueError):
    """Bad input or a missing tool (exit status 2): the message names the field and the fix."""
