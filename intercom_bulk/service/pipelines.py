"""The pipeline, by the names that people's runbooks have."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from intercom_bulk.errors import UsageError
from intercom_bulk.pipeline.pipeline import Pipeline
from intercom_bulk.service.refusals import Conflict

if TYPE_CHECKING:
    from intercom_bulk.pipeline.pipeline import PipelineRun
    from intercom_bulk.settings import Settings

__all__ = ["Pipelines"]


class Pipelines:
    """One pipeline of one workspace. What it starts is stopped, resumable, by `close()`."""

    def __init__(self, settings: Settings, pipeline: Pipeline | None = None) -> None:
        self._settings = settings
        self._pipeline = pipeline or Pipeline(settings=settings)
        self._lock = threading.Lock()
        self._runs: list[PipelineRun] = []
        self._closing = False

    def run(
        self,
        *,
        days: float = 90,
        auto_create_stories: bool = True,
        resume: bool = False,
        resume_run_id: int | None = None,
    ) -> dict[str, Any]:
        """Start a run, or go on with one: by its id, or with the newest of today over so many days.

        Raises `PipelineBusy`, `NoResumableRun`, `UnknownRun`, `UsageError`.
        """
        if resume_run_id is not None and not resume:
            raise UsageError("resume_run_id goes on with a run: send resume: true with it.")
        if self._closing:
            raise Conflict("The service is stopping: start the run when it is back.")
        try:
            run, told = self._begun(days, resume_run_id, resume=resume, auto_create_stories=auto_create_stories)
        except ImportError as error:
            raise UsageError(f"{error.name} is missing: pip install 'intercom-bulk[insights]'.") from error
        with self._lock:
            self._runs = [one for one in self._runs if not one.wait(0)] + [run]
            late = self._closing
        if late:
            run.stop()
        return {
            "run_id": run.run_id,
            "status": "started",
            "message": f"{told}: see GET /api/pipeline/status/{run.run_id}.",
        }

    def _begun(
        self, days: float, run_id: int | None, *, resume: bool, auto_create_stories: bool
    ) -> tuple[PipelineRun, str]:
        if not resume:
            return self._pipeline.start(days, auto_create_stories=auto_create_stories), "Started"
        return self._pipeline.resume(run_id, days=days if run_id is None else None), "Resumed"

    @property
    def started(self) -> list[PipelineRun]:
        """Runs of this process; those that are over are forgotten when another is started."""
        with self._lock:
            return list(self._runs)

    def active(self) -> dict[str, Any]:
        """`active`, `run_id`, and how it stands (`run`); None where none is under way."""
        told = self._pipeline.active()
        if told is None:
            return {"active": False, "run_id": None, "run": None}
        return {"active": True, "run_id": told.run_id, "run": told.as_dict()}

    def known_last(self) -> dict[str, Any] | None:
        """The newest run, without a request either."""
        if not (self._settings.home / "mirror" / "workspaces.json").is_file():
            return None
        return next(iter(self.history(1)), None)

    def known_active(self) -> dict[str, Any] | None:
        """The same for who asks every other second: no request is sent to find out whose token it is."""
        if not (self._settings.home / "mirror" / "workspaces.json").is_file():
            return None
        found: dict[str, Any] | None = self.active()["run"]
        return found

    def status(self, run_id: int) -> dict[str, Any]:
        """How a run stands. Raises `UnknownRun`."""
        return self._pipeline.status(run_id).as_dict()

    def history(self, limit: int = 20) -> list[dict[str, Any]]:
        """Newest first."""
        return [told.as_dict() for told in self._pipeline.history(limit)]

    def stop(self) -> dict[str, Any]:
        """Ask the run under way to end, in whatever process it is. Raises `Conflict` where there is none."""
        ours = next((run for run in self.started if not run.wait(0)), None)
        try:
            run_id = self._pipeline.stop()  # ours too: whoever looks at it reads that it is stopping
        except UsageError as error:
            if ours is None:
                raise Conflict(str(error)) from None
            run_id = ours.run_id
        if ours is not None:
            ours.stop()  # at once: it need not look whether it was asked
        return {
            "run_id": run_id,
            "status": "stopping",
            "message": "What is in flight ends and is stored; then the run can be resumed by its id.",
        }

    def stopping(self) -> None:
        """Ask what runs here to end, resumable, and start no other."""
        with self._lock:
            self._closing = True
        for run in self.started:
            run.stop()

    def close(self) -> None:
        self.stopping()
        for run in self.started:
            run.wait()
