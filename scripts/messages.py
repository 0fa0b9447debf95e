"""Collect every visible text into the catalogues: ``python scripts/messages.py [--check]``.

Texts are found in templates and in Python, by ``_``, ``gettext``, ``ngettext`` and ``marked``.
New ones are added to every catalogue, gone ones leave, translations stay. English, the source,
translates into itself. With ``--check`` nothing is written; differences and texts without a
translation are listed, and there being any is a failure.
"""

from __future__ import annotations

import argparse
import sys
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).parents[1]
DOMAIN = "closed_loop"
LANGUAGES = ("en", "de")
SOURCE = "en"
PLACES = ("services", "shared")
METHODS = [("**.py", "python"), ("**/templates/**", "jinja2")]
OPTIONS = {"**/templates/**": {"trimmed": "true", "silent": "false"}}
KEYWORDS = {"_": None, "gettext": None, "marked": None, "ngettext": (1, 2)}


def path_of(language: str) -> Path:
    """Return where a catalogue lies."""
    return ROOT / "shared" / "locale" / language / "LC_MESSAGES" / f"{DOMAIN}.po"


def collected() -> Catalog:
    """Return a catalogue of every text there is."""
    found = Catalog(domain=DOMAIN, charset="utf-8")
    for place in PLACES:
        for _file, _line, message, comments, context in extract_from_dir(
            str(ROOT / place),
            method_map=METHODS,
            options_map=OPTIONS,
            keywords=KEYWORDS,
            comment_tags=("NOTE:",),
            strip_comment_tags=True,
        ):
            found.add(message, auto_comments=comments, context=context)
    return found


def updated(language: str, texts: Catalog) -> Catalog:
    """Return the catalogue of a language, brought up to date with the texts."""
    path = path_of(language)
    known = read_po(BytesIO(path.read_bytes()), locale=language) if path.exists() else None
    fresh = Catalog(locale=language, domain=DOMAIN, charset="utf-8", fuzzy=False)
    for message in texts:
        if not message.id:
            continue
        old = known.get(message.id, message.context) if known else None
        string = old.string if old is not None else None
        if language == SOURCE:
            string = message.id
        fresh.add(message.id, string or None, auto_comments=message.auto_comments)
    return fresh


def written(catalogue: Catalog) -> bytes:
    """Return a catalogue as a file: sorted, without dates or places, so diffs are texts."""
    language = str(catalogue.locale)
    head = (
        'msgid ""\nmsgstr ""\n'
        f'"Language: {language}\\n"\n'
        '"MIME-Version: 1.0\\n"\n'
        '"Content-Type: text/plain; charset=utf-8\\n"\n'
        '"Content-Transfer-Encoding: 8bit\\n"\n'
        f'"Plural-Forms: {catalogue.plural_forms}\\n"\n\n'
    )
    body = BytesIO()
    write_po(body, catalogue, omit_header=True, no_location=True, sort_output=True, width=96)
    return head.encode() + body.getvalue().lstrip()


def untranslated(catalogue: Catalog) -> list[str]:
    """Return the texts that have no translation, or only a guessed one."""
    return [
        str(message.id)
        for message in catalogue
        if message.id
        and (
            message.fuzzy
            or not message.string
            or (isinstance(message.string, tuple) and not all(message.string))
        )
    ]


def main() -> int:
    """Write the catalogues, or check them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing, fail if stale")
    check = parser.parse_args().check
    texts = collected()
    failed = False
    for language in LANGUAGES:
        path = path_of(language)
        catalogue = updated(language, texts)
        new = written(catalogue)
        if check and (not path.exists() or path.read_bytes() != new):
            failed = True
            print(
                f"{path.relative_to(ROOT)} is stale: run scripts/messages.py", file=sys.stderr
            )
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(new)
        missing = untranslated(catalogue)
        for text in missing:
            print(f"{language}: no translation of {text}", file=sys.stderr)
        failed = failed or bool(missing and check)
        print(f"{language}: {len(catalogue)} texts, {len(missing)} without a translation")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
