"""Words that try to become something else: markup, script, a formula, a template, a header.

Each is what somebody could type into any field. Whoever shows one shows it letter by letter.
"""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Final

_ACT: Final = "document.title='owned'"
_TAGS: Final = (
    f"<script>{_ACT}</script>",
    f"<ScRiPt >{_ACT}</sCrIpT >",
    f"<script/x>{_ACT}</script>",
    f"<script\n>{_ACT}</script\n>",
    f"<<script>{_ACT}//<</script>",
    "<script src=//elsewhere.example/x.js></script>",
    f'<script type="module">{_ACT}</script>',
    f"<img src=x onerror={_ACT}>",
    f"<img/src='x'/onerror={_ACT}>",
    f'<img src="x" onerror="{_ACT}" //',
    f"<svg onload={_ACT}>",
    f"<svg><script>{_ACT}</script></svg>",
    f"<svg><animate onbegin={_ACT} attributeName=x dur=1s>",
    f"<svg><a href='javascript:{_ACT}'><text y=9>x</text></a></svg>",
    f"<math><mtext></mtext><img src=x onerror={_ACT}></math>",
    f"<iframe srcdoc='<script>parent.{_ACT}</script>'></iframe>",
    f"<iframe src=javascript:parent.{_ACT}></iframe>",
    "<object data=//elsewhere.example/x></object>",
    "<embed src=//elsewhere.example/x>",
    f"<body onload={_ACT}>",
    f"<details open ontoggle={_ACT}><summary>x</summary></details>",
    f"<input autofocus onfocus={_ACT}>",
    f"<select autofocus onfocus={_ACT}></select>",
    f"<textarea autofocus onfocus={_ACT}></textarea>",
    f"<video><source onerror={_ACT}></video>",
    f"<audio src=x onerror={_ACT}></audio>",
    f"<marquee onstart={_ACT}>x</marquee>",
    f"<div style=animation-name:x onanimationstart={_ACT}>x</div>",
    f"<a href=javascript:{_ACT}>x</a>",
    f"<a href=' &#106;avascript:{_ACT}'>x</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    f"<form action=javascript:{_ACT}><button>x</button></form>",
    f"<button formaction=javascript:{_ACT}>x</button>",
    "<meta http-equiv=refresh content='0;url=//elsewhere.example/'>",
    "<base href=//elsewhere.example/>",
    "<link rel=stylesheet href=//elsewhere.example/x.css>",
    "<style>*{display:none}</style>",
    "<style>@import '//elsewhere.example/x.css';</style>",
    "<template><b>x</b></template>",
    "<custom-element>x</custom-element>",
)
_BREAKING_OUT: Final = (
    f'" onmouseover="{_ACT}" x="',
    f"' onmouseover='{_ACT}' x='",
    f'" autofocus onfocus={_ACT} x="',
    f'"><script>{_ACT}</script>',
    f"'><script>{_ACT}</script>",
    f"</title><script>{_ACT}</script>",
    f"</textarea><script>{_ACT}</script>",
    f"</select><img src=x onerror={_ACT}>",
    f"</option></select><svg onload={_ACT}>",
    f"</style><script>{_ACT}</script>",
    f"</script><script>{_ACT}</script>",
    f"</pre><script>{_ACT}</script>",
    f"--><script>{_ACT}</script><!--",
    f"]]><script>{_ACT}</script>",
    f"&lt;script&gt;{_ACT}&lt;/script&gt;",
    f"&#60;script&#62;{_ACT}&#60;/script&#62;",
    f"%3Cscript%3E{_ACT}%3C/script%3E",
    f"\\u003cscript\\u003e{_ACT}\\u003c/script\\u003e",
    f"\uff1cscript\uff1e{_ACT}\uff1c/script\uff1e",
    f"javascript:{_ACT}",
    f"jAvAsCrIpT:{_ACT}//",
    f"`${{{_ACT}}}`",
    f"');{_ACT}//",
    f'";{_ACT}//',
)
_OTHER: Final = (
    "{{ 7*7 }}",
    "{% for x in (1,2) %}x{% endfor %}",
    "${7*7}",
    "#{7*7}",
    "%(name)s %s %d {0} {name}",
    '=HYPERLINK("https://elsewhere.example")',
    "=1+1",
    "+1+1",
    "-1+1",
    "@SUM(1,1)",
    "\t=1+1",
    "\uff1d1+1",
    "x\r\nBcc: eve@elsewhere.example",
    "\u202egnp.exe\u202c",
    "\u2066x\u2069\u200b\u200d",
    "' OR '1'='1",
    "'; DROP TABLE loop_tasks; --",
    "%_\\",
    "../../etc/passwd",
)
CORPUS: Final = (*_TAGS, *_BREAKING_OUT, *_OTHER)

_OUR_TAGS: Final = frozenset(
    """
    html head meta title link script body a header nav main footer section div span p h1 h2 h3
    ul ol li dl dt dd form label input select option optgroup textarea button fieldset legend
    details summary table caption thead tbody tr th td strong b small bdi time mark sup br
    blockquote pre code iframe svg path rect polyline datalist noscript style
    """.split()  # noqa: SIM905 - a list of forty strings is read by nobody
)
_ADDRESSES: Final = ("href", "src", "action", "formaction", "data", "poster")


class _Reader(HTMLParser):
    """Notes whatever in a page no template of ours writes."""

    def __init__(self, scripts: int) -> None:
        super().__init__()
        self.found: list[str] = []
        self._scripts = scripts

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _OUR_TAGS:
            self.found.append(f"<{tag}>")
        for name, value in attrs:
            text = (value or "").strip().lower()
            if name.startswith("on") or name in {"style", "srcdoc", "http-equiv"}:
                self.found.append(f"<{tag} {name}>")
            if name in _ADDRESSES and not text.startswith(("/", "#", "?", "mailto:", "tel:")):
                self.found.append(f"<{tag} {name}={text[:60]}>")
            if name == "href" and text.startswith("//"):
                self.found.append(f"<{tag} {name}={text[:60]}>")
            if name == "autofocus":
                self.found.append(f"<{tag} {name}>")
        if tag in {"script", "style", "base"}:
            self._scripts -= 1
            if (
                self._scripts < 0
                or tag == "base"
                or (tag == "script" and not dict(attrs).get("src"))
            ):
                self.found.append(f"one <{tag}> too many")


def foreign_in(page: str, *, scripts: int = 1) -> list[str]:
    """Return the markup in a page that is not ours; ``scripts`` of our own may be there."""
    reader = _Reader(scripts)
    reader.feed(page)
    reader.close()
    return reader.found
