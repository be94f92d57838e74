"""The run service: an HTTP API and a dashboard over the same engine and ledger as everything else."""
