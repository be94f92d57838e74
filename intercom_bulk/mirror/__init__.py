"""A local copy of a workspace's conversations, and how far it can be trusted."""
