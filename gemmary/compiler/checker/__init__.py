"""The static checker: proves from the encoded stream that no order of the engines deadlocks or changes a result (docs/checker.md)."""

from .finding import Finding
from .program import CheckError, check_program, check_stream, require_legal

__all__ = ["CheckError", "Finding", "check_program", "check_stream", "require_legal"]
