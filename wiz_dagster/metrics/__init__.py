"""Metrics of the Dagster instance for Prometheus, by a process of its own: `wiz-dagster metrics`.

`collector.py` reads the instance at each scrape, `exporter.py` serves it. The receiver's metrics are its own, see
`defend/metrics.py`.
"""
