"""Wiz Defend by webhook: the receiver, its spool and what is taken out of it; nothing here loads Dagster."""
