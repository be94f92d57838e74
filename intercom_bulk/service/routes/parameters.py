"""What routes take in their paths and queries; and what those refuse with that start something."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query

from intercom_bulk.service.answers import errors

__all__ = ["STARTS", "After", "Digest", "Limit", "PipelineId", "RunId", "Seconds"]

RunId = Annotated[str, Path(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_-]+$", description="a run's id")]
Digest = Annotated[str, Path(min_length=64, max_length=64, pattern=r"^[0-9a-f]+$", description="a plan's digest")]
PipelineId = Annotated[int, Path(ge=1, le=2**53, description="a run of the pipeline")]
Limit = Annotated[int, Query(ge=1, le=500)]
After = Annotated[str | None, Query(max_length=200, description="`next` of the page before")]
Seconds = Annotated[float | None, Query(ge=0, le=86_400, description="end the stream after so long; else it goes on")]
STARTS = errors(404, 409, 415, 422, 502)
