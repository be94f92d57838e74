"""From Intercom into the mirror: windows, changes, threads, contacts, deletions; and the run that they are."""
