"""The mirror's tables. They are a supported interface: read them with SQL, write them only through the store.

Times are epoch seconds. Ids are text. Columns that end in `_id` hold what Intercom says, whether or not it is mirrored.

    conversation          one row each; deleted ones stay, with `deleted_at`
      key                   in order of creation: created_at * 2**20 + a number; rowid of the full-text index
      body, subject         the first message, as text; `title` is the teammates' own
      parts_expected        statistics.count_conversation_parts, as the row said
      depth                 'row' or 'thread': whether parts were ever read
      seen_at               the server's time at which the row was read
      thread_updated_at     the thread is as of this `updated_at`; older than `updated_at`: it has changed since
      thread_seen_at        the server's time at which the thread was read; `thread_parts_expected`: what
                            `parts_expected` was then
      parts_total           how many parts Intercom counted then; `parts_stored`: how many are here
    conversation_raw      Intercom's JSON of it without parts, packed: `mirror.document(id)` reads it
    part                  everything after the first message; `position` counts from 1
    conversation_tag, conversation_contact
    contact, tag, admin, team
    tombstone             every conversation known to be deleted, mirrored or not
    sync                  one row per backfill, incremental sync, look for deletions, repair
    sync_window           the windows of creation that a backfill is made of
    proof                 what completed windows and syncs prove: see proofs.py
    search_text           what the full-text index holds of each conversation

What the pipeline keeps beside them: phase_tables.py.

Views: `conversations_flat`, one row per conversation, names joined, times also as ISO 8601 in UTC; `messages`, the
first message (position 0) and the parts of each conversation. Both leave out what is deleted.
"""

from __future__ import annotations

from enum import StrEnum

from intercom_bulk.mirror.keeping.phase_tables import PHASE_TABLES, phase_views

__all__ = [
    "FLAT",
    "KEY_BITS",
    "MESSAGES",
    "SHORT",
    "SYNC_TABLES",
    "TABLES",
    "UNREAD",
    "SyncKind",
    "SyncState",
    "WindowState",
    "sqlite",
]

KEY_BITS = 20
"""A million conversations may be created in one second."""


class SyncKind(StrEnum):
    BACKFILL = "backfill"
    INCREMENTAL = "incremental"
    DELETIONS = "deletions"
    REPAIR = "repair"


class SyncState(StrEnum):
    """`running -> completed | holes | stopped | failed`; a running one whose process is dead is `interrupted`. Holes:
    it ended, but some of its windows failed. All but `completed` can be begun again under the same id.
    """

    RUNNING = "running"
    COMPLETED = "completed"
    HOLES = "holes"
    STOPPED = "stopped"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class WindowState(StrEnum):
    """`pending -> fetching -> stored | failed`; `fetching -> pending` where its process ended."""

    PENDING = "pending"
    FETCHING = "fetching"
    STORED = "stored"
    FAILED = "failed"


UNREAD = (
    "(thread_updated_at IS NULL OR thread_updated_at < updated_at"
    " OR coalesce(thread_parts_expected, -1) <> coalesce(parts_expected, -1))"
)
"""A conversation whose thread was never read, or has changed since."""
SHORT = "(depth = 'thread' AND parts_stored < parts_total)"
"""A conversation of which Intercom no longer shows the beginning."""


def _in(kind: type[StrEnum]) -> str:
    return f"IN ({', '.join(repr(str(one)) for one in kind)})"


# {integer} {real} {blob} {flag} {id} are the types of the two databases; {strict} ends a table.

