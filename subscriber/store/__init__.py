"""What is kept: every SQL statement of the daemon."""
