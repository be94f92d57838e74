"""What a caller said: of a run, and when the updater was made. Both are kept in the run's record."""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from intercom_bulk.errors import UsageError
from intercom_bulk.runs.exclude import Exclude
from intercom_bulk.runs.inputs import Input
from intercom_bulk.runs.options import RunOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Arguments", "constructor_arguments"]

_UNRECORDED = {"self", "access_token", "settings", "args", "kwargs"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """What a caller of `stream`, `start` or `bulk_process` said. `listed`: the list of ids in place of the search."""

    workers: int | None = None
    batch_size: int = 50
    max_items: int | None = None
    timeout: float = 30.0
    dry_run: bool = False
    options: RunOptions = field(default_factory=RunOptions)
    keywords: Mapping[str, Any] = field(default_factory=dict)
    listed: Input | None = None

    def __post_init__(self) -> None:
        """Raises `UsageError` for a number that cannot be meant."""
        for name, number in (("parallel_workers", self.workers), ("batch_size", self.batch_size)):
            _check_whole(name, number)
        _check_whole("max_items", self.max_items)
        if isinstance(self.timeout, bool) or not isinstance(self.timeout, (int, float)):
            raise UsageError(f"timeout must be a number of seconds, not {self.timeout!r}.")
        if self.workers is not None and not 1 <= self.workers <= 128:
            raise UsageError(f"parallel_workers must be 1 to 128, or None for as many as needed, not {self.workers}.")
        if not 1 <= self.batch_size <= 10_000:
            raise UsageError(f"batch_size must be from 1 to 10,000, not {self.batch_size}.")
        if self.max_items is not None and self.max_items < 0:
            raise UsageError(f"max_items must be 0 or more, or None for all, not {self.max_items}.")
        if not 0 < self.timeout <= 600:
            raise UsageError(f"timeout must be more than 0 and at most 600 seconds, not {self.timeout}.")

    def to_record(self) -> dict[str, Any]:
        return {
            "keywords": dict(self.keywords),
            "workers": self.workers,
            "batch_size": self.batch_size,
            "max_items": self.max_items,
            "timeout": self.timeout,
            "exclude": self.options.exclude.to_record() if self.options.exclude is not None else None,
            "listed": self.listed.to_record() if self.listed is not None else None,
        }

    @classmethod
    def from_record(cls, parameters: Mapping[str, Any], options: RunOptions) -> Arguments:
        names = ("keywords", "workers", "batch_size", "max_items", "timeout")
        exclude = options.exclude or Exclude.from_record(parameters.get("exclude"))
        options = replace(options, exclude=exclude)
        listed = Input.from_record(parameters.get("listed"))
        known = {name: parameters[name] for name in names if name in parameters}
        return cls(options=options, listed=listed, **known)


def constructor_arguments(cls: type, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """What an updater was made with, by name, without the token; only what JSON can hold."""
    try:
        bound = inspect.signature(cls.__init__).bind(None, *args, **kwargs).arguments  # type: ignore[misc]
    except TypeError:
        return {}  # the constructor itself will say what is wrong
    flat = {**{name: value for name, value in bound.items() if name != "connection"}, **bound.get("connection", {})}
    return {name: value for name, value in flat.items() if name not in _UNRECORDED and _is_plain(value)}


def _check_whole(name: str, number: object) -> None:
    if number is not None and (isinstance(number, bool) or not isinstance(number, int)):
        raise UsageError(f"{name} must be a whole number, not {number!r}.")


def _is_plain(value: object) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True
