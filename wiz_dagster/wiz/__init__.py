"""Wiz's GraphQL API: client, request budget, windows of time, parallel fetches. Knows no dataset by name."""
