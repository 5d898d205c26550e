"""The ingest report: what became of a list, for a person, as Markdown."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from prunet.data.fetching.conflicts import NEAR, Pair
from prunet.data.fetching.store import key
from prunet.data.listing.scraping import MANIFEST, STATUSES, Row

ADVICE = {
    "ok": "",
    "duplicate": "Nothing: the picture is there once. If the labels differ, see below.",
    "http-error": "404, 410: the photo is gone, look for another. 401, 403: the server lets no program in, "
    "or wants a login. 429 and 5xx: run again later, with a longer `host_delay`.",
    "timeout": "Run again later; for large photos from slow servers raise `timeout`.",
    "unreachable": "Look for a typing error in the name of the host, then run again later.",
    "refused": "The address belongs to a private network or to this machine. If that is what you want, set "
    "`private_addresses`.",
    "redirects": "Open the address in a browser and list the one that it ends at.",
    "too-large": "List a smaller version, or raise `max_bytes` or `max_pixels`.",
    "too-small": "Mostly icons and tracking pixels: list the photo itself.",
    "not-an-image": "Mostly pages about a photo, or a login: list the address of the image itself.",
    "broken-image": "The server sends a damaged file: look for another copy.",
    "missing-file": "Look for a typing error; paths are relative to the list.",
    "bad-label": "Give the row a label that can be the name of a folder.",
    "bad-url": "Mend the row: an http or https address, or a path below the list's folder.",
}
NO_FAILURE = ("ok", "duplicate")
EXAMPLES = 3
MAX_LINES = 50  # of a table of single rows; the manifest has all of them
WORST_HOSTS = 10
MAX_TEXT = 100  # characters


def write(
    rows: Sequence[Row], across: Sequence[Pair], within: Sequence[Pair], source: str, store: str
) -> str:
    """Write the report.

    Args:
        rows: of the manifest.
        across, within: as from `conflicts.find`.
        source: the list's name.
        store: the store's name.
    """
    parts = [
        f"# What became of {_code(source)}\n\n{summary(rows, across)}\n\n"
        f"Row by row: [{MANIFEST}]({MANIFEST}).",
        _reasons(rows),
        _labels(rows),
        _hosts(rows),
        _pairs(
            "One picture, two labels",
            "One of the two labels is wrong: mend the list, or leave both out.",
            across,
        ),
        _changed(rows, store),
        _pairs(
            "Near-duplicates",
            f"At most {NEAR} of the 64 bits of their perceptual hashes differ. All are kept; a later stage "
            "puts them on one side of the split.",
            within,
        ),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def summary(rows: Sequence[Row], across: Sequence[Pair]) -> str:
    """Say in a sentence or two how many rows gave an image, and why the others did not."""
    found = Counter(row["status"] for row in rows)
    others = ", ".join(f"{number} {status}" for status, number in found.most_common() if status != "ok")
    text = f"{found['ok']} of {len(rows)} rows gave an image{f' ({others})' if others else ''}."
    if across:
        text += f" Rows that show what stands under another label, too: {len(across)}."
    if number := len(changed(rows)):
        text += f" Images that their addresses do not give any more: {number}."
    return text


def changed(rows: Iterable[Row]) -> list[Row]:
    """Return the rows whose image was kept from an earlier run, and which their addresses do not give now."""
    return [row for row in rows if row["status"] == "ok" and row["detail"]]


def _reasons(rows: Sequence[Row]) -> str:
    found = Counter(row["status"] for row in rows)
    lines = []
    for status in (status for status in STATUSES if found[status] and status != "ok"):
        details = Counter(row["detail"] for row in rows if row["status"] == status)
        first = {row["detail"]: row["row"] for row in reversed(rows) if row["status"] == status}
        told = "<br>".join(
            f"{_code(detail)}, {number} times, first in row {first[detail]}"
            for detail, number in details.most_common(EXAMPLES)
        )
        lines.append((status, found[status], told, ADVICE[status]))
    return _table("Why rows gave no image", "", ("reason", "rows", "mostly", "what to do"), lines)


def _labels(rows: Sequence[Row]) -> str:
    by_label: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        by_label[row["label"]][row["status"]] += 1
    lines = []
    for label, found in sorted(by_label.items(), key=lambda item: (item[1]["ok"], item[0])):
        others = ", ".join(f"{number} {status}" for status, number in found.most_common() if status != "ok")
        lines.append((_code(label), found.total(), found["ok"], others))
    columns = ("label", "rows", "images", "the others")
    return _table("Labels", "Those with the fewest images first.", columns, lines)


def _hosts(rows: Sequence[Row]) -> str:
    by_host: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        if host := _host(row["url"]):
            by_host[host][row["status"]] += 1
    failures = {
        host: Counter({status: n for status, n in found.items() if status not in NO_FAILURE})
        for host, found in by_host.items()
    }
    worst = sorted(failures, key=lambda host: (-failures[host].total(), host))[:WORST_HOSTS]
    lines = []
    for host in (host for host in worst if failures[host]):
        reasons = ", ".join(f"{number} {status}" for status, number in failures[host].most_common())
        lines.append((_code(host), by_host[host].total(), failures[host].total(), reasons))
    return _table("Worst hosts", "", ("host", "rows", "failed", "reasons"), lines)


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or "" if url.lower().startswith(("http:", "https:")) else ""
    except ValueError:
        return ""


def _pairs(title: str, advice: str, pairs: Sequence[Pair]) -> str:
    lines = [
        (
            *(f"{row['row']}: {_code(row['label'])}", _code(row["url"])),
            *(f"{earlier['row']}: {_code(earlier['label'])}", _code(earlier["url"])),
            "the same bytes" if same_bytes else f"{bits} bits apart",
        )
        for row, earlier, same_bytes, bits in pairs
    ]
    return _table(title, advice, ("row", "url", "earlier row", "url", "how alike"), lines)


def _changed(rows: Sequence[Row], store: str) -> str:
    lines = [
        (
            f"{row['row']}: {_code(row['label'])}",
            _code(row["url"]),
            _code(row["detail"]),
            _code(key(row["url"])),
        )
        for row in changed(rows)
    ]
    advice = (
        "The image of the earlier run was used. To take what the address gives now, remove the file from "
        f"{_code(store)} and run again."
    )
    return _table("Changed addresses", advice, ("row", "url", "what happened", "file"), lines)


def _table(title: str, advice: str, columns: Sequence[str], lines: Sequence[Sequence[object]]) -> str:
    if not lines:
        return ""
    table = [
        f"| {' | '.join(map(str, line))} |" for line in (columns, ["---"] * len(columns), *lines[:MAX_LINES])
    ]
    more = f"\n\nAnd {len(lines) - MAX_LINES} more." if len(lines) > MAX_LINES else ""
    return f"## {title}\n\n" + (f"{advice}\n\n" if advice else "") + "\n".join(table) + more


def _code(text: str) -> str:
    """Quote what a stranger wrote, so that it is shown as it is: no markup, no line ends, no hidden signs."""
    shown = "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape", "surrogatepass").decode()
        for sign in text
    )
    if len(shown) > MAX_TEXT:
        shown = shown[: MAX_TEXT // 2] + "…" + shown[-MAX_TEXT // 2 :]
    return f"`{shown.replace('`', chr(39)).replace('|', chr(92) + '|')}`" if shown.strip() else "(empty)"
