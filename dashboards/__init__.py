"""What shows alertbus to people: the Grafana dashboard as code, and its JSON as Grafana reads it.

It knows the daemon by the names of its metrics alone and imports none of the other packages.
"""
