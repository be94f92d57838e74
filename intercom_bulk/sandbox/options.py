"""Every knob of the sandbox, with its default, in one place.

Shares are between 0 and 1, times are seconds unless the name says milliseconds. What Intercom's documents leave open
(`gt_inclusive`, `repeat_adds_part` ...) is a switch, so that tests can run both ways.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Self

__all__ = ["SandboxOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxOptions:
    """Immutable; `with_knobs` makes a changed copy and refuses names that do not exist."""

    # the server
    host: str = "127.0.0.1"
    port: int = 0
    certfile: str | None = None
    keyfile: str | None = None
    token: str = "sandbox-token"  # noqa: S105 - a made-up token for a made-up workspace
    admin_id: str = "780"
    team_id: str = "5017691"
    app_id: str = "sandbox1"
    region: str = "US"
    timezone: str = "UTC"

    # the population
    seed: int = 1
    conversations: int = 1000
    contacts: int = 200
    companies: int = 60
    tickets: int = 60
    days: int = 90
    share_closed: float = 0.0
    share_snoozed: float = 0.0
    share_other_team: float = 0.0
    share_tagged: float = 0.0
    share_assigned: float = 0.0
    parts: int = 1
    long_threads: int = 0
    arrivals: float = 0.0

    # time
    latency_ms: float = 0.0
    search_latency_ms: float = 0.0
    latency_sigma: float = 0.0
    effect_at: float = 0.5
    clock_skew: float = 0.0

    # the rate limit
    limit_per_minute: int = 10_000
    window_phase: float = 0.0
    count_at: float = 0.0
    count_rejected: bool = False
    remaining_before: bool = True
    rate_headers: bool = True
    retry_after: bool = False
    limit_change_at: float | None = None
    limit_change_to: int | None = None
    reject_latency_ms: float = 5.0
    cotenant_share: float = 0.0
    cotenant_bursts: bool = False

    # who may do what
    revoked: bool = False
    denied: tuple[str, ...] = ()
    denied_status: int = 403

    # what Intercom's documents leave open
    gt_inclusive: bool = False
    repeat_adds_part: bool = True
    untag_missing_404: bool = False
    tag_bumps_updated_at: bool = True
    words_wake: bool = True
    unassigned_null: bool = False
    string_assignees: float = 0.0
    next_null: bool = False
    bad_query_500: bool = False
    check_sort_order: bool = False
    tag_omits_unknown: bool = False

    # a search that misbehaves
    index_lag: float = 0.0
    ignore_sort: bool = False
    repeat_cursor: int = 0
    offset_paging: bool = False
    page_504_over: int = 0

    # the scroll over companies
    scroll_page: int = 100
    scroll_idle_s: float = 60.0

    # faults, each the share of requests it strikes
    fault_scope: str = "all"
    fault_after: int = 0
    errors_5xx: float = 0.0
    errors_5xx_statuses: tuple[int, ...] = (500, 502, 503, 504)
    errors_5xx_html: float = 0.5
    errors_5xx_after_share: float = 0.0
    resets: float = 0.0
    resets_after_share: float = 0.5
    hangs: float = 0.0
    hangs_after_share: float = 0.5
    cut_bodies: float = 0.0
    cut_headers: float = 0.0
    empty_200: float = 0.0
    html_200: float = 0.0
    html_200_after_share: float = 0.5
    html_403: float = 0.0
    plain_429: float = 0.0
    drips: float = 0.0
    drip_seconds: float = 1.0

    # items that misbehave, by a stable draw per item, or by name
    gone: float = 0.0
    gone_ids: tuple[str, ...] = ()
    poison_500: float = 0.0
    poison_500_ids: tuple[str, ...] = ()
    poison_422: float = 0.0
    poison_422_ids: tuple[str, ...] = ()

    @classmethod
    def names(cls) -> frozenset[str]:
        """The names of all knobs."""
        return frozenset(field.name for field in fields(cls))

    def with_knobs(self, **knobs: Any) -> Self:
        """A copy with some knobs changed. Lists become tuples. Unknown names raise ValueError."""
        unknown = sorted(set(knobs) - self.names())
        if unknown:
            raise ValueError(f"The sandbox has no option named {', '.join(unknown)}.")
        changes: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in knobs.items()}
        return replace(self, **changes)

    @property
    def inbox_id(self) -> str:
        """The team whose inbox the population fills."""
        return self.team_id
