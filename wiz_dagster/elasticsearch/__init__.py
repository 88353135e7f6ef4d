"""The Elasticsearch side: client, index templates, bulk writer, reconciliation, IO manager."""
