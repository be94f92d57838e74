"""What is about to happen, shown to somebody who may still say no."""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from intercom_bulk.cli.ending import Declined
from intercom_bulk.cli.naming import Words
from intercom_bulk.cli.screen import WIDTH, Screen, cells, clip, duration, padded, wrapped
from intercom_bulk.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

    from intercom_bulk.runs.preview import Preview, PreviewItem
    from intercom_bulk.updaters.base import IntercomBulkUpdater

__all__ = ["Question", "check_answerable", "confirm", "described", "place"]

AS_BY_HAND = "Workflows, SLAs, surveys and webhooks fire for each of them, as if a teammate did it by hand."
NAME_WIDTH = 26
MOST_REASONS = 3
LEFT_OUT = {
    "blank": "rows of the list are blank",
    "duplicate": "rows of the list repeat an id",
    "left_out": "rows of the list are settled already, by their status",
    "bad_id": "rows of the list have no usable id",
    "gone": "do not exist (any more)",
}


class Question:
    """What is asked. `word`: what has to be typed where nothing can be undone, such as "delete 312"; None: y."""

    def __init__(self, sentence: str, *, word: str | None = None) -> None:
        self.sentence = sentence
        self.word = word


def check_answerable(screen: Screen, given: argparse.Namespace, *, irreversible: bool) -> None:
    """Raises `UsageError` before any work is done for a question that nobody could answer, or is answered by half."""
    if given.yes and irreversible and not given.irreversible:
        raise UsageError("This cannot be undone: --yes alone is not enough, add --irreversible if that is meant.")
    if given.yes or getattr(given, "dry_run", False):
        return
    if not screen.can_ask:
        asked = "--yes --irreversible" if irreversible else "--yes"
        raise UsageError(
            f"Nobody can be asked here, for this is no terminal: add {asked} to do it, or --dry-run to look."
        )


def confirm(screen: Screen, given: argparse.Namespace, question: Question) -> None:
    """Returns if it is to be done. Raises `Declined`."""
    if given.yes:
        return
    try:
        agreed = _agreed(screen, question)
    except KeyboardInterrupt:
        screen.say("")
        agreed = False
    if not agreed:
        raise Declined("Nothing was changed.")


def _agreed(screen: Screen, question: Question) -> bool:
    if question.word is None:
        answer = screen.ask(f"{question.sentence} [y/N] ")
        return (answer or "").lower() in {"y", "yes"}
    answer = screen.ask(f"{question.sentence}\nIt cannot be undone. Type  {question.word}  to do it: ")
    return (answer or "").lower().split() == question.word.lower().split()


def place(updater: IntercomBulkUpdater) -> str:
    """Which workspace, where, and who: by the token, as Intercom knows it."""
    me = updater.workspace.directory.me()
    app: Mapping[str, Any] = me.get("app") or {}
    host = urlsplit(updater.base_url).hostname or ""
    region = str(app.get("region") or "").lower()
    name = app.get("name") or app.get("id_code") or "a workspace"
    return f"{name} ({', '.join(filter(None, (region, host)))}), as {me.get('name') or me.get('email') or 'its admin'}"


def described(title: str, made: IntercomBulkUpdater, label: str, found: Preview) -> Iterator[str]:
    """The preview, on a screen of 80 columns."""
    words = Words(made.workspace.directory.name)
    yield from wrapped(f"{title}: {label}", rest="  ")
    yield clip(f"  on {place(made)}")
    yield ""
    yield from _counts(found)
    if found.sample:
        yield ""
        few = f", {len(found.sample)} of {found.count:,}" if len(found.sample) < found.count else ""
        yield f"What would change{few}:"
        yield from chain.from_iterable(_shown(item, words) for item in found.sample)
    if not found.count:
        return
    yield ""
    if found.side_effects:
        for sentence, count in sorted(found.side_effects.items(), key=lambda each: -each[1]):
            yield from wrapped(sentence, first=f"{count:>9,}  ", rest=" " * 11)
    yield from wrapped(AS_BY_HAND, first=" " * 11, rest=" " * 11)
    yield ""
    yield from wrapped(_way_back(found))
    yield _cost(found)


def _counts(found: Preview) -> Iterator[str]:
    yield f"{found.count:>9,}  would be changed"
    for count, text in (
        (found.already, "already are as intended: left alone"),
        (found.filtered, "left out by the rules of this operation"),
        *((count, f"held out: {reason}") for reason, count in found.reasons.items()),
        *((count, LEFT_OUT.get(code, code)) for code, count in found.left_out.items()),
        (found.failed, "cannot be done"),
    ):
        if count:
            yield clip(f"{count:>9,}  {text}")
    for sentence, count in sorted(found.failures.items(), key=lambda each: -each[1])[:MOST_REASONS]:
        yield from wrapped(_as_typed(sentence), first=f"{count:>17,}  ", rest=" " * 19)
    if found.matched != found.count:
        yield f"{found.matched:>9,}  in all"


def _as_typed(sentence: str) -> str:
    """What the library calls `reopen=True` is an option here."""
    return re.sub(r"\b(\w+)=True\b", lambda found: f"--{found[1].replace('_', '-')}", sentence)


def _shown(item: PreviewItem, words: Words) -> list[str]:
    """On one line where there is room, else with the changes below: they are what is agreed to."""
    name = f"{padded(clip(item.name, NAME_WIDTH), NAME_WIDTH)}  " if item.name else ""
    told = words.changes(item.before or {}, item.after or {})
    line = f"  {item.id}  {name}{told}".rstrip()
    if cells(line) <= WIDTH:
        return [line]
    return [clip(f"  {item.id}  {item.name or ''}".rstrip()), *wrapped(told, first=" " * 6, rest=" " * 6)]


def _way_back(found: Preview) -> str:
    if found.irreversible is not None:
        return f"WHAT CANNOT BE UNDONE: {found.irreversible}"
    return "It can be undone, item by item, where nobody changes the item in between."


def _cost(found: Preview) -> str:
    if found.seconds is None:
        return f"It needs {found.calls:,} requests; how long that takes is not known yet."
    return f"It needs {found.calls:,} requests, {duration(found.seconds)} at the limit as it is now."
