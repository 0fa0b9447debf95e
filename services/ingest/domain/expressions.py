"""JMESPath within bounds: what a mapping says about where things lie in a payload.

An expression is compiled once and checked as far as that is possible without a payload: its
length, its depth, its functions and how many arguments they take. Evaluating is paid from a
budget of the whole call, so that no mapping and no payload can keep a process busy. What does
not work out on a payload of another shape has no value; it is never an error.

``_payload``, ``_headers`` (by lower-case name) and ``_query`` mean the whole call wherever they
stand, ``_answer`` the answer that is being read. Beside the functions of JMESPath there are
``parse_json``, ``lower``, ``entries``, ``find``, ``mentions``, ``has_word``, ``before``,
``whole_number``, ``plain``, ``first`` and ``answers_in``.
"""

from __future__ import annotations

import html
import json
import math
import re
import warnings
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field
from typing import Any, Final

from jmespath import functions
from jmespath.parser import Parser
from jmespath.visitor import Options, TreeInterpreter
from typing_extensions import override

from services.ingest.domain.common_names import Names, answers_in
from services.ingest.domain.spelling import spelt_alike
from shared.errors import Refused, TooLarge
from shared.strict_json import parse_json

LONGEST: Final = 2_000
DEEPEST: Final = 60
BUDGET: Final = 1_000_000
"""Steps that all expressions together may take on one call."""

_CHARACTERS_A_STEP: Final = 64
_WHOLE_CALL: Final = ("_payload", "_headers", "_query", "_answer")
# These look at all of an argument, however deep it is.
_THOROUGH: Final = frozenset({"to_string", "contains", "answers_in"})
_NUMBERS: Final = frozenset("0123456789.+-eE")
_TYPES: Final = {
    "string": (str,), "number": (int, float), "boolean": (bool,), "array": (list,),
    "object": (dict,),
}  # fmt: skip
_DIGITS: Final = re.compile(r"(?<![0-9.,])[0-9]{1,9}(?![0-9]|[.,][0-9])", re.ASCII)
_WORD: Final = re.compile(r"[^\W\d_]+")
_TAG: Final = re.compile(r"/?([a-z][a-z0-9]*)", re.ASCII | re.IGNORECASE)
_OWN_LINE: Final = frozenset({"br", "p", "div", "li", "tr"})


class BadExpression(ValueError):
    """Text that is no expression, or one that nobody should evaluate; says why."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression."""

    text: str
    tree: Mapping[str, Any] = field(repr=False, compare=False)


