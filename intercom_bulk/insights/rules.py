"""Rules in YAML: labels and the phrases that speak for them. `rules.yaml` beside this file says how to write them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeAlias

from intercom_bulk.errors import UsageError
from intercom_bulk.insights.extras import extra
from intercom_bulk.insights.matcher import Phrases

__all__ = ["Given", "RuleSet", "Ruled", "Section", "digest_of", "read_rules"]

Given: TypeAlias = "str | Path | Mapping[str, Any] | None"
"""Rules as people give them: a file, or what would be in it. None: the built-in ones."""
SECTIONS = ("classification", "contact_reason", "product_area", "urgency")
STRONG = 3
_LABEL_KEYS = frozenset({"label", "words", "strong", "unless"})
_SECTION_KEYS = frozenset({"least", "else", "labels"})
_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Ruled:
    """What rules say: the label and its share of all that spoke for any, from 0 to 1, and the phrases found."""

    label: str | None
    confidence: float
    matched: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """The labels of one question. `points` are of label and phrase; `unless` forbids a label."""

    labels: tuple[str, ...]
    phrases: Phrases
    points: Mapping[tuple[str, str], int]
    least: int
    otherwise: str | None

    def judge(self, words: Sequence[str]) -> Ruled:
        """The label with the most points; the earlier of two with as many."""
        scores = dict.fromkeys(self.labels, 0)
        found: dict[str, list[str]] = {label: [] for label in self.labels}
        forbidden = set()
        for key, phrase in dict.fromkeys(self.phrases.find(words)):
            if key.startswith(_UNLESS):
                forbidden.add(key.removeprefix(_UNLESS))
            else:
                scores[key] += self.points[key, phrase]
                found[key].append(phrase)
        best = max(self.labels, key=lambda label: 0 if label in forbidden else scores[label], default=None)
        if best is None or best in forbidden or scores[best] < self.least:
            return Ruled(self.otherwise, 0.0, ())
        others = sum(score for label, score in scores.items() if label != best and label not in forbidden)
        confidence = scores[best] / (scores[best] + others + 1)
        return Ruled(best, round(confidence, 4), tuple(found[best][:_SHOWN]))


_UNLESS = "\0unless "


@dataclass(frozen=True, slots=True)
class RuleSet:
    """All that a file says. `digest` changes when a rule does."""

    sections: Mapping[str, Section]
    sentiment: Mapping[str, Phrases]
    digest: str


def read_rules(given: Given = None) -> RuleSet:
    """The built-in rules, with the sections of the given ones in place of theirs.

    Raises `UsageError` for a file that cannot be read, and for rules that are not written as rules are.
    """
    if given is None:
        return _built_in()
    own = _loaded(given)
    where = str(given) if isinstance(given, str | Path) else "the rules"
    unknown = sorted(set(own) - {*SECTIONS, "sentiment"})
    if unknown or not own:
        known = ", ".join((*SECTIONS, "sentiment"))
        raise UsageError(f"{where}: there is no section {', '.join(unknown) or 'at all'}; sections are {known}.")
    return _rule_set({**_built_in_text(), **own}, where)


@cache
def _built_in() -> RuleSet:
    return _rule_set(_built_in_text(), "rules.yaml")


@cache
def _built_in_text() -> dict[str, Any]:
    text = files("intercom_bulk.insights").joinpath("rules.yaml").read_text("utf-8")
    return dict(_parsed(text, "rules.yaml"))


def _loaded(given: str | Path | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(given, Mapping):
        return {str(name): value for name, value in given.items()}
    try:
        text = Path(given).read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"The rules cannot be read: {error}.") from error
    return _parsed(text, str(given))


def _parsed(text: str, where: str) -> dict[str, Any]:
    yaml = extra("yaml")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        read = yaml.load(text, Loader=loader)  # both loaders are safe ones
    except yaml.YAMLError as error:
        raise UsageError(f"{where} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(read, dict):
        raise UsageError(f"{where}: rules are sections such as `classification:`, not {type(read).__name__}.")
    return {str(name): value for name, value in read.items()}


def _rule_set(text: Mapping[str, Any], where: str) -> RuleSet:
    sections = {name: _section(text[name], f"{where}: {name}") for name in SECTIONS if name in text}
    sentiment = _sentiment(text.get("sentiment") or {}, f"{where}: sentiment")
    return RuleSet(sections, sentiment, digest_of(text))


def digest_of(value: Any) -> str:
    """Twelve characters that change when a JSON-like value does."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:12]


def _section(text: Any, where: str) -> Section:
    if not isinstance(text, Mapping) or not isinstance(text.get("labels"), list) or set(text) - _SECTION_KEYS:
        raise UsageError(f"{where}: a section has `labels`, a list, and maybe `least` and `else`.")
    least, otherwise = text.get("least", 1), text.get("else")
    if isinstance(least, bool) or not isinstance(least, int) or least < 1:
        raise UsageError(f"{where}: least is a whole number from 1.")
    phrases: dict[str, list[str]] = {}
    points: dict[tuple[str, str], int] = {}
    labels = []
    for entry in text["labels"]:
        if not isinstance(entry, Mapping) or not entry.get("label") or set(entry) - _LABEL_KEYS:
            raise UsageError(
                f"{where}: each of labels has `label`, and `words`, `strong` or `unless`, not {entry!r:.80}."
            )
        label = str(entry["label"])
        if label in labels:
            raise UsageError(f"{where}: the label {label} is there twice.")
        labels.append(label)
        for key, worth in (("words", 1), ("strong", STRONG)):
            for phrase in _phrases(entry.get(key), f"{where}: {label}: {key}"):
                points[label, phrase] = worth
        phrases[label] = [phrase for of, phrase in points if of == label]
        phrases[_UNLESS + label] = _phrases(entry.get("unless"), f"{where}: {label}: unless")
    return Section(tuple(labels), Phrases.of(phrases), points, least, None if otherwise is None else str(otherwise))


def _sentiment(text: Any, where: str) -> dict[str, Phrases]:
    if not isinstance(text, Mapping):
        raise UsageError(f"{where}: languages, with `positive` and `negative` each.")
    made = {}
    for language, several in text.items():
        # YAML reads the code of Norwegian, `no`, as false.
        code = "no" if language is False else str(language)
        if not isinstance(several, Mapping) or set(several) - {"positive", "negative"}:
            raise UsageError(f"{where}: {code} has `positive` and `negative`, lists of phrases.")
        made[code] = Phrases.of({key: _phrases(value, f"{where}: {code}: {key}") for key, value in several.items()})
    return made


def _phrases(value: Any, where: str) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(one, str | int | float) for one in value):
        raise UsageError(f"{where}: a list of phrases; quote what YAML would read as something else (yes, no, ?).")
    # YAML reads an unquoted no, yes, on and off as truth values.
    words = {True: "yes", False: "no"}
    return [words[one] if isinstance(one, bool) else str(one) for one in value]
