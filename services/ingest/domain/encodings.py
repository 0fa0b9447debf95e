"""In which encoding a file's text is written, found out conservatively.

A byte order mark decides. Else what is valid UTF-8 is UTF-8: by accident hardly any other text
is. Else every second byte zero is UTF-16. Else one of the encodings of Europe, by whether the
letters beyond ASCII are those of one language, in places where that language has them.
General detectors were tried and turned Danish names into Czech ones: a column of a few names is
too little for their statistics, and most of what they consider is never exported by a survey.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

Certainty = Literal["certain", "likely", "doubtful"]

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# In this order where nothing speaks for one of them.
_SINGLE: Final = (
    "windows-1252",
    "windows-1250",
    "windows-1251",
    "iso-8859-15",
    "iso-8859-2",
    "koi8-r",
    "iso-8859-5",
)
_LATIN: Final = (
    "äöüß",  # German
    "æøåéü",  # Danish, Norwegian
    "åäöé",  # Swedish, Finnish
    "éèêëàâçùûüîïôœæ",  # French
    "áéíóúñü¿¡ªº",  # Spanish
    "áàâãéêíóôõúüç",  # Portuguese
    "éëïóöüè",  # Dutch
    "ąćęłńóśźż",  # Polish
    "áčďéěíňóřšťúůýžäľĺŕô",  # Czech, Slovak
    "áéíóöőúüű",  # Hungarian
    "čćđšž",  # Croatian, Slovene
    "ăâîșțşţ",  # Romanian
)
# Italian has these at the end of a word only.
_ITALIAN: Final = re.compile(r"[àèéìòùÀÈÉÌÒÙ](?![^\W\d_])")
_CYRILLIC: Final = "абвгдежзийклмнопрстуфхцчшщъыьэюяё"
_LANGUAGES: Final = tuple(
    frozenset(letters + letters.upper()) for letters in (*_LATIN, _CYRILLIC)
)
_CYRILLIC_LETTERS: Final = _LANGUAGES[-1]
# A text in several languages of the West is less telling than one in a single language.
_WESTERN: Final = frozenset().union(*_LANGUAGES[:8])
_RARE: Final = frozenset("эщъёцфюжшхЭЩЪЁЦФЮЖШХ")
_PUNCTUATION: Final = frozenset("’‘“”„‚‹›«»–—…€£§°²³½®©™•·´\xa0№")
# A capital after a small letter inside a word: what the wrong Cyrillic encoding looks like.
_SWAPPED: Final = re.compile("[а-яё][А-ЯЁ]|[a-z][А-ЯЁ]|[а-яё][A-Z]")
_MIXED: Final = re.compile("[A-Za-z][А-Яа-яЁё]|[А-Яа-яЁё][A-Za-z]")
_SIGN_IN_WORD: Final = re.compile(r"[^\W\d_][‚„‹›«»°§²³½®©™•·´][^\W\d_]")
# Letters beyond ASCII stand alone in Latin words, mostly.
_TOGETHER: Final = re.compile(r"(?=[^\W\d_a-zA-Z]{2})")
_BEYOND: Final = re.compile(rb"[\x80-\xff]+")
_AROUND: Final = 12
_LONGEST_PENDING: Final = 4_096
_MOST_EVIDENCE: Final = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """An encoding by its Python name, how long the mark before the text is, how sure it is.

    ``damaged`` counts bytes that are not valid in it, for UTF-8 only.
    """

    name: str
    certainty: Certainty
    mark: int = 0
    damaged: int = 0


class Evidence:
    """What is gathered of a file's bytes in one pass, in bounded memory."""

    def __init__(self) -> None:
        self._start = b""
        self._length = 0
        self._zeros = [0, 0]
        self._windows: list[bytes] = []
        self._pending = b""
        self._looked = 0
        self._gathered = 0
        self._utf8 = codecs.getincrementaldecoder("utf-8")("strict")
        self._sequences = 0
        self._damaged = 0

    def add(self, chunk: bytes) -> None:
        """Look at the next bytes of the file."""
        if self._length < 65_536:
            self._start += chunk[: 65_536 - self._length]
            odd = self._length % 2
            self._zeros[odd] += chunk[::2].count(0)
            self._zeros[1 - odd] += chunk[1::2].count(0)
        self._length += len(chunk)
        self._gather(chunk)
        self._validate(chunk)

    def _gather(self, chunk: bytes, *, last: bool = False) -> None:
        """Keep what stands around letters beyond ASCII, wherever the pieces end."""
        if self._gathered > _MOST_EVIDENCE:
            return
        text = self._pending + chunk
        until = len(text) if last else max(self._looked, len(text) - _AROUND)
        at = self._looked
        for match in _BEYOND.finditer(text, at):
            if match.end() > until and len(match[0]) < _LONGEST_PENDING:
                at = match.start()  # the rest of it is in the next piece
                break
            window = text[max(0, match.start() - _AROUND) : match.end() + _AROUND]
            self._windows.append(window)
            self._gathered += len(window)
            at = match.end()
        else:
            at = max(at, until)
        kept = max(0, at - _AROUND)
        self._pending, self._looked = text[kept:], at - kept

    def _validate(self, chunk: bytes) -> None:
        """Count valid sequences and damaged bytes as UTF-8 has them."""
        try:
            text = self._utf8.decode(chunk)
        except UnicodeDecodeError:
            pending = self._utf8.getstate()[0]
            self._utf8.reset()
            raw = pending + chunk
            text = raw.decode("utf-8", "surrogateescape")
            self._damaged += sum("\udc80" <= char <= "\udcff" for char in text)
        if not text.isascii():
            self._sequences += sum(char > "\x7f" for char in text)

    def decide(self) -> Encoding:
        """Return the encoding that the evidence speaks for."""
        for mark, name in _MARKS:
            if self._start.startswith(mark):
                return Encoding(name=name, certainty="certain", mark=len(mark))
        try:
            self._utf8.decode(b"", final=True)
        except UnicodeDecodeError:
            self._damaged += 1
        wide = self._wide()
        if wide is not None:
            return wide
        if self._damaged == 0:
            return Encoding(name="utf-8", certainty="certain")
        if self._sequences > 9 * self._damaged:
            # A few damaged bytes in a text that is UTF-8 everywhere else.
            return Encoding(name="utf-8", certainty="likely", damaged=self._damaged)
        self._gather(b"", last=True)
        return _by_letters(self._windows)

    def _wide(self) -> Encoding | None:
        """Recognise UTF-16 without a mark by its zeros."""
        seen = min(self._length, 65_536)
        half = seen // 2
        if half == 0 or self._length % 2:
            return None
        first, second = self._zeros
        if second > half * 0.4 and first < half * 0.1:
            return Encoding(name="utf-16-le", certainty="likely")
        if first > half * 0.4 and second < half * 0.1:
            return Encoding(name="utf-16-be", certainty="likely")
        return None


