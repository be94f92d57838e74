"""Bulk operations on Intercom workspaces: paced to the API's own limit, accounted for item by item.

The names are loaded when they are first used: whoever asks the command line for help does not wait for what sends
requests. `__init__.pyi` beside this file tells the same to type checkers.
"""

from __future__ import annotations

from importlib import import_module

_ROOMS = {
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
    "mirror.search": ("Mirror",),
    "mirror.store": ("MirrorStore", "open_mirror"),
    "runs.exclude": ("Exclude",),
    "runs.handle": ("Run",),
    "runs.model": ("Effect", "Outcome", "Progress", "RunOptions", "RunState", "Status", "Summary"),
    "runs.plan": ("PlanFile",),
    "runs.preview": ("Preview", "PreviewItem"),
    "runs.record": ("RunRecord",),
    "runs.stream": ("OutcomeStream",),
    "settings": ("Settings",),
    "updaters.assigning": ("Assigner",),
    "updaters.base": ("IntercomBulkUpdater",),
    "updaters.compat": ("bulk_close", "bulk_close_hybrid", "bulk_close_maximal"),
    "updaters.conversations": (
        "ConversationCloser",
        "ConversationUpdater",
        "CustomAttributeUpdater",
        "StateChanger",
        "TagAssigner",
    ),
    "updaters.details": ("ReadMarker", "TitleSetter", "Untagger"),
    "updaters.history": ("Runs", "StoredRun"),
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
