"""The partitions that every asset shares: days in UTC, from `WIZ_START_DATE` to today.

Wiz's times are UTC and a window is half open, so a day belongs to one partition in every time zone. Today's partition
exists from midnight on: refreshing it and fetching history are the same operation.
"""

from datetime import date

import dagster as dg


def daily(start: date) -> dg.DailyPartitionsDefinition:
    """Daily UTC partitions from `start`, today included."""
    return dg.DailyPartitionsDefinition(start_date=start.isoformat(), timezone="UTC", end_offset=1)
