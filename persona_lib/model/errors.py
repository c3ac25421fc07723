"""Pick the error to show of the many that a group of tasks may end in."""

from typing import Any, TypeGuard

from .. import UserError


def first_of(errors: BaseExceptionGroup[Any]) -> BaseException:
    """Return the error in a group that says most: a UserError if there is one, else the first."""
    singles = [e for error in errors.exceptions for e in ([first_of(error)] if _is_group(error) else [error])]
    return next((error for error in singles if isinstance(error, UserError)), singles[0])


def _is_group(error: BaseException) -> TypeGuard[BaseExceptionGroup[Any]]:
    return isinstance(error, BaseExceptionGroup)
