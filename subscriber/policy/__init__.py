"""What should happen: pure decisions, with time passed in."""
