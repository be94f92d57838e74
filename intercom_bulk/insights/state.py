"""What `fit()` learnt, as bytes: JSON and arrays in a zip, read without pickle. The same things make the same bytes."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

from intercom_bulk.insights.extras import extra

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["digest", "pack", "unpack"]

_ABOUT = "about.json"
_WHEN = (1980, 1, 1, 0, 0, 0)
"""The earliest that a zip can say: the time of writing would make equal states differ."""


def pack(about: Mapping[str, Any], arrays: Mapping[str, Any] | None = None) -> bytes:
    """JSON-like values, and numpy arrays by name."""
    np = extra("numpy")
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as bag:
        _put(bag, _ABOUT, json.dumps(about, sort_keys=True, ensure_ascii=False).encode("utf-8", "backslashreplace"))
        for name, array in sorted((arrays or {}).items()):
            one = io.BytesIO()
            np.save(one, array, allow_pickle=False)
            _put(bag, f"{name}.npy", one.getvalue())
    return whole.getvalue()


def _put(bag: zipfile.ZipFile, name: str, content: bytes) -> None:
    bag.writestr(zipfile.ZipInfo(name, _WHEN), content, zipfile.ZIP_DEFLATED, 1)


def unpack(state: bytes | None, kind: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """What was packed, if it is of this kind (`about["kind"]`); None for none, for another kind and for what is
    damaged.

    A phase then fits anew: a state is only what was learnt, and can be learnt again.
    """
    if not state:
        return None
    np = extra("numpy")
    try:
        with zipfile.ZipFile(io.BytesIO(state)) as bag:
            about = json.loads(bag.read(_ABOUT))
            if about["kind"] != kind:
                return None
            names = [name for name in bag.namelist() if name.endswith(".npy")]
            arrays = {name[:-4]: np.load(io.BytesIO(bag.read(name)), allow_pickle=False) for name in names}
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, OSError, EOFError):
        return None
    return about, arrays


def digest(state: bytes | None) -> str:
    """Twelve characters that say which state it is; of none, `none`."""
    return hashlib.sha256(state).hexdigest()[:12] if state else "none"
