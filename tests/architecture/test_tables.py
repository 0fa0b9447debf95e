"""Tables stand under their owner's prefix, and none with personal data is forgotten."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from shared.db.base import metadata
from shared.identity.erasure import REGISTER, PersonalColumn
from tests.plumbing import load_tables

ROOT = Path(__file__).parents[2]
OWNERS = ("ingest", "loop", "notify", "shared")

# What a column that holds something of a person is called here. A new column with such a name
# must be registered; a name that merely looks so is listed below with its reason.
PERSONAL = re.compile(r"sealed|person|customer|comment|note|name|email|phone|recipient|address")
NOT_PERSONAL = {
    "person_ref": "a pseudonym; it is what the key is found by",
    "person_refs": "pseudonyms, as above",
    "persons": "how many, not who",
    "persons_done": "as above",
    "namespace": "in which a source's customer ids are unique",
    "has_comment": "only whether there is one",
    "comments": "how many, not which",
    "former_comments": "as above",
    "rule_name": "of a rule",
    "sealed_secrets": "of a webhook, not of a person",
    "name": "of a team, touchpoint, key or theme; people's names stand in shared_staff",
}


def registered() -> Iterator[PersonalColumn]:
    """Return what the shared register and every room's own list declare as personal."""
    load_tables()
    yield from REGISTER
    for name, module in sorted(sys.modules.items()):
        if name.startswith("services.") and name.endswith(".tables"):
            yield from getattr(module, "PERSONAL", ())


def test_every_table_is_prefixed_by_its_owner() -> None:
    """The prefix is what the grants of the three PostgreSQL users go by."""
    load_tables()

    strangers = [name for name in metadata.tables if not name.startswith(OWNERS)]

    assert strangers == []


def test_a_table_is_declared_in_the_folder_of_its_owner() -> None:
    """``loop_tasks`` is declared below ``services/loop`` and nowhere else."""
    declared = re.compile(r"""Table\(\s*f?["']([a-z]+)_""")
    wrong = []
    for path in [*ROOT.glob("services/**/*.py"), *ROOT.glob("shared/**/*.py")]:
        owner = (
            "shared"
            if path.is_relative_to(ROOT / "shared")
            else path.relative_to(ROOT).parts[1]
        )
        wrong += [
            f"{path.name}: {found}"
            for found in declared.findall(path.read_text(encoding="utf-8"))
            if found != owner
        ]

    assert wrong == []


def test_every_personal_column_is_registered_for_erasure() -> None:
    """A column that may hold something of a person is in the register, or argued away."""
    known = {(column.table, column.column) for column in registered()}

    forgotten = [
        f"{table.name}.{column.name}"
        for table in metadata.tables.values()
        for column in table.columns
        if PERSONAL.search(column.name)
        and column.name not in NOT_PERSONAL
        and (table.name, column.name) not in known
    ]

    assert forgotten == []


def test_the_register_names_only_columns_that_exist() -> None:
    """A renamed column must take its registration along."""
    gone = [
        f"{found.table}.{found.column}"
        for found in registered()
        if found.table not in metadata.tables
        or found.column not in metadata.tables[found.table].columns
    ]

    assert gone == []
