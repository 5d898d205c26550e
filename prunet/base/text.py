"""Untrusted text in messages."""

MAX_TEXT = 100  # characters


def readable(text: str) -> str:
    """Return `text` on one line without invisible characters; the middle of a long text becomes `…`."""
    printable = "".join(
        character if character.isprintable() else character.encode("unicode_escape", "surrogatepass").decode()
        for character in text
    )
    if len(printable) > MAX_TEXT:
        return printable[: MAX_TEXT // 2] + "…" + printable[-MAX_TEXT // 2 :]
    return printable


def shown(text: str) -> str:
    """Return `readable` text in quotation marks."""
    return f"'{readable(text)}'"


def is_utf8(text: str) -> bool:
    """Return whether all bytes of `text` were UTF-8, given that it was decoded with `surrogateescape`."""
    return not any("\ud800" <= character <= "\udfff" for character in text)
