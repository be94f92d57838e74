"""What to search for, said as an expression or as text, and compiled to what Intercom can be asked: pure, and of no clock."""
