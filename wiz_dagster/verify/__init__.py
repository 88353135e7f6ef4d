"""`wiz-dagster verify`: landing zone and Elasticsearch held against each other over a range of days.

What is looked for is in `damage.py` (landed files) and `comparison.py` (documents), what can be done about it in
`restoring.py` and `rewriting.py`; `verification.py` goes through the days. The latest views are no part of it.
"""

from wiz_dagster.verify.verification import Verification

__all__ = ["Verification"]
