"""The client of Wiz's GraphQL API: one query at a time and thread, under the tenant's budget, with bounded retries.

It knows nothing of datasets and pages but that `first` in the variables is a page's size. What an error means is in
`classify.py`; walking pages is in `walk.py`.
"""

import threading
import time
from collections import deque
from collections.abc import Mapping, MutableMapping
from types import TracebackType
from typing import Any, Self

from gql.transport.exceptions import TransportError

from wiz_dagster.errors import PermanentError, TransientError
from wiz_dagster.settings import WizSettings
from wiz_dagster.wiz import retries
from wiz_dagster.wiz.classify import Action, Problem, answer_problem, failure_problem
from wiz_dagster.wiz.rate_limit import RequestBudget, Sleep
from wiz_dagster.wiz.token import TokenSource
from wiz_dagster.wiz.transport import WizTransport

SMALLEST_PAGE = 10


class WizClient:
    """Thread safe. `requests` and `bytes` count what was asked for and received, failed attempts included."""

    def __init__(self, settings: WizSettings, budget: RequestBudget, sleep: Sleep = time.sleep) -> None:
        self._settings = settings
        self._budget = budget
        self.sleep = sleep
        self._tokens = TokenSource(settings)
        self._idle: deque[WizTransport] = deque()
        self._count = threading.Lock()
        self.requests = 0
        self.bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; the client opens new ones when used again."""
        while self._idle:
            self._idle.pop().close()

    def execute(
        self,
        query: str,
        variables: MutableMapping[str, Any],
        *,
        scope: str | None = None,
        sleep: Sleep | None = None,
    ) -> dict[str, Any]:
        """Send a query and return its `data`, trying again what may pass.

        When Wiz is too slow for a page, `first` in `variables` is halved in place (down to 10), so that the caller's
        next pages stay small. `scope` is named when Wiz refuses for want of it. `sleep` does all waiting; it may raise.
        Raises PermanentError when a person has to act, TransientError when the attempts are used up.
        """
        failed, renewed = 0, False
        while True:
            outcome = self._ask(query, variables, scope, sleep or self.sleep)
            if not isinstance(outcome, Problem):
                return outcome
            if outcome.action is Action.FAIL:
                raise PermanentError(f"{outcome.text}.")
            if outcome.action is Action.NEW_TOKEN:
                if renewed:
                    raise PermanentError(
                        f"{outcome.text} that it has just issued: check that WIZ_API_URL, WIZ_TOKEN_URL and"
                        " WIZ_AUDIENCE belong together, and that the service account hasn't expired."
                    )
                renewed = True
                continue
            failed += 1
            if failed >= outcome.attempts:
                raise TransientError(f"{outcome.text}. Gave up after {failed} attempts.")
            _shrink(variables, outcome, failed)
            self._wait(outcome, failed, sleep or self.sleep)

    def _ask(
        self, query: str, variables: Mapping[str, Any], scope: str | None, sleep: Sleep
    ) -> dict[str, Any] | Problem:
        token = self._tokens.current(sleep)
        self._budget.acquire(sleep)
        transport = self._borrow()
        try:
            result = transport.ask(token, query, variables)
        except TransportError as error:
            outcome: dict[str, Any] | Problem = failure_problem(error, transport.answer, scope)
        else:
            outcome = answer_problem(result, transport.answer, scope) or result.data or {}
        finally:
            self._give_back(transport)
        if isinstance(outcome, Problem) and outcome.action is Action.NEW_TOKEN:
            self._tokens.refuse(token)
        return outcome

    def _wait(self, problem: Problem, failed: int, sleep: Sleep) -> None:
        if problem.pause is None:
            sleep(retries.delay(failed))
        else:
            # The whole tenant rests; the budget lets this request through when the pause is over.
            self._budget.pause(problem.pause or retries.ceiling(failed))

    def _borrow(self) -> WizTransport:
        # A transport serves one request at a time: its last answer (and Retry-After) must be this thread's.
        try:
            return self._idle.pop()
        except IndexError:
            transport = WizTransport(self._settings)
            transport.connect()
            return transport

    def _give_back(self, transport: WizTransport) -> None:
        with self._count:
            self.requests += 1
            self.bytes += transport.answer.size if transport.answer else 0
        self._idle.append(transport)


def _shrink(variables: MutableMapping[str, Any], problem: Problem, failed: int) -> None:
    size = variables.get("first")
    after = problem.smaller_page_after
    if isinstance(size, int) and after is not None and failed >= after:
        variables["first"] = min(size, max(SMALLEST_PAGE, size // 2))
