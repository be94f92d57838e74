"""Several steps on each item, in order: a note, then a tag, then close."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Self

from intercom_bulk.errors import UsageError
from intercom_bulk.updaters.base import IntercomBulkUpdater
from intercom_bulk.updaters.conversations import ConversationUpdater
from intercom_bulk.updaters.running.stepping import effect_from, step_names
from intercom_bulk.updaters.threads import plain_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from intercom_bulk.runs.model import Effect

__all__ = ["Step", "Steps"]


@dataclass(frozen=True)
class Step:
    """One step: the updater that does it (its class, or "module:Class"), what that is made with, and its name."""

    updater: type[IntercomBulkUpdater] | str
    keywords: Mapping[str, Any] = field(default_factory=dict)
    name: str | None = None

    def make(self, owner: IntercomBulkUpdater, **connection: Any) -> IntercomBulkUpdater:
        """The updater, with the connection of `owner`. Raises `UsageError` where it cannot be a step."""
        kind = self._kind()
        if issubclass(kind, Steps):
            raise UsageError("A step cannot be Steps itself: write its steps among the others.")
        made = kind(**self.keywords, **connection)
        where, here = made.get_search_endpoint(), owner.get_search_endpoint()
        if where != here:
            raise UsageError(f"{kind.__name__} works on {where}, and the steps on {here}: only one kind of items goes.")
        made.belong_to(owner, self.name)
        return made

    def _kind(self) -> type[IntercomBulkUpdater]:
        if not isinstance(self.updater, str):
            found: object = self.updater
        else:
            found = _named(self.updater)
        if not (isinstance(found, type) and issubclass(found, IntercomBulkUpdater)):
            raise UsageError(f"A step needs the class of an updater, not {self.updater!r}.")
        return found


def _named(where: str) -> object:
    module, _, path = where.partition(":")
    try:
        found: object = import_module(module)
        for name in path.split("."):
            found = getattr(found, name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(f"The step {where} cannot be imported ({error}): its class has to be in a module.") from error
    return found


def _refuse_same_words(updaters: Iterable[IntercomBulkUpdater]) -> None:
    """Whether words were written is told by finding them: twice the same could not be told from once."""
    said = [(type(one), plain_text(str(vars(one).get("body", "")))) for one in updaters if one.appends]
    if len(set(said)) < len(said):
        raise UsageError("Two of the steps write the same words: after a lost answer nobody could tell which is there.")


class Steps(ConversationUpdater):
    """Does several things to each conversation, one after another: `Steps(note("Swept."), tag("stale"), close())`.

    Each step is on record by itself: a run that was cut short goes on with the next one, an undo takes them back from
    the last to the first, and an item fails at its step. What a step would leave alone is known before the first one
    writes. A step whose change is there already needs no request.
    """

    def __init__(self, *steps: Step, **connection: Any) -> None:
        super().__init__(**connection)
        if not steps or not all(isinstance(step, Step) for step in steps):
            raise UsageError(
                "Steps(...) takes one or more steps, such as those of intercom_bulk.steps: tag(...), close()."
            )
        self.step_updaters = tuple(step.make(self, settings=self._settings) for step in steps)
        _refuse_same_words(self.step_updaters)
        self.made_with["steps"] = [
            {
                "updater": f"{type(one).__module__}:{type(one).__qualname__}",
                "keywords": one.made_with,
                "name": one.step_name,
            }
            for one in self.step_updaters
        ]
        self.appends = any(one.appends for one in self.step_updaters)
        told = zip(step_names(self.step_updaters), self.step_updaters, strict=True)
        self.irreversible = " ".join(f"{name}: {one.irreversible}" for name, one in told if one.irreversible) or None

    @classmethod
    def remade(cls, made_with: Mapping[str, Any]) -> Self:
        """Its steps are in the record by the names of their classes."""
        steps = [Step(**said) for said in made_with["steps"]]
        return cls(*steps, **{name: value for name, value in made_with.items() if name != "steps"})

    @property
    def restores(self) -> bool:
        """Whether any of the steps can be taken back."""
        return any(one.restores for one in self.step_updaters)

    def prepare(self) -> None:
        super().prepare()
        for one in self.step_updaters:
            one.prepare()

    def perform_action(self, item_id: str) -> None:
        """All the steps at once, on no record. A run takes them one by one."""
        for one in self.step_updaters:
            one.perform_action(item_id)

    def effect(self, item: dict[str, Any]) -> Effect:
        return effect_from(self.step_updaters, item)

    def should_process(self, item: dict[str, Any]) -> bool:
        return all(one.should_process(item) for one in self.step_updaters)

    def side_effects(self, item: dict[str, Any]) -> Iterable[str]:
        """Those of every step, on the item as the steps before leave it."""
        for one in self.step_updaters:
            yield from one.side_effects(item)
            item = one.as_left(item)
