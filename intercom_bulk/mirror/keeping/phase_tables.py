"""The tables of the pipeline, in the mirror's database: what was worked out of conversations, and by which runs. They
are a supported interface, as the mirror's own are. Who syncs does not write them, so both may write at once.

    phase_result          what a phase said of one item: of a conversation, or of what else it has (one item a theme)
      input_version         what the result was made of; phase_version: by which phase. Where both are the same, the
                            item is not worked on again
      digest                of result and vector: whose input this is need not be done again while it stays the same
      vector                float32, little-endian, where the phase gave one
      run_id                the run of the pipeline that stored it
    phase_state           what `fit()` of a phase returned last
    pipeline_run          one row for each run of the pipeline
      date_from, date_to    the range of `created_at`: from, and before
      checkpoint            written together with the results that it speaks of
      progress              JSON: of each phase its state, its run in the ledger, and what it counted
      status                as its process wrote it: of one that was killed it is `running` until the next run begins
      stop_wanted           somebody has asked this life of the run to end

Views: `pipeline_runs`, for people; `classifications`, `facets`, `conversation_themes`, `themes` (one row each) and
`stories`, the results as columns. They leave out what is deleted.
"""

from __future__ import annotations

__all__ = ["CHECKPOINT", "PHASE_TABLES", "STATUS", "phase_views"]

PHASE_TABLES = """
CREATE TABLE phase_result (
    phase text NOT NULL, item_id {id} NOT NULL, input_version text NOT NULL, phase_version text NOT NULL,
    digest text NOT NULL, result text NOT NULL, vector {blob}, run_id {integer} NOT NULL, stored_at {real} NOT NULL,
    PRIMARY KEY (phase, item_id)
){strict};
CREATE INDEX phase_result_item ON phase_result (item_id);
CREATE TABLE phase_state (
    phase text PRIMARY KEY, version text NOT NULL, state {blob}, run_id {integer} NOT NULL, stored_at {real} NOT NULL
){strict};
CREATE TABLE pipeline_run (
    id {integer} PRIMARY KEY,
    status text NOT NULL CHECK (status IN ('running', 'stopped', 'failed', 'interrupted', 'completed')),
    date_from {integer} NOT NULL, date_to {integer} NOT NULL, days {real} NOT NULL, auto_create_stories {flag} NOT NULL,
    phases text NOT NULL, current_phase text NOT NULL, stage text NOT NULL CHECK (stage IN ('fetch', 'process')),
    checkpoint text NOT NULL, backfill_run_id text, progress text NOT NULL, stop_wanted {flag} NOT NULL,
    lives {integer} NOT NULL, error text, warning text, started_at {real} NOT NULL, resumed_at {real} NOT NULL,
    ended_at {real}
){strict};
"""

STATUS = "CASE WHEN r.status = 'running' AND r.stop_wanted THEN 'stopping' ELSE r.status END"
CHECKPOINT = (
    "CASE WHEN r.checkpoint <> '{}' THEN r.checkpoint WHEN s.found > 0 THEN"
    """ '{"phase": "' || r.current_phase || '", "stage": "fetch", "conversations": ' || s.found ||"""
    """ ', "backfill_run_id": "' || r.backfill_run_id || '"}' ELSE '{}' END"""
)
"""Of `pipeline_run AS r LEFT JOIN sync AS s`. The rows of a fetch and what its sync counts of them are one transaction:
the checkpoint is of what is stored.
"""

_RUNS = f"""
CREATE VIEW pipeline_runs AS
SELECT r.id, {STATUS} AS status, {CHECKPOINT.replace("{", "{{").replace("}", "}}")} AS checkpoint,
    {{date_from}} AS date_from, {{date_to}} AS date_to, r.days, r.current_phase, r.stage, r.error, r.warning,
    {{started_at}} AS started_at, {{ended_at}} AS ended_at
FROM pipeline_run AS r LEFT JOIN sync AS s ON s.id = r.backfill_run_id;
"""  # noqa: S608  constants


_RESULTS = """
CREATE VIEW {view} AS SELECT r.item_id AS {item}, {columns}, r.phase_version, r.run_id
FROM phase_result AS r{join} WHERE r.phase = '{phase}'{where};
"""
_THEMES = """
CREATE VIEW themes AS SELECT t.theme_id, max(t.name) AS name, count(*) AS conversations,
    min(c.created_at) AS first_at, max(c.created_at) AS last_at
FROM conversation_themes AS t JOIN conversation AS c ON c.id = t.conversation_id GROUP BY t.theme_id;
"""
_ALIVE = " JOIN conversation AS c ON c.id = r.item_id AND c.deleted_at IS NULL"


def phase_views(*, iso: str, json: str, integer: str, real: str) -> str:
    """`iso` is how a second becomes ISO 8601 text, `json` how a key is taken out of a column of JSON; the others are
    the types of numbers.
    """
    times = {name: iso.format(f"r.{name}") for name in ("date_from", "date_to", "started_at", "ended_at")}

    def taken(key: str, name: str | None = None, kind: str | None = None) -> str:
        value = json.format("r.result", key)
        return f"{value if kind is None else f'CAST({value} AS {kind})'} AS {name or key}"

    def view(name: str, phase: str, *columns: str, item: str = "conversation_id", where: str = "") -> str:
        join = _ALIVE if item == "conversation_id" else ""
        return _RESULTS.format(view=name, phase=phase, item=item, columns=", ".join(columns), join=join, where=where)

    facets = ("product_area", "contact_reason", "urgency", "language", "sentiment")
    return (
        _RUNS.format(**times)
        + view(
            "classifications", "classification", taken("label"), taken("confidence", kind=real), taken("by", "said_by")
        )
        + view("facets", "facet_extraction", *map(taken, facets), taken("sentiment_score", kind=real))
        + view(
            "conversation_themes", "theme_extraction", taken("theme", "theme_id"), taken("name"),
            taken("score", kind=real), where=f" AND {json.format('r.result', 'theme')} IS NOT NULL",
        )
        + _THEMES
        + view(
            "stories", "story_creation", taken("title"), taken("size", "conversations", integer),
            taken("first_at", kind=integer), taken("last_at", kind=integer), taken("markdown"), "r.result AS story",
            item="theme_id",
        )
    )  # fmt: skip
