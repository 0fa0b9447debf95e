"""Who is asking, and what each role may do: one table that every route consults."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Scope(StrEnum):
    """A right, named after what it touches."""

    RESPONSES_WRITE = "responses:write"
    RESPONSES_READ = "responses:read"
    TASKS_READ = "tasks:read"
    TASKS_WRITE = "tasks:write"
    THEMES_READ = "themes:read"
    TAXONOMY_WRITE = "taxonomy:write"
    SCORES_READ = "scores:read"
    WEBHOOKS = "webhooks:write"
    DELIVERIES_READ = "deliveries:read"
    DELIVERIES_WRITE = "deliveries:write"
    MAIL_READ = "mail:read"
    POLICIES_WRITE = "policies:write"
    SETTINGS_READ = "settings:read"
    SETTINGS_WRITE = "settings:write"
    PERSONS_WRITE = "persons:write"
    AUDIT_READ = "audit:read"


class Role(StrEnum):
    """What a member of staff is to the installation."""

    AGENT = "agent"
    LEAD = "lead"
    DEPARTMENT_HEAD = "department_head"
    TOUCHPOINT_OWNER = "touchpoint_owner"
    CX_MANAGER = "cx_manager"
    ANALYST = "analyst"
    BOARD_MEMBER = "board_member"
    FINANCE = "finance"
    ADMIN = "admin"
    DEVELOPER = "developer"
    AUDITOR = "auditor"


_READS = frozenset({Scope.TASKS_READ, Scope.THEMES_READ, Scope.SCORES_READ})
_POLICIES = frozenset({Scope.POLICIES_WRITE, Scope.SETTINGS_READ, Scope.TAXONOMY_WRITE})
ROLE_SCOPES: dict[Role, frozenset[Scope]] = {
    Role.AGENT: _READS | {Scope.TASKS_WRITE},
    Role.LEAD: _READS | {Scope.TASKS_WRITE, Scope.RESPONSES_READ, Scope.SETTINGS_READ},
    Role.DEPARTMENT_HEAD: _READS
    | {Scope.TASKS_WRITE, Scope.RESPONSES_READ, Scope.SETTINGS_READ},
    Role.TOUCHPOINT_OWNER: _READS | {Scope.TASKS_WRITE, Scope.SETTINGS_READ},
    Role.CX_MANAGER: _READS | _POLICIES | {Scope.TASKS_WRITE, Scope.RESPONSES_READ},
    Role.ANALYST: _READS | {Scope.TAXONOMY_WRITE, Scope.RESPONSES_READ, Scope.SETTINGS_READ},
    Role.BOARD_MEMBER: frozenset({Scope.THEMES_READ, Scope.SCORES_READ}),
    Role.FINANCE: frozenset({Scope.THEMES_READ, Scope.SCORES_READ}),
    Role.ADMIN: frozenset(Scope) - {Scope.RESPONSES_WRITE},
    Role.DEVELOPER: frozenset(
        {
            Scope.RESPONSES_READ,
            Scope.WEBHOOKS,
            Scope.DELIVERIES_READ,
            Scope.DELIVERIES_WRITE,
            Scope.SETTINGS_READ,
            Scope.THEMES_READ,
        }
    ),
    Role.AUDITOR: _READS
    | {Scope.RESPONSES_READ, Scope.SETTINGS_READ, Scope.DELIVERIES_READ, Scope.AUDIT_READ},
}


@dataclass(frozen=True, kw_only=True)
class Principal:
    """An authenticated caller: a member of staff by session, or a machine by API key."""

    kind: Literal["staff", "key"]
    id: str
    name: str
    scopes: frozenset[Scope]
    role: Role | None = None
    source: str | None = None
    test: bool = False
    teams: frozenset[str] = frozenset()
    department: str | None = None
    email: str | None = None
    language: str = "en"
    time_zone: str = "UTC"
    organisation: str = ""
    """Whose people work here, as far as somebody has said so: it stands above every page."""

    def may(self, scope: Scope) -> bool:
        """Tell whether this caller holds the right; settings include rules."""
        return scope in self.scopes or (
            scope is Scope.POLICIES_WRITE and Scope.SETTINGS_WRITE in self.scopes
        )
