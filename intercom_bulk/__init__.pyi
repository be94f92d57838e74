"""What type checkers see of the public door; `__init__.py` loads the same names when they are first used."""

from intercom_bulk.api.language.compile import Compiled, compile_query
from intercom_bulk.api.language.expression import Expression, Q
from intercom_bulk.api.language.literals import days_ago, hours_ago
from intercom_bulk.api.language.text import parse_query
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
    NoResumableRun,
    PipelineBusy,
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
from intercom_bulk.insights.builtin import builtin_phases
from intercom_bulk.insights.labels import by_attribute, by_tag
from intercom_bulk.insights.phase import Document, Message, Phase
from intercom_bulk.mirror.backfill import Backfill
from intercom_bulk.mirror.fetching.report import SyncReport
from intercom_bulk.mirror.keeping.store import MirrorStore, open_mirror
from intercom_bulk.mirror.live import ConnectedMirror, connect_mirror
from intercom_bulk.mirror.picking import Picked
from intercom_bulk.mirror.repair import Repair
from intercom_bulk.mirror.search import Mirror
from intercom_bulk.mirror.status import BackfillStatus
from intercom_bulk.mirror.syncing import IncrementalSync, SyncRun
from intercom_bulk.mirror.verify import Checked
from intercom_bulk.pipeline.pipeline import Pipeline, PipelineRun
from intercom_bulk.pipeline.status import PipelineStatus
from intercom_bulk.runs.exclude import Exclude
from intercom_bulk.runs.handle import Run
from intercom_bulk.runs.ids import Ids
from intercom_bulk.runs.model import Effect, Outcome, RunState, Status, StepRecord
from intercom_bulk.runs.options import RunOptions
from intercom_bulk.runs.plan import PlanFile
from intercom_bulk.runs.preview import Preview, PreviewItem
from intercom_bulk.runs.record import RunRecord
from intercom_bulk.runs.stream import OutcomeStream
from intercom_bulk.runs.summary import Progress, Summary
from intercom_bulk.settings import Settings
from intercom_bulk.updaters.assigning import Assigner
from intercom_bulk.updaters.attributes import CustomAttributeUpdater
from intercom_bulk.updaters.base import IntercomBulkUpdater
from intercom_bulk.updaters.companies import CompanyDeleter, CompanyEditor, CompanyUpdater
from intercom_bulk.updaters.compat import bulk_close, bulk_close_hybrid, bulk_close_maximal
from intercom_bulk.updaters.composite import Step, Steps
from intercom_bulk.updaters.contacts import (
    ContactArchiver,
    ContactBlocker,
    ContactDeleter,
    ContactEditor,
    ContactUnarchiver,
    ContactUpdater,
)
from intercom_bulk.updaters.conversations import ConversationCloser, ConversationUpdater, StateChanger
from intercom_bulk.updaters.converting import TicketConverter
from intercom_bulk.updaters.details import ReadMarker, TitleSetter
from intercom_bulk.updaters.history import Runs, StoredRun
from intercom_bulk.updaters.memberships import CompanyAttacher, CompanyDetacher
from intercom_bulk.updaters.participants import ContactAttacher, ContactDetacher
from intercom_bulk.updaters.removal import ConversationDeleter, ConversationRedactor, TicketDeleter
from intercom_bulk.updaters.subscriptions import Subscriber, Unsubscriber
from intercom_bulk.updaters.tags import TagAssigner, Untagger
from intercom_bulk.updaters.tickets import (
    TicketAssigner,
    TicketAttributeSetter,
    TicketCloser,
    TicketOpener,
    TicketSnoozer,
    TicketStateSetter,
    TicketUpdater,
)
from intercom_bulk.updaters.words import NoteAdder, Replier

__all__ = [
    "ApiError",
    "Assigner",
    "Backfill",
    "BackfillStatus",
    "ChangedSince",
    "Checked",
    "CompanyAttacher",
    "CompanyDeleter",
    "CompanyDetacher",
    "CompanyEditor",
    "CompanyUpdater",
    "Compiled",
    "ConnectedMirror",
    "ContactArchiver",
    "ContactAttacher",
    "ContactBlocker",
    "ContactDeleter",
    "ContactDetacher",
    "ContactEditor",
    "ContactUnarchiver",
    "ContactUpdater",
    "ConversationCloser",
    "ConversationDeleter",
    "ConversationRedactor",
    "ConversationUpdater",
    "CustomAttributeUpdater",
    "Document",
    "Effect",
    "Endpoint",
    "Exclude",
    "Expression",
    "Gone",
    "Ids",
    "IncrementalSync",
    "IntercomBulkError",
    "IntercomBulkUpdater",
    "ItemIdError",
    "LedgerError",
    "LeftAlone",
    "Message",
    "Mirror",
    "MirrorStore",
    "NoResumableRun",
    "NoteAdder",
    "Outcome",
    "OutcomeStream",
    "Phase",
    "Picked",
    "Pipeline",
    "PipelineBusy",
    "PipelineRun",
    "PipelineStatus",
    "PlanFile",
    "Preview",
    "PreviewItem",
    "Progress",
    "ProgressLine",
    "Q",
    "QueryError",
    "RateLimited",
    "ReadMarker",
    "Rejected",
    "Repair",
    "Replier",
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
    "Step",
    "StepRecord",
    "Steps",
    "Stopped",
    "StoredRun",
    "Subscriber",
    "Summary",
    "SyncReport",
    "SyncRun",
    "TagAssigner",
    "TicketAssigner",
    "TicketAttributeSetter",
    "TicketCloser",
    "TicketConverter",
    "TicketDeleter",
    "TicketOpener",
    "TicketSnoozer",
    "TicketStateSetter",
    "TicketUpdater",
    "TitleSetter",
    "Transient",
    "Unauthorized",
    "UnknownNameError",
    "UnknownRun",
    "Unsubscriber",
    "Untagger",
    "UsageError",
    "builtin_phases",
    "bulk_close",
    "bulk_close_hybrid",
    "bulk_close_maximal",
    "by_attribute",
    "by_tag",
    "compile_query",
    "connect_mirror",
    "days_ago",
    "hours_ago",
    "open_mirror",
    "parse_query",
]
