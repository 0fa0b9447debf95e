"""Finding tasks by words that are stored nowhere: what is indexed, and what is looked for.

The index holds keyed digests: of the words of comment and name, of each word's stem, and of
address, customer id and transaction id as a whole. Who searches says words in whatever
language, so a word is looked for by its stems in all of ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from services.loop.responses.domain import Personal, Response
from services.loop.responses.store import find_all
from services.loop.tasks import store
from services.loop.tasks.handlers.reading import personal_of
from services.loop.tasks.store import Indexed
from shared.db.transaction import Transaction
from shared.identity.person_keys import PersonKeys
from shared.sealing import Keyring
from shared.text.stems import primary, stem
from shared.text.tokens import bare, fold, tokens

_PURPOSE: Final = "search"
_ASKED_IN: Final = ("", "en", "de", "pl", "da", "cs", "ru")
_MOST_WORDS: Final = 8
_MOST_TERMS: Final = 400
_LENGTH: Final = 24


async def index_tasks(
    tx: Transaction,
    answers: Sequence[Response],
    *,
    tasks: Mapping[str, str],
    persons: Mapping[str, Personal],
    keyring: Keyring,
) -> None:
    """Index the answers that have a task, ``tasks`` and ``persons`` being by response id.

    An answer without a person in it, because they were erased, is found by nothing any more.
    """
    await store.index(
        tx,
        [
            Indexed(
                response_id=answer.id,
                task_id=tasks[answer.id],
                person_ref=answer.person_ref,
                terms=_terms(keyring, answer, persons.get(answer.id)),
            )
            for answer in answers
            if answer.id in tasks
        ],
    )


async def index_earlier(
    tx: Transaction, after: str, *, person_keys: PersonKeys, keyring: Keyring, most: int
) -> str | None:
    """Index tasks that were opened before there was an index, beginning behind ``after``.

    Return the id of the last one, or None where none is left.
    """
    tasks = await store.not_indexed(tx, after=after, most=most)
    if not tasks:
        return None
    keys = await person_keys.for_reading(tx, [task.person_ref for task in tasks])
    persons = {
        task.response_id: person
        for task in tasks
        if (person := personal_of(task, keys.get(task.person_ref))) is not None
    }
    answers = await find_all(tx, list(persons))
    await index_tasks(
        tx,
        list(answers.values()),
        tasks={task.response_id: task.id for task in tasks},
        persons=persons,
        keyring=keyring,
    )
    return tasks[-1].id


def asked_for(keyring: Keyring, text: str) -> tuple[frozenset[str], ...]:
    """Return what to look for: every word must be found, each by any of its forms."""
    found: list[frozenset[str]] = []
    for chunk in text.split():
        words = [token.word for token in tokens(chunk)]
        whole = _macs(keyring, "whole", fold(chunk))
        if len(words) == 1:
            found.append(whole | _forms_of(keyring, words[0]))
        elif not words or "@" in chunk or any(sign.isdigit() for sign in chunk):
            found.append(whole)
        else:
            found += [_forms_of(keyring, word) for word in words]
    return tuple(found[:_MOST_WORDS])


def _forms_of(keyring: Keyring, word: str) -> frozenset[str]:
    forms = {bare(word), *(bare(stem(word, language)) for language in _ASKED_IN)}
    return frozenset().union(*(_macs(keyring, "word", form) for form in forms))


def _terms(keyring: Keyring, answer: Response, person: Personal | None) -> frozenset[str]:
    if person is None:
        return frozenset()
    customer = person.customer
    # Ids such as “acme-berlin” are asked for as words, for nothing shows that they are ids.
    said = [person.comment or "", *(str(customer.get(name) or "") for name in ("name", "id"))]
    wholes = [customer.get("email"), customer.get("id"), person.transaction_id]
    words = sorted(set(_words(said, primary(answer.language))))[:_MOST_TERMS]
    return frozenset(
        [
            *(_mac(keyring, "word", word) for word in words),
            *(_mac(keyring, "whole", fold(str(each).strip())) for each in wholes if each),
        ]
    )


def _words(texts: Sequence[str], language: str) -> Iterator[str]:
    for text in texts:
        for token in tokens(text):
            yield bare(token.word)
            yield bare(stem(token.word, language))


def _mac(keyring: Keyring, kind: str, text: str) -> str:
    return keyring.mac(_PURPOSE, kind, text)[:_LENGTH]


def _macs(keyring: Keyring, kind: str, text: str) -> frozenset[str]:
    """Return the digests under the secret of today and, while it is replaced, of before."""
    return frozenset(found[:_LENGTH] for found in keyring.macs(_PURPOSE, kind, text))