class _Functions(functions.Functions):
    """JMESPath's own functions, made safe for any payload, and some more.

    The added ones take anything: what they cannot look at has no value for them.
    """

    @functions.signature({"types": []})
    def _func_parse_json(self, text: Any) -> Any:  # noqa: ANN401 - any JSON value
        if not isinstance(text, str):
            return None
        try:
            return parse_json(text.encode("utf-8", "surrogatepass"))
        except Refused:
            return None

    @functions.signature({"types": []})
    def _func_lower(self, text: Any) -> str | None:  # noqa: ANN401
        return text.lower() if isinstance(text, str) else None

    @functions.signature({"types": []})
    def _func_entries(self, named: Any) -> list[dict[str, Any]] | None:  # noqa: ANN401
        if not isinstance(named, dict):
            return None
        return [{"key": key, "value": value} for key, value in named.items()]

    @functions.signature({"types": []}, {"types": ["string"]}, {"types": []})
    def _func_find(self, objects: Any, name: str, value: Any) -> Any:  # noqa: ANN401
        """Return the first object of a list whose member ``name`` is this text or number."""
        if not isinstance(objects, list) or not isinstance(value, str | int | float):
            return None
        named = (one for one in objects if isinstance(one, dict))
        return next((one for one in named if one.get(name) == value), None)

    @functions.signature({"types": ["array"]}, {"types": ["array-string"]})
    def _func_first(self, values: list[Any], types: list[str]) -> Any:  # noqa: ANN401
        """Return the first value of one of these types, as ``type`` names them, but no ""."""
        known = {kind for name in types for kind in _TYPES.get(name, ())}
        return next((one for one in values if type(one) in known and one != ""), None)

    @functions.signature({"types": []}, {"types": ["array-string"]})
    def _func_mentions(self, text: Any, words: list[str]) -> bool:  # noqa: ANN401
        """Tell whether a text, or one of several, has one of these small-letter words in it."""
        texts = text if isinstance(text, list) else [text]
        lowered = [one.lower() for one in texts if isinstance(one, str)]
        return any(word in one for word in words for one in lowered)

    @functions.signature({"types": []}, {"types": ["array-string"]})
    def _func_has_word(self, text: Any, words: list[str]) -> bool:  # noqa: ANN401
        """Tell whether one of these is a whole word of a name, however that is spelt."""
        texts = text if isinstance(text, list) else [text]
        there = {
            word
            for one in texts
            if isinstance(one, str)
            for word in _WORD.findall(spelt_alike(one))
        }
        return not there.isdisjoint(words)

    @functions.signature({"types": []}, {"types": ["string"]})
    def _func_before(self, text: Any, mark: str) -> str | None:  # noqa: ANN401
        """Return what stands before a mark in a text; nothing where the mark is missing."""
        if not isinstance(text, str) or mark not in text:
            return None
        return text.partition(mark)[0]

    @functions.signature({"types": []})
    def _func_whole_number(self, text: Any) -> int | float | None:  # noqa: ANN401
        """Return the one whole number that a text names, as in "10 - very likely"."""
        if not isinstance(text, str):
            return None if isinstance(text, bool) or not isinstance(text, int | float) else text
        named = _DIGITS.findall(text)
        return int(named[0]) if len(named) == 1 else None

    @functions.signature({"types": []})
    def _func_plain(self, text: Any) -> str | None:  # noqa: ANN401
        """Return the words of a text in HTML."""
        if not isinstance(text, str):
            return None
        first, *rest = text.split("<")
        words = [first]
        for part in rest:
            tag, closed, following = part.partition(">")
            if not closed or not (named := _TAG.match(tag)):
                words.append(f"<{part}")
                continue
            words.append("\n" if named[1].lower() in _OWN_LINE else "")
            words.append(following)
        return html.unescape("".join(words)).strip()

    @functions.signature({"types": []}, {"types": ["object"]})
    def _func_answers_in(self, payload: Any, names: dict[str, Any]) -> Any:  # noqa: ANN401
        """Return the answers that lie anywhere in a payload, known by their names."""
        return answers_in(payload, Names.of(names))

    @functions.signature({"types": []})
    def _func_to_string(self, value: Any) -> str:  # noqa: ANN401
        if isinstance(value, str):
            return value
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    @functions.signature({"types": []})
    def _func_to_number(self, value: Any) -> int | float | None:  # noqa: ANN401
        """Read only what JSON would: to Python "1_0" is ten and "nan" a number."""
        if isinstance(value, bool):
            return None
        if isinstance(value, int | float):
            return value
        value = value.strip() if isinstance(value, str) else None
        if not value or len(value) > 40 or not _NUMBERS.issuperset(value):
            return None
        try:
            return int(value) if value.lstrip("-").isdigit() else float(value)
        except ValueError:
            return None


_functions: Final = _Functions()


def compile_expression(text: Any) -> Expression:  # noqa: ANN401 - a part of a mapping
    """Return the expression; raise ``BadExpression`` with a sentence."""
    if not isinstance(text, str) or not text.strip():
        raise BadExpression("is a JMESPath expression, such as form_response.token")
    if len(text) > LONGEST:
        raise BadExpression(f"has more than {LONGEST:,} characters")
    try:
        with warnings.catch_warnings():
            # An old way to write text, that newer readers of JMESPath refuse.
            warnings.simplefilter("error", PendingDeprecationWarning)
            tree = Parser().parse(text).parsed
    except PendingDeprecationWarning:
        raise BadExpression("has text in backticks that is no JSON: write 'text'") from None
    except RecursionError:
        raise BadExpression(f"is nested more than {DEEPEST} levels deep") from None
    # IndexError: the parser looks beyond the end of some unfinished expressions.
    except (ValueError, IndexError, TypeError) as error:
        at = getattr(error, "lex_position", None)
        where = f" (character {at + 1})" if isinstance(at, int) else ""
        raise BadExpression(f"is no JMESPath expression{where}") from None
    _check(tree, 0)
    return Expression(text, tree)


def _check(node: Any, depth: int) -> None:  # noqa: ANN401 - a node, or an end of a slice
    if not isinstance(node, dict):
        return
    if depth > DEEPEST:
        raise BadExpression(f"is nested more than {DEEPEST} levels deep")
    children = node.get("children", [])
    if node["type"] == "literal" and not _is_finite(node["value"]):
        raise BadExpression("has a number that is not finite")
    if node["type"] == "function_expression":
        _check_function(node["value"], len(children))
    for child in children:
        _check(child, depth + 1)


def _check_function(name: str, given: int) -> None:
    known = _Functions.FUNCTION_TABLE
    if name not in known:
        raise BadExpression(f"calls a function that is not there; known: {', '.join(known)}")
    signature = known[name]["signature"]
    variadic = bool(signature) and signature[-1].get("variadic")
    if given < len(signature) or (given > len(signature) and not variadic):
        least = "at least " if variadic else ""
        raise BadExpression(f"calls {name} with {given} arguments, not {least}{len(signature)}")


