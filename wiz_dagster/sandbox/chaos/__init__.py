"""The fault campaign: the whole pipeline as real processes, faults from a seeded plan, and a comparison at the end.

`campaign.py` runs it, `world.py` holds what it runs on, `faults.py` what is done to it, `workload.py` what the pipeline
has to do meanwhile, `truth.py` what must be there afterwards.
"""
