"""Outcomes of a row of the scraping list."""

# Every outcome, and the report's advice on it.
ADVICE = {
    # Has an image; with a detail if the address no longer returns that image.
    "ok": "",
    # Same label and url, or same bytes, as an earlier row.
    "duplicate": "Nothing to do: the picture is kept once. If the labels differ, see below.",
    # A status other than 200, or an encoding that was not requested.
    "http-error": "404 and 410: the photo is gone; find another. 401 and 403: the server requires a login or "
    "blocks programs. 429 and 5xx: run again later with a longer `host_delay`.",
    # No complete answer in time, counted from the DNS look-up to the last byte.
    "timeout": "Run again later; raise `timeout` for large photos on slow servers.",
    # No such host, no connection, no valid answer, or a bad certificate.
    "unreachable": "Check the spelling of the host, then run again later.",
    # The address, or a redirect's target, is not on the public internet.
    "refused": "The address belongs to this machine or a private network. If that is intended, set "
    "`ingest.private_addresses: true`.",
    # Too many, in a circle, or to something other than http and https.
    "redirects": "Open the address in a browser and list the one it ends at.",
    # In bytes (compressed or not), pixels, or JPEG scans.
    "too-large": "List a smaller version, or raise `max_bytes` or `max_pixels`.",
    "too-small": "Usually an icon or a tracking pixel: list the photo itself.",
    "not-an-image": "Usually a page about the photo, or a login: list the address of the image itself.",
    # A format, or a kind of one, that is not read; the detail names it.
    "unsupported": "The address has a picture, of a kind that is not read: list it in another format, or "
    "convert it and list the file.",
    # Cut off, damaged, or it crashed the decoder.
    "broken-image": "The server sends a damaged file: find another copy.",
    "missing-file": "Check the spelling; paths are relative to the list.",
    # The label has fewer rows than `ingest.min_images`; nothing of it was fetched.
    "too-few": "List more photos under the label, or lower `ingest.min_images`.",
    # Not as many values as the header, wrong quotation marks, a link to a folder that is read anyway.
    "bad-row": "Fix the line of the list. A link that only repeats another folder can stay.",
    "bad-label": "Give the row a label that is a valid folder name.",
    "bad-url": "Fix the row: use an http or https address, or a path below the list's folder.",
}
STATUSES = tuple(ADVICE)
