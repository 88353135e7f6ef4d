"""The landing zone: every node as Wiz sent it, in immutable parts per dataset and day under a manifest.

Also what a destination leaves beside a day: receipts and dead letters. Nothing here asks Wiz or Elasticsearch.
"""
