"""What conversations are about, offline: rules, lexicons and plain statistics, honest about what they are."""
