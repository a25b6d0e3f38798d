"""The daemon that stores alerts durably and delivers them to people."""
