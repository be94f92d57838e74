"""The conversation pipeline: a backfill, then phases over the mirror, each of them a run."""
