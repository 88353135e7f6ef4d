"""What assets ask the run for: Wiz's API behind its shared request budget.

The resource holds no more than the two secrets, by the names of their variables; every other setting is read when a run
uses it. The clients themselves live in `wiz/`, and the two IO managers beside the stores they write to.
"""

import os

import dagster as dg
from pydantic import Field

from wiz_dagster.landing.manifest import Tenant
from wiz_dagster.settings import WizSettings, read_tenant_settings, read_wiz_settings
from wiz_dagster.wiz.client import WizClient
from wiz_dagster.wiz.rate_limit import open_budget


class WizResource(dg.ConfigurableResource[None]):
    """Wiz's GraphQL API, asked as one service account."""

    client_id: str = Field(default="", description="Client id of the service account: WIZ_CLIENT_ID")
    client_secret: str = Field(default="", description="Its secret: WIZ_CLIENT_SECRET")

    def settings(self) -> WizSettings:
        """Wiz's settings as the run finds them. Raises `SettingsError` naming what is missing."""
        return read_wiz_settings(self._environment())

    def tenant(self) -> Tenant:
        """Whose data it is; needs no secret. Raises `SettingsError` naming what is missing."""
        settings = read_tenant_settings(self._environment())
        return Tenant.of(settings.api_url, settings.client_id)

    def client(self, *, urgent: bool = False) -> WizClient:
        """A client of its own, to be closed by whoever asked; all share the budget, and urgent ones go first."""
        settings = self.settings()
        return WizClient(settings, open_budget(settings, urgent=urgent))

    def _environment(self) -> dict[str, str]:
        secrets = {"WIZ_CLIENT_ID": self.client_id, "WIZ_CLIENT_SECRET": self.client_secret}
        return {**os.environ, **{name: text for name, text in secrets.items() if text}}
