"""The daily report: what changed by the landed days, what is open by the latest views, and how collecting went.

`summary.py` gathers the figures, `page.py` and `charts.py` show them, `asset.py` is `wiz/report`. No clock anywhere:
the same landing zone and views give the same file.
"""
