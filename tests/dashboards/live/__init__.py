"""The dashboard and the rules against a real Prometheus, a real Alertmanager and a daemon that is driven."""
