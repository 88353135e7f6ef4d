"""A Wiz tenant's security data in Elasticsearch, collected by Dagster."""

__version__ = "0.1.0"
