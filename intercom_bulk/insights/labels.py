"""Labels that people have given already, for a model to learn from: in a file, in an attribute, or as tags."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

from intercom_bulk.errors import UsageError
from intercom_bulk.insights.phase import Document

__all__ = ["Labels", "by_attribute", "by_tag", "labeller"]

Label: TypeAlias = Callable[[Document], str | None]
Labels: TypeAlias = "Label | Mapping[str, str] | str | Path | None"
"""A function of a document, labels by id, or a CSV file with the columns `id` and `label`."""


def by_attribute(name: str) -> Label:
    """The label is the value of a custom attribute, where it has one."""

    def labelled(document: Document) -> str | None:
        value = document.attributes.get(name)
        return str(value) if value not in (None, "", [], {}) else None

    return labelled


def by_tag(tags: Mapping[str, str]) -> Label:
    """The label of the first of these tags (tag to label, in their order) that a conversation has."""

    def labelled(document: Document) -> str | None:
        return next((label for tag, label in tags.items() if tag in document.tags), None)

    return labelled


def labeller(labels: Labels) -> Label | None:
    """What gives a document's label. Raises `UsageError` for a file that does not say any."""
    if labels is None or callable(labels):
        return labels
    known = {str(item): str(label) for item, label in labels.items()} if isinstance(labels, Mapping) else _read(labels)
    return lambda document: known.get(document.id)


def _read(path: str | Path) -> dict[str, str]:
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            if not {"id", "label"} <= set(rows.fieldnames or ()):
                raise UsageError(f"{path}: a file of labels has the columns id and label in its first line.")
            return {row["id"].strip(): row["label"].strip() for row in rows if row["id"] and row["label"]}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"The labels cannot be read: {error}.") from error
