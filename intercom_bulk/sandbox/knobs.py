"""What each knob of `SandboxOptions` does, in a sentence for --help."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SENTENCES"]

SENTENCES: Mapping[str, str] = {
    # the server
    "host": "the address to listen on",
    "port": "the port; 0: any that is free",
    "certfile": "serve TLS with this certificate",
    "keyfile": "and its key",
    "token": "the access token that is accepted",
    "admin_id": "the teammate of the token",
    "team_id": "the team whose inbox is full",
    "app_id": "the id of the workspace",
    "region": "where the workspace says it lives: US, EU, AU",
    "timezone": "the workspace's time zone: days of contact searches begin there",
    # the population
    "seed": "another number draws another workspace",
    "conversations": "how many conversations",
    "contacts": "how many contacts",
    "companies": "how many companies",
    "tickets": "how many tickets",
    "days": "over how many days they were created",
    "share_closed": "share of the conversations that is closed",
    "share_snoozed": "share of the conversations that is snoozed",
    "share_other_team": "share of the conversations in other teams' inboxes",
    "share_tagged": "share of the conversations with a tag",
    "share_assigned": "share of the conversations on a teammate's name",
    "parts": "parts that each conversation has",
    "long_threads": "conversations with 600 parts",
    "arrivals": "new conversations a second while it runs",
    # time
    "latency_ms": "milliseconds until an answer",
    "search_latency_ms": "milliseconds until the answer to a search",
    "latency_sigma": "spread of the latency: sigma of a log-normal",
    "effect_at": "when in the latency the effect happens: 0 at once, 1 at its end",
    "clock_skew": "seconds by which the server's clock is ahead",
    # the rate limit
    "limit_per_minute": "calls a minute, given out in windows of ten seconds",
    "window_phase": "seconds by which the windows are shifted",
    "count_at": "when in the latency a call is counted: 0 at once, 1 at its end",
    "count_rejected": "count calls that were refused, too",
    "remaining_before": "X-RateLimit-Remaining is that before the call",
    "rate_headers": "send X-RateLimit headers",
    "retry_after": "send Retry-After with a 429",
    "limit_change_at": "seconds after the start at which the limit changes",
    "limit_change_to": "to so many calls a minute",
    "reject_latency_ms": "milliseconds until a 429",
    "cotenant_share": "share of the limit that somebody else uses",
    "cotenant_bursts": "in bursts",
    # who may do what
    "revoked": "answer 401 to everything",
    "denied": "kinds of requests, or beginnings of paths, without permission; with commas",
    "denied_status": "the status of that answer: 403 or 401",
    # what Intercom's documents leave open
    "gt_inclusive": "> of a search finds the value itself, too",
    "repeat_adds_part": "closing what is closed adds a part",
    "untag_missing_404": "taking off a tag that is not there answers 404",
    "tag_bumps_updated_at": "a tag changes updated_at",
    "unassigned_null": "nobody is null, not 0",
    "string_assignees": "share of the conversations whose assignees are text",
    "tag_omits_unknown": "POST /tags leaves unknown ids out of its answer",
    "words_wake": "a note or a reply wakes a snoozed conversation",
    "next_null": "the last page says next: null",
    "bad_query_500": "answer 500 to a malformed query",
    "check_sort_order": "refuse sort orders that the description does not know",
    # a search that misbehaves
    "index_lag": "seconds by which the search index lags",
    "ignore_sort": "ignore the sort that was asked for",
    "repeat_cursor": "from this page on, the cursor repeats",
    "offset_paging": "cursors are offsets, so that changes shift pages",
    "scroll_page": "companies on a page of the scroll",
    "scroll_idle_s": "seconds of rest after which a scroll expires",
    "page_504_over": "answer 504 to pages of more items than this",
    # faults
    "fault_scope": "what the faults strike: all, or writes",
    "fault_after": "let so many requests pass first",
    "errors_5xx": "share of requests answered by a 5xx",
    "errors_5xx_statuses": "which ones, with commas",
    "errors_5xx_html": "share of them with an HTML page",
    "errors_5xx_after_share": "share of them after the effect",
    "resets": "share of requests whose connection is reset",
    "resets_after_share": "share of them after the effect",
    "hangs": "share of requests that are never answered",
    "hangs_after_share": "share of them after the effect",
    "cut_bodies": "share of answers whose body is cut",
    "cut_headers": "share of answers whose headers are cut",
    "empty_200": "share of answers with an empty body",
    "html_200": "share of answers with an HTML page and status 200",
    "html_200_after_share": "share of them after the effect",
    "html_403": "share of requests that a proxy refuses with a page",
    "plain_429": "share of requests answered by a 429 without headers",
    "drips": "share of answers that come byte by byte",
    "drip_seconds": "seconds that such an answer takes",
    # items that misbehave
    "gone": "share of items that are found but no longer exist",
    "gone_ids": "these items, too, with commas",
    "poison_500": "share of items whose change answers 500",
    "poison_500_ids": "these items, too, with commas",
    "poison_422": "share of items whose change answers 422",
    "poison_422_ids": "these items, too, with commas",
}
