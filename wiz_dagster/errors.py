"""The two kinds of failure and the message each must carry.

Every error this package raises on purpose is one of these: permanent (running again can't help: a person has to act)
or transient (the same call may succeed later). What is retried, and where, is decided by the code that catches them;
`assets.py` turns them into Dagster failures. No payload, token or secret is ever part of a message.
"""


class WizDagsterError(Exception):
    """One sentence that says what happened and, where a person can act, what to do."""


class PermanentError(WizDagsterError):
    """Running again can't change it: a wrong setting, a missing scope, a refused query, damaged data."""


class DamagedError(PermanentError):
    """A stored file isn't what was written; the message names it."""


class TransientError(WizDagsterError):
    """May succeed when tried again: an unreachable host, a rate limit, a competing run."""


class SettingsError(PermanentError):
    """A setting is missing or invalid; the message names the variable or key and what it expects."""
