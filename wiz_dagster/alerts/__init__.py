"""Messages to people when a run or a check failed or a dataset is stale: to a webhook in Slack's format and by mail.

What is told and when is decided by the pure `memory.py`; what happened is asked of Dagster in `outcomes.py` and
`staleness.py`; `sensor.py` ties them together at each tick and is all that the definitions need.
"""
