"""Text: what a reader of HTML sees, which words are searched, and how documents are packed."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from intercom_bulk.errors import UsageError
from intercom_bulk.mirror.keeping.files import fts5_expression
from intercom_bulk.mirror.keeping.packing import pack, unpack
from intercom_bulk.mirror.keeping.plain import plain_text
from intercom_bulk.mirror.keeping.schema import KEY_BITS
from intercom_bulk.mirror.keeping.store import open_mirror
from intercom_bulk.mirror.keeping.tsvector import TsVector
from intercom_bulk.mirror.keeping.words import Wanted, folded, read_search
from tests.mirror.made import T, conversation, kept, thread

if TYPE_CHECKING:
    from pathlib import Path

    from intercom_bulk.mirror.keeping.store import MirrorStore


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (None, ""),
        ("", ""),
        ("plain &amp; simple", "plain & simple"),
        ("<p>Hello</p><p>World</p>", "Hello\nWorld"),
        ("<p>Hello<br>World</p>", "Hello\nWorld"),
        ("<p class='x'>a&nbsp;&lt;b&gt;</p>\n\n<div>c</div>", "a <b>\nc"),
        ("<p>be<b>fo</b>re</p>", "before"),
        ('<p>be<b class="x">fo</b>re</p>', "before"),
        ("<style>p {color: red}</style><script>alert('<p>x</p>')</script><p>seen</p>", "seen"),
        ("<p>a<!-- hidden -->b</p>", "ab"),
        ('<img src="x.png" alt="a screenshot"> there', "a screenshot there"),
        ("<ul><li>one</li><li>two</li></ul>", "one\ntwo"),
        ("a < b and c > d", "a < b and c > d"),
        ("<p>unclosed <b>bold", "unclosed bold"),
        ("<p>zero\u0000byte &#0; &#x1F600;</p>", "zero\ufffdbyte \ufffd 😀"),
        ("&lt;script&gt;", "<script>"),
    ],
)
def test_html_is_what_its_reader_sees(body: str | None, expected: str) -> None:
    assert plain_text(body) == expected


@given(st.text(alphabet="<>/!-&;'\"=abp sciptyle\n", max_size=60))
def test_no_html_is_too_broken(body: str) -> None:
    assert "\0" not in plain_text(body)


@given(st.lists(st.sampled_from(["<p>", "</p>", "<br>", "<b>", "</b>", "a", " ", "&amp;", "\n", "<ul>", "<li>", "é"])))
def test_the_quick_way_and_the_parser_agree(pieces: list[str]) -> None:
    body = "".join(pieces)
    parsed = plain_text(f'{body}<i class="x"></i>')  # an attribute: the quick way does not take it
    assert plain_text(body) == parsed


# -- words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello, World!", "hello world"),
        ("Überprüfung café naïve STRASSE Straße", "uberprufung cafe naive strasse strasse"),
        ("order #A-12/7 joe@example.com", "order a 12 7 joe example com"),
        ("snake_case", "snake case"),
        ("退款申请", "退 款 申 请"),
        ("ﬁnance ２０２６", "finance 2026"),
        ("İstanbul", "istanbul"),
        ("x" * 150, "x" * 100),
        ("—…!?", ""),
    ],
)
def test_words_are_cut_and_folded(text: str, expected: str) -> None:
    assert folded(text) == expected


def test_a_search_is_words_phrases_and_what_is_unwanted() -> None:
    assert read_search('Refund "not  paid" -spam joe@x.com') == Wanted(
        words=(("refund",), ("joe", "x", "com")), phrases=(("not", "paid"),), unwanted=(("spam",),)
    )
    assert read_search('well-known -"old stuff" "open') == Wanted(
        words=(("well", "known"),), phrases=(("open",),), unwanted=(("old", "stuff"),)
    )
    assert not read_search('-spam "" ! OR*').phrases
    assert not read_search("-only")


TEXTS = {
    "1": ("Refund please", "I was charged twice for order A-12/7. café"),
    "2": ("Login", "The password reset mail never arrives; refund me"),
    "3": ("退款申请", "not paid yet AND OR NOT near"),
    "4": ("", "careful with the car"),
}


@pytest.fixture
def searched(store: MirrorStore) -> MirrorStore:
    documents = [
        thread(item_id, f"<p>{body}</p>", subject=subject, created=T + int(item_id))
        for item_id, (subject, body) in TEXTS.items()
    ]
    with store.writing() as writer:
        kept(writer, documents, seen_at=T)
    return store


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("refund", ["2", "1"]),
        ("REFUND password", ["2"]),
        ("refu char", ["1"]),
        ("refund login", ["2"]),
        ("cafe", ["1"]),
        ("CAFÉ", ["1"]),
        ('"charged twice"', ["1"]),
        ('"twice charged"', []),
        ('"refund please i"', []),
        ("A-12/7", ["1"]),
        ("12-7", ["1"]),
        ("退款", ["3"]),
        ("申款", []),
        ("refund -password", ["1"]),
        ('refund -"charged twice"', ["2"]),
        ("car", ["4"]),
        ("care", ["4"]),
        ("car -care", ["4"]),
        ('"ca"', []),
        ("NOT AND OR", ["3"]),
        ("near", ["3"]),
        ("hi", ["4", "3", "2", "1"]),
        ("-refund", []),
        ("!!! ***", []),
        (None, ["4", "3", "2", "1"]),
        ("  ", ["4", "3", "2", "1"]),
    ],
)
def test_both_databases_find_the_same(searched: MirrorStore, query: str | None, expected: list[str]) -> None:
    assert searched.find(query, start=None, end=None, limit=10) == expected


def test_the_newest_come_first_and_both_ends_belong(searched: MirrorStore) -> None:
    assert searched.find("hi", start=T + 2, end=T + 3, limit=10) == ["3", "2"]
    assert searched.find(None, start=T + 2, end=T + 3, limit=10) == ["3", "2"]
    assert searched.find("hi", start=None, end=None, limit=1) == ["4"]


def test_what_is_found_at_a_glance_and_what_in_the_index_is_the_same(database: str, tmp_path: Path) -> None:
    """PostgreSQL's newest are looked through, the others asked of its index: between them nothing is lost, or twice."""
    with open_mirror(tmp_path, "abc12def", url=database) as store:
        said = ["alpha beta", "alpha", "beta gamma"]
        with store.writing() as writer:
            rows = [conversation(str(n + 1), body=said[n % 3], created=T + n // 2) for n in range(30)]
            kept(writer, rows, seen_at=T)
        with store.reading() as on:
            for query, limit, lo, hi in itertools.product(
                ("alpha", "alpha beta", "gamma", "-gamma beta", "none"), (1, 4, 40), (0, 6), (9, 40)
            ):
                asked = (on, read_search(query), (T + lo) << KEY_BITS, (T + hi) << KEY_BITS, limit)
                assert asked[1] is not None
                whole = TsVector().find(*asked)
                assert (len(whole) > 0) is (query != "none")
                for glance in (1, 3, 7, 30):
                    assert TsVector(glance).find(*asked) == whole, (query, limit, lo, hi, glance)


def test_the_index_follows_the_rows(searched: MirrorStore) -> None:
    with searched.writing() as writer:
        kept(writer, [conversation("1", subject="Invoice", created=T + 1, updated=T + 90)], seen_at=T)
        assert searched.find("invoice charged", start=None, end=None, limit=10) == ["1"], "subject and old parts"
        assert searched.find("refund", start=None, end=None, limit=10) == ["2"]
        kept(writer, [thread("1", "other", created=T + 1, updated=T + 95)], seen_at=T)
        assert searched.find("charged", start=None, end=None, limit=10) == []
        kept(writer, [conversation("1", title="Named", created=T + 1, updated=T + 99)], seen_at=T)
    assert searched.find("named other", start=None, end=None, limit=10) == ["1"]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=30) | st.text(alphabet="\"'*-():^&|!<>+ aéOR退{}.:", max_size=20))
