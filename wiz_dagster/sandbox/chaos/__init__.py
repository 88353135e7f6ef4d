"""The fault campaign: backfills, refreshes and webhooks while things break, then everything held against the truth."""
