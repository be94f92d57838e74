"""What requests and answers look like, for whoever reads the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from intercom_bulk.operations import OPERATIONS

__all__ = [
    "Applying",
    "Asked",
    "Confirmed",
    "ErrorAnswer",
    "HealthAnswer",
    "ItemsAnswer",
    "LiveAnswer",
    "MirrorAnswer",
    "OperationAnswer",
    "PipelineActive",
    "PipelineAnswer",
    "PipelineAsked",
    "PipelineStarted",
    "PipelineStopping",
    "PlanAnswer",
    "Planning",
    "PlansAnswer",
    "RateAnswer",
    "RunAnswer",
    "RunsAnswer",
]


class _Said(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Told(BaseModel):
    model_config = ConfigDict(extra="allow")


def _whole(value: object) -> object:
    """1.0 is an integer in JSON."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


AtMost = Annotated[int, Field(ge=1, le=10_000_000), BeforeValidator(_whole)]
Number = Annotated[int, Field(ge=1, le=2**53), BeforeValidator(_whole)]
_TITLES = tuple(row.title for row in OPERATIONS)


def _known(title: str) -> str:
    if title not in _TITLES:
        raise ValueError("there is no such operation: GET /api/operations lists them")
    return title


Title = Annotated[str, AfterValidator(_known), Field(json_schema_extra={"enum": list(_TITLES)})]


class HealthAnswer(BaseModel):
    status: Literal["ok"]


class ErrorAnswer(BaseModel):
    """Every error: one sentence that says what to do."""

    error: str


class Holdouts(_Said):
    """Conversations that are left alone, whatever the search says; see `Exclude`."""

    customer_wrote_within: Annotated[float, Field(gt=0, le=5_256_000, description="minutes")] | None = None
    priority: bool = False
    sla: bool = False


class Planning(_Said):
    """What is to be done, and to which items: exactly one of `where`, `query`, `ids` and `all`."""

    operation: Title
    arguments: Annotated[dict[str, Any], Field(description="of the operation, by name")] = {}
    where: Annotated[str, Field(max_length=10_000, description="a search: state:open updated<30d")] | None = None
    query: Annotated[dict[str, Any], Field(description="Intercom's own query JSON")] | None = None
    ids: Annotated[list[Annotated[str, Field(max_length=200)]], Field(min_length=1, max_length=50_000)] | None = None
    all: Annotated[bool, Field(description="every item there is")] = False
    exclude: Holdouts | None = None
    max_items: AtMost | None = None
    reason: Annotated[str, Field(max_length=500, description="why, for the record")] | None = None


class Applying(_Said):
    irreversible: Annotated[bool, Field(description="what cannot be undone is meant")] = False
    strict: Annotated[bool, Field(description="read each item itself right before it is changed")] = False
    max_items: AtMost | None = None


class Confirmed(_Said):
    confirm: Annotated[str, Field(max_length=100, description="the run's id, or how many items it changed")]


class ProgressAnswer(_Told):
    done: int
    failed: int
    skipped: int
    unknown: int
    settled: int
    total: int | None
    in_flight: int
    rate: float
    eta: float | None
    budget_used: float | None
    limit: int | None
    elapsed: float


class RunAnswer(_Told):
    run_id: str
    operation: str
    title: str
    kind: str
    state: str
    live: bool
    here: bool
    resumable: bool
    counts: dict[str, int]
    codes: dict[str, int]
    items: int
    progress: ProgressAnswer | None
    undone_by: str | None = Field(None, description="the run that took it back, where one has")
    error: str | None


class RunsAnswer(BaseModel):
    runs: list[RunAnswer]
    next: str | None


class LiveAnswer(BaseModel):
    runs: list[RunAnswer]


class ItemAnswer(BaseModel):
    id: str
    status: str
    code: str | None
    message: str | None
    attempts: int
    at: float | None
    step: int
    request_id: str | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    link: str | None


class ItemsAnswer(BaseModel):
    run_id: str
    items: list[ItemAnswer]
    next: str | None


class Asked(BaseModel):
    run_id: str
    asked: Literal["pause", "unpause", "stop"]


class OperationAnswer(_Told):
    operation: str
    resource: str
    help: str
    irreversible: bool
    arguments: list[dict[str, Any]]


class SampleAnswer(BaseModel):
    id: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    name: str | None


class EffectAnswer(BaseModel):
    text: str
    items: int


class PlanAnswer(_Told):
    digest: str
    operation: str
    arguments: dict[str, Any]
    count: int
    matched: int
    sample: list[SampleAnswer]
    side_effects: list[EffectAnswer]
    irreversible: str | None
    state: Literal["ready", "applied", "expired", "gone"]
    run_id: str | None
    created_at: float
    expires_at: float


class PlansAnswer(BaseModel):
    plans: list[PlanAnswer]


class WindowAnswer(BaseModel):
    ends_at: int
    limit: int
    used: int
    ours: int
    others: int
    refused: int


class OpenWindow(WindowAnswer):
    ends_in: float


class RateAnswer(BaseModel):
    seconds: int
    now: OpenWindow | None
    windows: list[WindowAnswer]


class DayAnswer(BaseModel):
    day: str
    conversations: int
    covered: float
    threads: float


class MirrorAnswer(_Told):
    workspace: str
    status: dict[str, Any]
    sync_info: dict[str, Any]
    stale_seconds: float | None
    days: list[DayAnswer]
    syncs: list[dict[str, Any]]
    themes: list[dict[str, Any]]
    stories: list[dict[str, Any]]


class PipelineAsked(_Said):
    days: Annotated[float, Field(gt=0, le=36_500)] = 90
    auto_create_stories: bool = True
    resume: Annotated[bool, Field(description="go on with the newest run of today over so many days")] = False
    resume_run_id: Number | None = None


class PipelineStarted(BaseModel):
    run_id: int
    status: Literal["started"]
    message: str


class PipelineStopping(BaseModel):
    run_id: int
    status: Literal["stopping"]
    message: str


class PipelineAnswer(_Told):
    run_id: int
    status: Literal["running", "stopping", "stopped", "failed", "interrupted", "completed"]
    current_phase: str
    conversations_fetched: int
    conversations_classified: int
    conversations_stored: int
    checkpoint: dict[str, Any]
    date_from: str
    date_to: str
    resumable: bool


class PipelineActive(BaseModel):
    active: bool
    run_id: int | None
    run: PipelineAnswer | None