TABLES = """
CREATE TABLE conversation (
    key {integer} PRIMARY KEY, id {id} NOT NULL UNIQUE, created_at {integer} NOT NULL, updated_at {integer} NOT NULL,
    state text NOT NULL, open {flag} NOT NULL, read {flag} NOT NULL, priority text NOT NULL, title text,
    delivered_as text, channel text, author_type text, author_id {id}, author_name text, author_email text,
    admin_assignee_id {id}, team_assignee_id {id}, company_id {id}, waiting_since {integer}, snoozed_until {integer},
    first_contact_reply_at {integer}, first_admin_reply_at {integer}, last_contact_reply_at {integer},
    last_admin_reply_at {integer}, first_close_at {integer}, last_close_at {integer}, last_closed_by_id {id},
    reopens {integer} NOT NULL, assignments {integer} NOT NULL, rating {integer}, parts_expected {integer},
    depth text NOT NULL CHECK (depth IN ('row', 'thread')), seen_at {real} NOT NULL, thread_updated_at {integer},
    thread_seen_at {real}, thread_parts_expected {integer},
    parts_total {integer}, parts_stored {integer} NOT NULL DEFAULT 0, deleted_at {integer},
    custom_attributes text NOT NULL, subject text NOT NULL, body text NOT NULL
){strict};
CREATE INDEX conversation_updated ON conversation (updated_at);
CREATE INDEX conversation_created ON conversation (created_at, deleted_at);
CREATE INDEX conversation_deleted ON conversation (deleted_at) WHERE deleted_at IS NOT NULL;
CREATE INDEX conversation_unread ON conversation (created_at) WHERE deleted_at IS NULL AND {unread};
CREATE INDEX conversation_short ON conversation (created_at)
    WHERE deleted_at IS NULL AND {short};
CREATE TABLE conversation_raw (key {integer} PRIMARY KEY, document {blob} NOT NULL){strict};
CREATE TABLE part (
    conversation_id {id} NOT NULL, id {id} NOT NULL, position {integer} NOT NULL, part_type text NOT NULL,
    created_at {integer} NOT NULL, updated_at {integer}, author_type text, author_id {id}, author_name text,
    author_email text, assigned_to_type text, assigned_to_id {id}, state text, redacted {flag} NOT NULL,
    app_package_code text, body text NOT NULL, raw {blob} NOT NULL, PRIMARY KEY (conversation_id, id)
){strict};
CREATE INDEX part_created ON part (created_at);
CREATE TABLE conversation_tag (
    conversation_id {id} NOT NULL, tag_id {id} NOT NULL, applied_at {integer}, applied_by {id},
    PRIMARY KEY (conversation_id, tag_id)
){strict};
CREATE INDEX conversation_tag_tag ON conversation_tag (tag_id);
CREATE TABLE conversation_contact (
    conversation_id {id} NOT NULL, contact_id {id} NOT NULL, external_id {id}, PRIMARY KEY (conversation_id, contact_id)
){strict};
CREATE INDEX conversation_contact_contact ON conversation_contact (contact_id);
CREATE TABLE contact (
    id {id} PRIMARY KEY, external_id {id}, role text, name text, email text, phone text, owner_id {id},
    created_at {integer}, updated_at {integer} NOT NULL, last_seen_at {integer}, last_replied_at {integer},
    seen_at {real} NOT NULL, deleted_at {integer}, merged_into {id}, custom_attributes text NOT NULL,
    raw {blob} NOT NULL
){strict};
CREATE INDEX contact_email ON contact (email);
CREATE TABLE tag (id {id} PRIMARY KEY, name text NOT NULL, seen_at {real} NOT NULL){strict};
CREATE TABLE admin (id {id} PRIMARY KEY, name text NOT NULL, email text, seen_at {real} NOT NULL){strict};
CREATE TABLE team (id {id} PRIMARY KEY, name text NOT NULL, seen_at {real} NOT NULL){strict};
CREATE TABLE tombstone (
    id {id} PRIMARY KEY, deleted_at {integer} NOT NULL, metrics_retained {flag}, seen_at {real} NOT NULL
){strict};
"""

SYNC_TABLES = f"""
CREATE TABLE sync (
    id {{id}} PRIMARY KEY, kind text NOT NULL CHECK (kind {_in(SyncKind)}), run_id text, question text NOT NULL,
    state text NOT NULL CHECK (state {_in(SyncState)}), started_at {{real}} NOT NULL, ended_at {{real}},
    lives {{integer}} NOT NULL DEFAULT 1, calls {{integer}} NOT NULL DEFAULT 0,
    rate_limited {{integer}} NOT NULL DEFAULT 0, found {{integer}} NOT NULL DEFAULT 0,
    added {{integer}} NOT NULL DEFAULT 0, changed {{integer}} NOT NULL DEFAULT 0,
    unchanged {{integer}} NOT NULL DEFAULT 0, parts {{integer}} NOT NULL DEFAULT 0,
    missed {{integer}} NOT NULL DEFAULT 0, seconds {{real}} NOT NULL DEFAULT 0, error text
){{strict}};
CREATE INDEX sync_started ON sync (started_at);
CREATE TABLE sync_window (
    sync_id {{id}} NOT NULL, number {{integer}} NOT NULL, lo {{integer}} NOT NULL, hi {{integer}} NOT NULL,
    state text NOT NULL CHECK (state {_in(WindowState)}), cursor text, began_at {{real}}, expected {{integer}},
    stored {{integer}} NOT NULL DEFAULT 0, pages {{integer}} NOT NULL DEFAULT 0, tries {{integer}} NOT NULL DEFAULT 0,
    error text, PRIMARY KEY (sync_id, number)
){{strict}};
CREATE TABLE proof (
    axis text NOT NULL CHECK (axis IN ('created', 'updated')), depth text NOT NULL CHECK (depth IN ('row', 'thread')),
    lo {{integer}} NOT NULL, hi {{integer}} NOT NULL, as_of {{integer}} NOT NULL, sync_id {{id}} NOT NULL,
    PRIMARY KEY (axis, depth, lo, hi, as_of), CHECK (lo < hi AND hi <= as_of)
){{strict}};
"""

