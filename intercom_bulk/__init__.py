"""Bulk operations on Intercom workspaces: paced to the API's own limit, accounted for item by item."""

from intercom_bulk.api.pages import Endpoint
from intercom_bulk.display import ProgressLine
from intercom_bulk.errors import (
    ApiError,
    Gone,
    IntercomBulkError,
    ItemIdError,
    LeftAlone,
    QueryError,
    RateLimited,
    Rejected,
    SearchError,
    SearchLoop,
    SearchUnordered,
    SettingsError,
    Stopped,
    Transient,
    Unauthorized,
    UnknownNameError,
    UsageError,
)
from intercom_bulk.runs.exclude import Exclude
from intercom_bulk.runs.model import Effect, Outcome, Progress, RunOptions, RunState, Status, Summary
from intercom_bulk.runs.plan import PlanFile
from intercom_bulk.runs.preview import Preview, PreviewItem
from intercom_bulk.runs.stream import OutcomeStream
from intercom_bulk.settings import Settings
from intercom_bulk.updaters.base import IntercomBulkUpdater
from intercom_bulk.updaters.compat import bulk_close, bulk_close_hybrid, bulk_close_maximal
from intercom_bulk.updaters.conversations import (
    ConversationCloser,
    ConversationUpdater,
    CustomAttributeUpdater,
    StateChanger,
    TagAssigner,
)

__all__ = [
    "ApiError",
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
    "LeftAlone",
    "Outcome",
    "OutcomeStream",
    "PlanFile",
    "Preview",
    "PreviewItem",
    "Progress",
    "ProgressLine",
    "QueryError",
    "RateLimited",
    "Rejected",
    "RunOptions",
    "RunState",
    "SearchError",
    "SearchLoop",
    "SearchUnordered",
    "Settings",
    "SettingsError",
    "StateChanger",
    "Status",
    "Stopped",
    "Summary",
    "TagAssigner",
    "Transient",
    "Unauthorized",
    "UnknownNameError",
    "UsageError",
    "bulk_close",
    "bulk_close_hybrid",
    "bulk_close_maximal",
]
