"""From an updater to a run: source, action, plan, list of ids, way back. No updater is known here by name."""
