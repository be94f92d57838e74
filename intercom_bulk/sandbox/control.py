"""The endpoints under /sandbox: look at what was done, and change the knobs while it runs. They cost no budget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intercom_bulk.sandbox.answers import Answer, Call, Problem, ok
from intercom_bulk.sandbox.states import state_of

if TYPE_CHECKING:
    from intercom_bulk.sandbox.app import SandboxApp

__all__ = ["Control"]


class Control:
    """Reads and changes one app. Its methods are what `Sandbox` offers too."""

    def __init__(self, app: SandboxApp) -> None:
        self._app = app

    def answer(self, path: str, call: Call) -> Answer:
        """One request under /sandbox."""
        name = path.removeprefix("/sandbox/")
        resource = call.query.get("resource", "conversations")
        if call.method == "POST":
            return ok(self._post(name, call))
        match name:
            case "effects":
                self._app.workspace.resource_named(resource)
                return ok(self._app.workspace.effects(resource))
            case "digest":
                self._app.workspace.resource_named(resource)
                return ok({"digest": self._app.workspace.digest(resource)})
            case "windows":
                return ok(self.windows())
            case "stats":
                return ok(self.stats())
            case "items":
                return ok(self.items(**call.query))
            case "arrived":
                return ok([str(one) for one in self._app.workspace.arrived])
            case "options":
                return ok(self.options())
        raise Problem(404, "not_found", "Resource Not Found")

    def _post(self, name: str, call: Call) -> dict[str, Any]:
        if name == "reset":
            self._app.reset()
            return {"reset": True}
        if name == "options":
            try:
                return self.set(**call.json)
            except (TypeError, ValueError) as error:
                raise Problem(400, "parameter_invalid", str(error)) from error
        raise Problem(404, "not_found", "Resource Not Found")

    def set(self, *, delete_tag: str | None = None, **knobs: Any) -> dict[str, Any]:
        """Change knobs; `delete_tag` deletes a tag as somebody else would."""
        options = self._app.options.with_knobs(**knobs)
        self._app.workspace.arrive(self._app.clock.now())
        if delete_tag is not None and delete_tag in self._app.workspace.tags:
            self._app.workspace.delete_tag(delete_tag, self._app.clock.now())
        self._app.set_options(options)
        return {"set": sorted(knobs)}

    def options(self) -> dict[str, Any]:
        """The knobs as they are, without the token."""
        current = self._app.options
        return {name: getattr(current, name) for name in sorted(current.names() - {"token"})}

    def windows(self) -> list[dict[str, float]]:
        """The account of every window so far, the open one last."""
        self._app.limiter.advance(self._app.clock.now())
        return [window.record() for window in self._app.limiter.windows]

    def stats(self) -> dict[str, Any]:
        """Requests, statuses, concurrency, connections, CPU seconds, memory, faults that struck."""
        return {**self._app.stats.record(), "faults": dict(self._app.faults.struck)}

    def items(
        self, state: str | None = None, team: str | None = None, limit: str = "0", **_: str
    ) -> list[dict[str, Any]]:
        """Conversations with their state, effects and number of parts; `limit` 0 means all."""
        workspace, most, listed = self._app.workspace, int(limit), []
        for one in workspace.conversations.values():
            if (state is None or one.state == state) and (team is None or str(one.team) == team):
                counted = {"effects": one.effects, "parts": one.seeded_parts + len(one.parts)}
                times = {"created_at": one.created_at, "updated_at": one.updated_at}
                listed.append({**state_of(one), **counted, **times})
                if len(listed) == most:
                    break
        return listed
