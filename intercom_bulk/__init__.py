"""Bulk operations on Intercom workspaces: paced to the API's own limit, accounted for item by item.

The names are loaded when they are first used: whoever asks the command line for help does not wait for what sends
requests. `__init__.pyi` beside this file tells the same to type checkers.
"""

from __future__ import annotations

from importlib import import_module

_ROOMS = {
    "api.language.compile": ("Compiled", "compile_query"),
    "api.language.expression": ("Expression", "Q"),
    "api.language.literals": ("days_ago", "hours_ago"),
    "api.language.text": ("parse_query",),
    "api.pages": ("Endpoint",),
    "display": ("ProgressLine",),
    "errors": (
        "ApiError",
        "ChangedSince",
        "Gone",
        "IntercomBulkError",
        "ItemIdError",
        "LedgerError",
        "LeftAlone",
        "NoResumableRun",
        "PipelineBusy",
        "QueryError",
        "RateLimited",
        "Rejected",
        "RunBusy",
        "SearchError",
        "SearchLoop",
        "SearchUnordered",
        "SettingsError",
        "Stopped",
        "Transient",
        "Unauthorized",
        "UnknownNameError",
        "UnknownRun",
        "UsageError",
    ),
    "insights.builtin": ("builtin_phases",),
    "insights.labels": ("by_attribute", "by_tag"),
    "insights.phase": ("Document", "Message", "Phase"),
    "mirror.backfill": ("Backfill",),
    "mirror.fetching.report": ("SyncReport",),
    "mirror.keeping.store": ("MirrorStore", "open_mirror"),
    "mirror.live": ("ConnectedMirror", "connect_mirror"),
    "mirror.picking": ("Picked",),
    "mirror.repair": ("Repair",),
    "mirror.search": ("Mirror",),
    "mirror.status": ("BackfillStatus",),
    "mirror.syncing": ("IncrementalSync", "SyncRun"),
    "mirror.verify": ("Checked",),
    "pipeline.pipeline": ("Pipeline", "PipelineRun"),
    "pipeline.status": ("PipelineStatus",),
    "runs.exclude": ("Exclude",),
    "runs.handle": ("Run",),
    "runs.ids": ("Ids",),
    "runs.model": ("Effect", "Outcome", "RunState", "Status", "StepRecord"),
    "runs.options": ("RunOptions",),
    "runs.plan": ("PlanFile",),
    "runs.preview": ("Preview", "PreviewItem"),
    "runs.record": ("RunRecord",),
    "runs.stream": ("OutcomeStream",),
    "runs.summary": ("Progress", "Summary"),
    "settings": ("Settings",),
    "updaters.assigning": ("Assigner",),
    "updaters.attributes": ("CustomAttributeUpdater",),
    "updaters.base": ("IntercomBulkUpdater",),
    "updaters.companies": ("CompanyDeleter", "CompanyEditor", "CompanyUpdater"),
    "updaters.compat": ("bulk_close", "bulk_close_hybrid", "bulk_close_maximal"),
    "updaters.composite": ("Step", "Steps"),
    "updaters.contacts": (
        "ContactArchiver",
        "ContactBlocker",
        "ContactDeleter",
        "ContactEditor",
        "ContactUnarchiver",
        "ContactUpdater",
    ),
    "updaters.conversations": ("ConversationCloser", "ConversationUpdater", "StateChanger"),
    "updaters.converting": ("TicketConverter",),
    "updaters.details": ("ReadMarker", "TitleSetter"),
    "updaters.history": ("Runs", "StoredRun"),
    "updaters.memberships": ("CompanyAttacher", "CompanyDetacher"),
    "updaters.participants": ("ContactAttacher", "ContactDetacher"),
    "updaters.removal": ("ConversationDeleter", "ConversationRedactor", "TicketDeleter"),
    "updaters.subscriptions": ("Subscriber", "Unsubscriber"),
    "updaters.tags": ("TagAssigner", "Untagger"),
    "updaters.tickets": (
        "TicketAssigner",
        "TicketAttributeSetter",
        "TicketCloser",
        "TicketOpener",
        "TicketSnoozer",
        "TicketStateSetter",
        "TicketUpdater",
    ),
    "updaters.words": ("NoteAdder", "Replier"),
}
_HOMES = {name: f"{__name__}.{room}" for room, names in _ROOMS.items() for name in names}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return __all__