def find_encoding(chunks: Iterable[bytes]) -> Encoding:
    """Return the encoding of a file that is read in pieces."""
    evidence = Evidence()
    for chunk in chunks:
        evidence.add(chunk)
    return evidence.decide()


def known_encoding(name: str) -> str | None:
    """Return Python's name of a text encoding that somebody wrote down, None if it is none."""
    try:
        "".encode(name)  # refuses Python's codecs that are none of text
        codec = codecs.lookup(name)
    except (LookupError, ValueError):
        return None
    if codec.name in {"utf-16", "utf-32"}:
        return f"{codec.name}-le"  # without a mark; a mark decides by itself
    return None if codec.name in {"idna", "punycode"} else codec.name.removesuffix("-sig")


def decoded(chunks: Iterable[bytes], encoding: Encoding) -> Iterator[str]:
    """Yield the text; a byte that is none in the encoding becomes a lone surrogate.

    Rows with such a character can be refused by themselves; nothing is replaced silently.
    """
    errors = "replace" if encoding.name.startswith(("utf-16", "utf-32")) else "surrogateescape"
    decoder = codecs.getincrementaldecoder(encoding.name)(errors)
    skip = encoding.mark
    for chunk in chunks:
        fresh = chunk[skip:]
        skip = max(0, skip - len(chunk))
        if text := decoder.decode(fresh):
            yield text
    if rest := decoder.decode(b"", final=True):
        yield rest


def is_damaged(text: str) -> bool:
    """Tell whether a text holds bytes that could not be read."""
    return not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text)


def _by_letters(windows: list[bytes]) -> Encoding:
    raw = b"\n".join(windows)
    scored = [(_plausible(raw, name), -n, name) for n, name in enumerate(_SINGLE)]
    best, _, name = max(scored)
    rivals = [
        other
        for score, _, other in scored
        if other != name
        and score >= best - 0.05
        and raw.decode(other, "replace") != raw.decode(name, "replace")
    ]
    if best < 0.6:
        return Encoding(name=name, certainty="doubtful")
    # Of two readings that are as good, the one that most exports are written in.
    certainty: Certainty = "likely" if not rivals or name == "windows-1252" else "doubtful"
    return Encoding(name=name, certainty=certainty)


def _plausible(raw: bytes, name: str) -> float:
    """Return how much of what is beyond ASCII is plausible in this encoding, at most 1."""
    text = raw.decode(name, "replace")
    beyond = [char for char in text if char > "\x7f"]
    if not beyond:
        return 0.0
    wrong = sum(char == "\ufffd" or "\x80" <= char <= "\x9f" for char in beyond)
    marks = sum(char in _PUNCTUATION for char in beyond)
    cyrillic = sum(char in _CYRILLIC_LETTERS for char in beyond)
    letters: float = max(sum(char in known for char in beyond) for known in _LANGUAGES)
    odd = 2.0 * len(_SIGN_IN_WORD.findall(text))
    if cyrillic and cyrillic == letters:
        odd += 2 * (len(_SWAPPED.findall(text)) + len(_MIXED.findall(text)))
        odd += 0.3 * sum(char in _RARE for char in beyond)
        odd += cyrillic == 1  # one Cyrillic letter by itself is no word
    else:
        western = sum(char in _WESTERN for char in beyond) if name == "windows-1252" else 0
        letters = max(letters, len(_ITALIAN.findall(text)), 0.7 * western)
        odd += 0.15 * len(_TOGETHER.findall(text))
    return (letters + 0.8 * marks - 3 * wrong - odd) / len(beyond)
