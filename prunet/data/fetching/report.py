"""Ingest report: a Markdown summary of a scraping list's outcome, with advice."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from prunet.data.fetching.addresses import host_of
from prunet.data.fetching.conflicts import MAX_DISTANCE, Pair
from prunet.data.fetching.markdown import code, table
from prunet.data.fetching.store import key
from prunet.data.listing.scraping import MANIFEST, Row
from prunet.data.listing.statuses import ADVICE

NO_FAILURE = ("ok", "duplicate")
EXAMPLES = 3
WORST_HOSTS = 10


def write(
    rows: Sequence[Row],
    across: Sequence[Pair],
    within: Sequence[Pair],
    warnings: Sequence[str],
    source: str,
    store: str,
) -> str:
    """Return the text of the report.

    Args:
        rows: of the manifest.
        across, within: from `conflicts.find`.
        warnings: sentences about labels, in Markdown.
        source: path of the list.
        store: path of the store.
    """
    parts = [
        f"# Ingest report for {code(source)}\n\n{summary(rows, across)}",
        f"Row by row: [{MANIFEST}]({MANIFEST})." if any(row["status"] == "ok" for row in rows) else "",
        "## Labels to check\n\n" + "\n".join(f"- {sentence}" for sentence in warnings) if warnings else "",
        _reasons(rows),
        _labels(rows),
        _hosts(rows),
        _pairs(
            "One picture, two labels",
            "One of the two labels is wrong: fix the list, or leave both rows out.",
            across,
        ),
        _changed(rows, store),
        _pairs(
            "Near-duplicates",
            f"Their perceptual hashes differ in at most {MAX_DISTANCE} of 64 bits. All are kept; the stage "
            "faces puts them on the same side of the split.",
            within,
        ),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def summary(rows: Sequence[Row], across: Sequence[Pair]) -> str:
    """Summarise in one to three sentences how many rows yielded an image, and why the others did not."""
    found = Counter(row["status"] for row in rows)
    text = f"{found['ok']} of {len(rows)} rows yielded an image"
    text += f" ({others})." if (others := _others(found)) else "."
    if across:
        text += f" Rows whose picture also has another label: {len(across)}."
    if number := len(changed(rows)):
        text += f" Images that their addresses no longer return: {number}."
    return text


def changed(rows: Iterable[Row]) -> list[Row]:
    """Return the rows whose image comes from an earlier run and is no longer returned by its address."""
    return [row for row in rows if row["status"] == "ok" and row["detail"]]


def _others(found: Counter[str]) -> str:
    return ", ".join(f"{number} {status}" for status, number in found.most_common() if status != "ok")


def _reasons(rows: Sequence[Row]) -> str:
    found = Counter(row["status"] for row in rows)
    lines = []
    for status, advice in ADVICE.items():
        if status == "ok" or not found[status]:
            continue
        details = Counter(row["detail"] for row in rows if row["status"] == status)
        first = {row["detail"]: row["row"] for row in reversed(rows) if row["status"] == status}
        examples = "<br>".join(
            f"{code(detail)} ({number}x, first in row {first[detail]})"
            for detail, number in details.most_common(EXAMPLES)
        )
        lines.append((status, found[status], examples, advice))
    return table("Rows without an image", "", ("reason", "rows", "most frequent details", "advice"), lines)


def _labels(rows: Sequence[Row]) -> str:
    by_label: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        by_label[row["label"]][row["status"]] += 1
    lines = [
        (code(label), found.total(), found["ok"], _others(found))
        for label, found in sorted(by_label.items(), key=lambda item: (item[1]["ok"], item[0]))
    ]
    return table("Labels", "Fewest images first.", ("label", "rows", "images", "other rows"), lines)


def _hosts(rows: Sequence[Row]) -> str:
    listed: Counter[str] = Counter()
    failures: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        if host := host_of(row["url"]):
            listed[host] += 1
            if row["status"] not in NO_FAILURE:
                failures[host][row["status"]] += 1
    worst = sorted(failures.items(), key=lambda item: (-item[1].total(), item[0]))[:WORST_HOSTS]
    lines = [(code(host), listed[host], found.total(), _others(found)) for host, found in worst]
    return table("Hosts with the most failures", "", ("host", "rows", "failed", "reasons"), lines)


def _pairs(title: str, advice: str, pairs: Sequence[Pair]) -> str:
    lines = [
        (*_row_and_url(row), *_row_and_url(earlier), "same bytes" if same_bytes else f"{bits} bits")
        for row, earlier, same_bytes, bits in pairs
    ]
    return table(title, advice, ("row", "url", "earlier row", "url", "difference"), lines)


def _changed(rows: Sequence[Row], store: str) -> str:
    lines = [(*_row_and_url(row), code(row["detail"]), code(key(row["url"]))) for row in changed(rows)]
    advice = (
        "The image of the earlier run was used. To fetch the current one, delete the file from "
        f"{code(store)} and run again."
    )
    return table("Changed addresses", advice, ("row", "url", "change", "file"), lines)


def _row_and_url(row: Row) -> tuple[str, str]:
    return f"{row['row']}: {code(row['label'])}", code(row["url"])
