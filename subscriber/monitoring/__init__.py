"""Who watches: metrics and the HTTP API."""
