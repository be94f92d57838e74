"""Who asks for what, by which words: routes only. Each module adds those of one subject."""

from __future__ import annotations

from typing import TYPE_CHECKING

from intercom_bulk.service.routes import around, events, pipeline, plans, runs

if TYPE_CHECKING:
    from fastapi import FastAPI

    from intercom_bulk.service.desk import Desk

__all__ = ["add_to"]


def add_to(app: FastAPI, desk: Desk) -> None:
    for subject in (runs, plans, around, pipeline, events):
        subject.add_to(app, desk)
