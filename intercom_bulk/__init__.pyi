"""What type checkers see of the public door; `__init__.py` loads the same names when they are first used."""

from intercom_bulk.api.pages import Endpoint
from intercom_bulk.display import ProgressLine
from intercom_bulk.errors import (
    ApiError,
    ChangedSince,
    Gone,
    IntercomBulkError,
    ItemIdError,
    LedgerError,
    LeftAlone,
    QueryError,
    RateLimited,
    Rejected,
    RunBusy,
    SearchError,
    SearchLoop,
    SearchUnordered,
    SettingsError,
    Stopped,
    Transient,
    Unauthorized,
    UnknownNameError,
    UnknownRun,
    UsageError,
)
from intercom_bulk.mirror.search import Mirror
from intercom_bulk.mirror.store import MirrorStore, open_mirror
from intercom_bulk.runs.exclude import Exclude
from intercom_bulk.runs.handle import Run
from intercom_bulk.runs.model import Effect, Outcome, Progress, RunOptions, RunState, Status, Summary
from intercom_bulk.runs.plan import PlanFile
from intercom_bulk.runs.preview import Preview, PreviewItem
from intercom_bulk.runs.record import RunRecord
from intercom_bulk.runs.stream import OutcomeStream
from intercom_bulk.settings import Settings
from intercom_bulk.updaters.assigning import Assigner
from intercom_bulk.updaters.base import IntercomBulkUpdater
from intercom_bulk.updaters.compat import bulk_close, bulk_close_hybrid, bulk_close_maximal
from intercom_bulk.updaters.conversations import (
    ConversationCloser,
    ConversationUpdater,
    CustomAttributeUpdater,
    StateChanger,
    TagAssigner,
)
from intercom_bulk.updaters.details import ReadMarker, TitleSetter, Untagger
from intercom_bulk.updaters.history import Runs, StoredRun

__all__ = [
    "ApiError",
    "Assigner",
    "ChangedSince",
    "ConversationCloser",
    "ConversationUpdater",
    "CustomAttributeUpdater",
    "Effect",
    "Endpoint",
    "Exclude",
    "Gone",
    "IntercomBulkError",
    "IntercomBulkUpdater",
    "ItemIdError",
    "LedgerError",
    "LeftAlone",
    "Mirror",
    "MirrorStore",
    "Outcome",
    "OutcomeStream",
    "PlanFile",
    "Preview",
    "PreviewItem",
    "Progress",
    "ProgressLine",
    "QueryError",
    "RateLimited",
    "ReadMarker",
    "Rejected",
    "Run",
    "RunBusy",
    "RunOptions",
    "RunRecord",
    "RunState",
    "Runs",
    "SearchError",
    "SearchLoop",
    "SearchUnordered",
    "Settings",
    "SettingsError",
    "StateChanger",
    "Status",
    "Stopped",
    "StoredRun",
    "Summary",
    "TagAssigner",
    "TitleSetter",
    "Transient",
    "Unauthorized",
    "UnknownNameError",
    "UnknownRun",
    "Untagger",
    "UsageError",
    "bulk_close",
    "bulk_close_hybrid",
    "bulk_close_maximal",
    "open_mirror",
]