def test_nothing_that_a_person_types_is_an_error(searched: MirrorStore, query: str) -> None:
    try:
        searched.find(query, start=None, end=None, limit=3)
    except UsageError:
        pytest.fail("a search was refused")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(min_size=1, max_size=40).filter(lambda text: folded(text) != ""))
def test_a_text_is_found_by_itself(searched: MirrorStore, text: str) -> None:
    clean = text.encode(errors="replace").decode()
    with searched.writing() as writer:
        source = {"type": "conversation", "subject": clean, "body": "", "author": {}}
        searched_for = conversation("9", created=T + 9, updated=T + 9, source=source)
        kept(writer, [searched_for], seen_at=T + 9)
        found = searched.find(
            f'"{clean}"' if '"' not in clean and folded(clean) else None, start=None, end=None, limit=9
        )
        writer._on.execute("UPDATE conversation SET seen_at = 0, updated_at = 0 WHERE id = '9'")
    if folded(plain_text(clean)) == folded(clean):
        assert "9" in found


def test_a_thread_larger_than_any_index_row_is_stored(store: MirrorStore) -> None:
    words = " ".join(f"word{n:06d}" for n in range(120_000))
    with store.writing() as writer:
        kept(writer, [thread("1", words, subject="huge")], seen_at=T)
    assert store.find("huge word000007", start=None, end=None, limit=1) == ["1"]


def test_an_expression_has_nothing_in_it_that_was_typed_as_an_operator() -> None:
    wanted = read_search('a-b "c d" -e')
    assert fts5_expression(wanted) == '("a b" * AND "c d") NOT ("e")'


# -- packing


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(JSON)
def test_what_is_packed_comes_back(document: Any) -> None:
    assert unpack(pack(document)) == document


def test_packing_pays_on_the_small_documents_too() -> None:
    document = thread("1", "<p>Hello, question 7</p>")["conversation_parts"]["conversation_parts"][0]
    assert len(pack(document)) < len(str(document)) / 2
    assert pack({"a": 1, "b": 2}) == pack({"b": 2, "a": 1})


@pytest.mark.parametrize("damaged", [b"", b"\x02abc", b"\x01abc"])
def test_what_was_not_packed_is_told(damaged: bytes) -> None:
    with pytest.raises(ValueError, match=r"packed by a newer version|damaged"):
        unpack(damaged)