def _is_finite(value: Any) -> bool:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    if isinstance(value, list):
        return all(map(_is_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


class Call:
    """One call on which expressions are evaluated, and the budget that they share."""

    def __init__(
        self,
        payload: Any,  # noqa: ANN401 - any JSON value
        headers: Mapping[str, str],
        query: Mapping[str, Any],
    ) -> None:
        self.payload = payload
        self._interpreter = _Interpreter(
            {"_payload": payload, "_headers": dict(headers), "_query": dict(query)}
        )

    def turned_to(self, payload: Any) -> Call:  # noqa: ANN401 - any JSON value
        """Return the same call with another payload, which is paid from the same budget."""
        other = copy(self)
        other.payload = payload
        self._interpreter.whole_call["_payload"] = payload
        return other

    def look_at(self, answer: Any) -> None:  # noqa: ANN401 - any JSON value
        """Let ``_answer`` mean this one from now on."""
        self._interpreter.whole_call["_answer"] = answer

    def find(self, expression: Expression, value: Any) -> Any:  # noqa: ANN401
        """Return what the expression finds in ``value``, or None.

        Raises ``TooLarge`` when the budget is spent.
        """
        try:
            return self._interpreter.found(expression.tree, value)
        except (ValueError, TypeError, ArithmeticError, RecursionError):
            # A function met a value of another type than it takes, for example.
            return None

    def holds(self, expression: Expression, value: Any) -> bool:  # noqa: ANN401
        """Tell whether the expression finds anything that is neither false nor empty."""
        found = self.find(expression, value)
        return found is not None and found is not False and found not in ("", [], {})


class _Interpreter(TreeInterpreter):
    """Evaluates from a budget, with the whole call at hand."""

    def __init__(self, whole_call: Mapping[str, Any]) -> None:
        super().__init__(Options(custom_functions=_functions))
        self.whole_call = dict(whole_call)
        self._left = BUDGET

    def found(self, tree: Mapping[str, Any], value: Any) -> Any:  # noqa: ANN401
        result = self.visit(tree, value)
        self._measure(result)
        return result

    @override
    def visit(self, node: Any, *args: Any, **kwargs: Any) -> Any:
        self._spend(1)
        return super().visit(node, *args, **kwargs)

    @override
    def visit_field(self, node: Any, value: Any) -> Any:
        name = node["value"]
        if name in _WHOLE_CALL:
            return self.whole_call.get(name)
        return value.get(name) if isinstance(value, dict) else None

    @override
    def visit_comparator(self, node: Any, value: Any) -> Any:
        # Ends of the same list, reached by many ways, would each be compared again.
        sides = [self.visit(child, value) for child in node["children"]]
        if all(isinstance(side, dict | list) for side in sides):
            for side in sides:
                self._measure(side)
        found = [{"type": "literal", "value": side, "children": []} for side in sides]
        ready: Any = {"type": "comparator", "value": node["value"], "children": found}
        return super().visit_comparator(ready, value)

    @override
    def visit_flatten(self, node: Any, value: Any) -> Any:
        result = super().visit_flatten(node, value)
        self._spend(_width(result))
        return result

    @override
    def visit_function_expression(self, node: Any, value: Any) -> Any:
        arguments = [self.visit(child, value) for child in node["children"]]
        for argument in arguments:
            if node["value"] in _THOROUGH:
                self._measure(argument)
            self._spend(_width(argument))
        result = _functions.call_function(node["value"], arguments)
        self._spend(_width(result))
        return result

    def _measure(self, value: Any) -> None:  # noqa: ANN401
        """Pay for every part of a value; refuse what is none, such as half an expression."""
        self._spend(1 + _width(value))
        if isinstance(value, dict | list):
            for part in value.values() if isinstance(value, dict) else value:
                self._measure(part)
        elif value is not None and not isinstance(value, str | int | float | bool):
            raise TypeError("an expression is no value")
        elif isinstance(value, float) and not math.isfinite(value):
            raise ValueError("a number is not finite")

    def _spend(self, steps: int) -> None:
        self._left -= steps
        if self._left < 0:
            raise TooLarge(
                "This payload takes too many steps to read. Send fewer answers at once.",
                extra={"code": "too_much_work"},
            )


def _width(value: Any) -> int:  # noqa: ANN401 - any JSON value
    if isinstance(value, str):
        return len(value) // _CHARACTERS_A_STEP
    return len(value) if isinstance(value, dict | list) else 0
