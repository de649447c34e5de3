"""What says that a step is too large."""

from ...errors import InputError
from ...workloads import Step


def fit(step: Step, what: str, size: int, field: str, room: int) -> None:
    """InputError unless ``what`` of ``step``, of ``size``, fits the config's ``field``, which has ``room``."""
    if size > room:
        raise InputError(f"step {step.name!r}: {what} must fit {field}, which is {room}")
