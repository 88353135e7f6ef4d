"""What of a day Wiz has to be asked for when only the news is wanted: what its complete fetches don't cover.

Up to when they cover it, and what is complete, is kept by the manifest.
"""

from datetime import timedelta

from wiz_dagster.landing.raw_day import RawDay
from wiz_dagster.landing.zone import LandingZone, day_folder
from wiz_dagster.wiz.windows import Window

OVERLAP = timedelta(minutes=10)
"""What was covered is asked for again for so long: Wiz indexes some nodes minutes after the time they are filed under.

How many isn't documented; what comes later still is brought by the nightly fetches of whole days.
"""


def window_of_news(zone: LandingZone, day: RawDay) -> Window:
    """The end of the day's window that complete fetches with the same query and filters don't cover, and the overlap.

    The whole window when there are none from the day's start on. Raises what reading a manifest does.
    """
    name, window = day.dataset.name, day.window
    if not zone.store.exists(f"{day_folder(name, day.day)}/manifest.json"):
        return window
    until = zone.day(name, day.day).manifest.covered.get(day.query_hash, window.start)
    return Window(min(max(window.start, until - OVERLAP), window.end), window.end)
