"""What to search for, as an expression or as text, compiled to what Intercom can be asked. Pure, without a clock."""
