"""One phase over the conversations of a range, as a run of the engine: a source over the mirror, an action that
processes and stores, a gate.

What is stored is the truth, and the ledger tells of it: results and the checkpoint that says so are one transaction,
and an item is done once that is on the disk. A life that dies loses the batch that was in its hands, and nothing else.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from intercom_bulk.api.pace import Budget
from intercom_bulk.errors import ApiError, LedgerError, LeftAlone, RateLimited, Stopped
from intercom_bulk.insights.phase import Phase
from intercom_bulk.pipeline.book import packed
from intercom_bulk.runs.model import Item, Page, Receipt, Slice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from intercom_bulk.api.governor import Governor
    from intercom_bulk.insights.phase import Document, Result
    from intercom_bulk.pipeline.book import PhaseProgress, Said
    from intercom_bulk.pipeline.corpus import MirrorCorpus

__all__ = ["OneByOne", "PhaseAction", "PhaseSource"]

PAGE = 1000
"""About as many items are looked at together."""
HOPELESS = 50
"""So many failures, and not one result: the phase is at fault, not its items."""
REFUSALS = 20
"""How often a call that is told to wait is sent again."""
_KEY = "items"


class OneByOne:
    """The gate of a phase that works here: one batch at a time, and no pace."""

    requests = 0
    rate_limited = 0

    def concurrency(self) -> int:
        return 1

    def budget(self) -> Budget:
        return Budget(None, None, 0, 0.0, waiting=False, window_ends_in=None)

    def set_backlog(self, key: object, calls: int | None) -> None:
        del key, calls


class PhaseSource:
    """The items whose stored result is missing, or of another input, or by another version of the phase. The others are
    counted: `skip` hears how many. `vanish` hears, at the end, what has results and is no item any more.
    """

    repeatable = False

    def __init__(
        self,
        phase: Phase,
        corpus: MirrorCorpus,
        *,
        run_id: int,
        skip: Callable[[int, int], None],
        vanish: Callable[[list[str]], None],
    ) -> None:
        self._phase = phase
        self._corpus = corpus
        self._run_id = run_id
        self._skip = skip
        self._vanish = vanish
        self._is_plain = type(phase).items is Phase.items
        self._own: Iterator[Document] | None = None
        self._met: set[str] = set()
        self._page = max(1, round(PAGE / phase.batch_size)) * phase.batch_size
        self.held: dict[str, Document] = {}
        """Documents that the phase made up, until they are worked on."""

    def open(self) -> Sequence[Slice]:
        self._own, self._met = None, set()
        return [Slice(_KEY)]

    def read(self, part: Slice) -> Page:
        return self._read_plain(part) if self._is_plain else self._read_own(part)

    def split(self, part: Slice) -> None:
        """Never."""

    def documents(self, ids: Sequence[str]) -> list[Document]:
        """What there is of these, in their order."""
        if self._is_plain:
            return self._corpus.read(ids)
        missing = {item_id for item_id in ids if item_id not in self.held}
        if missing:  # an earlier life has listed them
            self.held.update((one.id, one) for one in self._phase.items(self._corpus) if one.id in missing)
        return [self.held[item_id] for item_id in ids if item_id in self.held]

    def _read_plain(self, part: Slice) -> Page:
        listed = self._corpus.listed(self._phase.name, part.cursor or "", self._page)
        due = [one.id for one in listed if (one.input_version, one.phase_version) != (one.version, self._phase.version)]
        waiting = set(due)
        self._skip(len(listed) - len(due), sum(one.run_id == self._run_id for one in listed if one.id not in waiting))
        after = listed[-1].id if listed else part.cursor
        return _page(part, due, cursor=after, is_last=len(listed) < self._page, total=len(self._corpus))

    def _read_own(self, part: Slice) -> Page:
        if self._own is None:
            self._own = iter(self._phase.items(self._corpus))
        listed: list[Document] = []
        for one in self._own:
            listed.append(one)
            if len(listed) == self._page:
                break
        known = self._corpus.stored_versions(self._phase.name, [one.id for one in listed])
        due = [one for one in listed if known.get(one.id, ())[:2] != (one.version, self._phase.version)]
        waiting = {one.id for one in due}
        mine = sum(one.id not in waiting and known[one.id][2] == self._run_id for one in listed)
        self._skip(len(listed) - len(due), mine)
        self._met.update(one.id for one in listed)
        self.held.update((one.id, one) for one in due)
        is_last = len(listed) < self._page
        if is_last:
            self._vanish(self._corpus.stray(self._phase.name, self._met))
        return _page(part, [one.id for one in due], cursor=str(len(self._met)), is_last=is_last)


def _page(part: Slice, ids: Sequence[str], *, cursor: str | None, is_last: bool, total: int | None = None) -> Page:
    after = replace(part, cursor=cursor, pages=part.pages + 1, done=is_last)
    return Page([Item(item_id) for item_id in ids], after, total)


class PhaseAction:
    """Has a batch processed and stores what comes of it. `keep` stores results, with so many failures beside them, in
    one transaction with the checkpoint. `governor` paces a phase that calls something with a limit; without one, the
    engine sends one batch at a time.
    """

    steps: Sequence[str] = ()

    def __init__(
        self,
        phase: Phase,
        corpus: MirrorCorpus,
        source: PhaseSource,
        keep: Callable[[Sequence[Said], int], PhaseProgress],
        governor: Governor | None = None,
    ) -> None:
        self._phase = phase
        self._corpus = corpus
        self._source = source
        self._keep = keep
        self._governor = governor
        self.max_batch = phase.batch_size

    def is_idempotent(self, item: Item) -> bool:
        del item
        return True

    def prepare(self) -> None:
        """Nothing: the phase was fit before."""

    def effect(self, item: Item) -> None:
        del item

    def already_done(self, item: Item) -> bool:
        """Whether its result was stored by a life that died before it could say so."""
        (document,) = self._source.documents([item.id]) or (None,)
        if document is None:
            return True  # it is no item any more
        known = self._corpus.stored_versions(self._phase.name, [item.id])
        return known.get(item.id, ())[:2] == (document.version, self._phase.version)

    def perform(self, batch: Sequence[Item]) -> Sequence[Receipt | Exception]:
        documents = self._source.documents([item.id for item in batch])
        answers = dict(zip((one.id for one in documents), self._answers(documents), strict=True))
        said: list[Said] = []
        came: dict[str, Receipt | Exception] = {}
        for one in documents:
            answer = answers[one.id]
            try:
                if not isinstance(answer, Exception):
                    said.append(packed(one.id, one.version, self._phase.version, answer))
                came[one.id] = answer if isinstance(answer, Exception) else Receipt()
            except (TypeError, ValueError) as error:
                came[one.id] = error
        failures = [answer for answer in came.values() if isinstance(answer, Exception)]
        stands = self._keep(said, len(failures))
        for one in documents:
            self._source.held.pop(one.id, None)
        if failures and not stands.stored and stands.failed >= HOPELESS:
            last = failures[-1]
            raise LedgerError(
                f"All of the first {stands.failed:,} items failed in {self._phase.name}, the last one with"
                f" {type(last).__name__}: {last}: mend the phase, then resume."
            )
        return [came.get(item.id) or _gone(item) for item in batch]

    def _answers(self, documents: Sequence[Document]) -> Sequence[Result | Exception]:
        """A document that makes `process()` fail takes none of the others with it."""
        if not documents:
            return []
        try:
            answers = list(self._called(documents))
            if len(answers) != len(documents):
                raise ValueError(
                    f"{len(answers)} results came of {len(documents)} documents: one each is due, in order"
                )
        except (Stopped, LedgerError, RateLimited):
            raise
        except Exception as error:  # noqa: BLE001  somebody's own code: the failure of its items
            if len(documents) == 1 or isinstance(error, ApiError):
                return [error] * len(documents)
            half = len(documents) // 2
            return [*self._answers(documents[:half]), *self._answers(documents[half:])]
        return answers

    def _called(self, documents: Sequence[Document]) -> Sequence[Result | Exception]:
        if self._governor is None:
            return self._phase.process(documents)
        for _ in range(REFUSALS):
            call = self._governor.acquire()
            try:
                answers = self._phase.process(documents)
            except RateLimited as error:
                self._governor.refused(call, None, retry_after=error.retry_after)
                last = error
            except BaseException:
                self._governor.lost(call)
                raise
            else:
                self._governor.answered(call, None)
                return answers
        raise last


def _gone(item: Item) -> Exception:
    return LeftAlone(f"{item.id} was deleted, or is no item of this phase any more.", code="deleted")