_ISO = (
    "created", "updated", "waiting_since", "snoozed_until", "first_contact_reply", "first_admin_reply",
    "last_contact_reply", "last_admin_reply", "first_close", "last_close",
)  # fmt: skip


def _column(name: str) -> str:
    return name if name in {"waiting_since", "snoozed_until"} else f"{name}_at"


def _iso_columns(iso: str) -> str:
    return ", ".join(f"{iso.format(f'c.{_column(name)}')} AS {_column(name)}_iso" for name in _ISO)


FLAT = """
CREATE VIEW conversations_flat AS
SELECT c.id, c.title, c.subject, c.state, c.open, c.read, c.priority, c.channel, c.delivered_as,
    c.admin_assignee_id, admin.name AS admin_name, c.team_assignee_id, team.name AS team_name,
    (SELECT {join_names} FROM (
        SELECT coalesce(tag.name, t.tag_id) AS name FROM conversation_tag AS t LEFT JOIN tag ON tag.id = t.tag_id
        WHERE t.conversation_id = c.id ORDER BY 1) AS named) AS tags,
    c.author_type, c.author_id, coalesce(contact.name, c.author_name) AS author_name,
    coalesce(contact.email, c.author_email) AS author_email, c.company_id, c.rating, c.parts_total, c.parts_stored,
    c.reopens, c.assignments, c.created_at, c.updated_at, c.waiting_since, c.snoozed_until, c.first_contact_reply_at,
    c.first_admin_reply_at, c.last_contact_reply_at, c.last_admin_reply_at, c.first_close_at, c.last_close_at,
    c.first_admin_reply_at - c.created_at AS seconds_to_first_reply, c.first_close_at - c.created_at AS
    seconds_to_first_close, {iso_columns}, c.depth, c.custom_attributes, c.body
FROM conversation AS c
LEFT JOIN admin ON admin.id = c.admin_assignee_id
LEFT JOIN team ON team.id = c.team_assignee_id
LEFT JOIN contact ON contact.id = c.author_id
WHERE c.deleted_at IS NULL;
"""

MESSAGES = """
CREATE VIEW messages AS
SELECT c.id AS conversation_id, 0 AS position, NULL AS part_id, 'source' AS part_type, c.created_at,
    {created_iso} AS created_at_iso, c.author_type, c.author_id, c.author_name, c.author_email,
    NULL AS assigned_to_type, NULL AS assigned_to_id, c.body
FROM conversation AS c WHERE c.deleted_at IS NULL
UNION ALL
SELECT p.conversation_id, p.position, p.id, p.part_type, p.created_at, {part_iso}, p.author_type, p.author_id,
    p.author_name, p.author_email, p.assigned_to_type, p.assigned_to_id, p.body
FROM part AS p JOIN conversation AS c ON c.id = p.conversation_id WHERE c.deleted_at IS NULL;
"""

_SQLITE_TYPES = {
    "integer": "INTEGER", "real": "REAL", "blob": "BLOB", "flag": "INTEGER", "id": "TEXT", "strict": " STRICT",
    "unread": UNREAD, "short": SHORT,
}  # fmt: skip
_SQLITE_ISO = "strftime('%Y-%m-%dT%H:%M:%SZ', {}, 'unixepoch')"

SQLITE_INDEX = """
CREATE TABLE search_text (key INTEGER PRIMARY KEY, packed BLOB NOT NULL) STRICT;
CREATE VIRTUAL TABLE search_index USING fts5 (
    subject, body, parts, content='', prefix='1 2 3 4 5 6 7 8', tokenize='unicode61 remove_diacritics 0'
);
"""
"""The index keeps no text: `search_text` has what it was given, because that is needed to take it out again. Prefixes
of up to eight characters are indexed as words are, for a sixth more of the file: what else begins so has to be gathered
from the whole index, 8 ms for a word that 100,000 conversations have."""


def views(*, join_names: str, iso: str) -> str:
    """`iso` is how a second becomes ISO 8601 text, `join_names` how names become one text."""
    flat = FLAT.format(join_names=join_names, iso_columns=_iso_columns(iso))
    return flat + MESSAGES.format(created_iso=iso.format("c.created_at"), part_iso=iso.format("p.created_at"))


def sqlite() -> tuple[str, ...]:
    """The migrations of an SQLite file, in order: what was released is never changed, only added to."""
    tables = (TABLES + SYNC_TABLES).format(**_SQLITE_TYPES)
    first = tables + SQLITE_INDEX + views(join_names="group_concat(name, ', ')", iso=_SQLITE_ISO)
    return first, PHASE_TABLES.format(**_SQLITE_TYPES) + phase_views(
        iso=_SQLITE_ISO, json="json_extract({}, '$.{}')", integer="INTEGER", real="REAL"
    )
