"""Vega, Vega-Lite and Vega-Embed as one script, for pages that must not load it from the internet."""

from functools import cache

import vl_convert


@cache  # a second, also for the pages of several studies
def script() -> str:
    """Return the JavaScript, to be put between <script> and </script>; it defines `vegaEmbed`."""
    bundle: str = vl_convert.javascript_bundle()  # type: ignore[call-arg]  # the stub lacks the default
    return bundle.replace("</script", r"<\/script")
