"""The demo: a simulated trading day of two minutes, with the daemon and its page as they really are."""
