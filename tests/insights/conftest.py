"""One small corpus, worked through once: most tests only look at what was said."""

from __future__ import annotations

import pytest

from bench.corpus import Memory, generated
from intercom_bulk.insights.builtin import builtin_phases


@pytest.fixture(scope="session")
def worked() -> Memory:
    """300 conversations through all five phases."""
    corpus = Memory(generated(300))
    corpus.run(builtin_phases(min_theme=5))
    return corpus
