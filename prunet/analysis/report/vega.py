"""Vega, Vega-Lite and Vega-Embed as one script, for pages that must not load it from the internet."""

import vl_convert


def script() -> str:
    """Return the JavaScript, to be put between <script> and </script>; it defines `vegaEmbed`."""
    bundle: str = vl_convert.javascript_bundle()  # type: ignore[call-arg]  # the stub lacks the default
    return bundle.replace("</script", r"<\/script")
