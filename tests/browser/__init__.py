"""The page and the web component in a real browser, against a running daemon."""
