"""A Wiz tenant on this machine: OAuth and GraphQL over HTTP, answered from generated or given nodes.

It stands in for Wiz in demos and tests. Each dataset is a module (`audit_nodes`, `issue_nodes`) and a line in `roots`.
"""
