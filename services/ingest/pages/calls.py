"""A test call to copy, in the languages that people try things in; each of them runs as it is.

The response it posts is a happy one, which opens no task under the rules that come with the
product, and posting it again is a duplicate: it can be sent as often as one likes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

from shared.i18n import marked

PLACEHOLDER: Final = "$KEY"
"""Stands where the key belongs while there is none to show; in a shell it is a variable."""

_SAMPLE: Final[Mapping[str, object]] = {
    "external_id": "test-1",
    "score": 9,
    "comment": "A test call: everything arrived.",
    "touchpoint": "test-call",
}


@dataclass(frozen=True, kw_only=True)
class Call:
    """One test call: for whom, how to run it, and its text."""

    name: str
    """The id of its field on a page."""
    label: str
    run: str
    """How it is run once it is saved, or where it is pasted; to be translated."""
    text: str = field(repr=False)

    @property
    def rows(self) -> int:
        """Return how many lines it has."""
        return self.text.count("\n") + 1


def calls(public_url: str, key: str = PLACEHOLDER) -> Sequence[Call]:
    """Return the test call in every language, with this key in it."""
    url = f"{public_url}/v1/responses"
    return (
        Call(
            name="curl",
            label="curl",
            run=marked("Paste it into a terminal."),
            text=_curl(url, key),
        ),
        Call(
            name="python",
            label="Python",
            run=marked("Save it as call.py and run: python call.py"),
            text=_python(url, key),
        ),
        Call(
            name="javascript",
            label="JavaScript",
            run=marked("Save it as call.js and run: node call.js (Node 18 or later)"),
            text=_javascript(url, key),
        ),
        Call(
            name="php",
            label="PHP",
            run=marked("Save it as call.php and run: php call.php (with the extension curl)"),
            text=_php(url, key),
        ),
    )


def hook_address(public_url: str, source: str, key: str | None = None) -> str:
    """Return where a sender's hooks go; with a key for senders that can set no header."""
    address = f"{public_url}/v1/hooks/{quote(source, safe='')}"
    return f"{address}/{key}" if key else address


def _curl(url: str, key: str) -> str:
    return (
        f'curl -i "{url}" \\\n'
        f'  -H "Authorization: Bearer {key}" \\\n'
        '  -H "Content-Type: application/json" \\\n'
        f"  -d '{json.dumps(_SAMPLE)}'"
    )


def _python(url: str, key: str) -> str:
    members = "".join(
        f"    {json.dumps(name)}: {json.dumps(value)},\n" for name, value in _SAMPLE.items()
    )
    return (
        "import json\n"
        "import urllib.request\n"
        "\n"
        f"response = {{\n{members}}}\n"
        "request = urllib.request.Request(\n"
        f'    "{url}",\n'
        "    data=json.dumps(response).encode(),\n"
        "    headers={\n"
        f'        "Authorization": "Bearer {key}",\n'
        '        "Content-Type": "application/json",\n'
        "    },\n"
        ")\n"
        "with urllib.request.urlopen(request) as answer:\n"
        "    print(answer.status, answer.read().decode())"
    )


def _javascript(url: str, key: str) -> str:
    members = "".join(f"    {name}: {json.dumps(value)},\n" for name, value in _SAMPLE.items())
    return (
        f'fetch("{url}", {{\n'
        '  method: "POST",\n'
        "  headers: {\n"
        f'    "Authorization": "Bearer {key}",\n'
        '    "Content-Type": "application/json",\n'
        "  },\n"
        f"  body: JSON.stringify({{\n{members}  }}),\n"
        "}).then(async (answer) => console.log(answer.status, await answer.text()));"
    )


def _php(url: str, key: str) -> str:
    # In single quotes, where PHP fills in no variables.
    members = "".join(
        f"        '{name}' => {json.dumps(value) if isinstance(value, int) else repr(value)},\n"
        for name, value in _SAMPLE.items()
    )
    return (
        "<?php\n"
        f"$call = curl_init('{url}');\n"
        "curl_setopt_array($call, [\n"
        "    CURLOPT_POST => true,\n"
        "    CURLOPT_HTTPHEADER => [\n"
        f"        'Authorization: Bearer {key}',\n"
        "        'Content-Type: application/json',\n"
        "    ],\n"
        f"    CURLOPT_POSTFIELDS => json_encode([\n{members}    ]),\n"
        "    CURLOPT_RETURNTRANSFER => true,\n"
        "]);\n"
        "$answer = curl_exec($call);\n"
        "echo curl_getinfo($call, CURLINFO_RESPONSE_CODE), ' ', $answer, PHP_EOL;"
    )
