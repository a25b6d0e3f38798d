"""The picture of the Grafana dashboard, drawn from what a real Prometheus answers: see README.md."""
