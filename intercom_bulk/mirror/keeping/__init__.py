"""What is stored and how, and what is proved of it. Nobody here knows Intercom's API, or who asks."""
