"""Interactive figures of the report, as Vega-Lite specifications."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.colors import to_hex

from prunet.analysis.canvas import COLORS, line_style, shades
from prunet.analysis.report.rows import Row

Spec = dict[str, Any]
Looks = dict[str, dict[str, Any]]  # of every series, see `look`

# SVG paths of Matplotlib's markers in a square from -1 to 1, for figures and legends alike.
MARKS = {
    "o": "M1,0A1,1,0,1,1,-1,0A1,1,0,1,1,1,0Z",
    "s": "M-.85,-.85L.85,-.85L.85,.85L-.85,.85Z",
    "^": "M0,-1L1,.8L-1,.8Z",
    "v": "M0,1L1,-.8L-1,-.8Z",
    "<": "M-1,0L.8,-1L.8,1Z",
    ">": "M1,0L-.8,-1L-.8,1Z",
    "D": "M0,-1.1L1.1,0L0,1.1L-1.1,0Z",
    "d": "M0,-1.2L.7,0L0,1.2L-.7,0Z",
    "p": "M0,-1L.95,-.31L.59,.81L-.59,.81L-.95,-.31Z",
    "h": "M0,-1L.87,-.5L.87,.5L0,1L-.87,.5L-.87,-.5Z",
    "*": "M0,-1.1L.3,-.35L1.05,-.35L.45,.12L.65,.9L0,.42L-.65,.9L-.45,.12L-1.05,-.35L-.3,-.35Z",
    "X": "M-1,-.55L-.55,-1L0,-.45L.55,-1L1,-.55L.45,0L1,.55L.55,1L0,.45L-.55,1L-1,.55L-.45,0Z",
    "P": "M-.35,-1L.35,-1L.35,-.35L1,-.35L1,.35L.35,.35L.35,1L-.35,1L-.35,.35L-1,.35L-1,-.35L-.35,-.35Z",
}
DASHES = {"-": [], "--": [6, 3], ":": [2, 2], "-.": [6, 2, 2, 2]}
BANDS = 6  # most lines with bands
CROWDED = 60  # lines with more marks than this get smaller ones
SHARES = {"format": ".3~p"}
FONT = {"labelFont": "system-ui, sans-serif", "titleFont": "system-ui, sans-serif"}
SIZES = {"labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal"}
CONFIG = {"background": None, "view": {"stroke": None}, "axis": FONT | SIZES, "legend": FONT | SIZES}


def look(label: str, style: dict[str, Any]) -> dict[str, Any]:
    """Return how a line is drawn: `label`, `color`, `dash` (lengths of strokes and gaps) and `mark`."""
    line = style["linestyle"]
    dash = DASHES[line] if isinstance(line, str) else [2 * length for length in line[1]]
    return {"label": label, "color": style["color"], "dash": dash, "mark": MARKS[style["marker"]]}


def schemes(rows: Sequence[Row], styles: Mapping[str, dict[str, Any]]) -> Looks:
    """Return the look of every series: as in the other figures, or by its place; grey for a level."""
    looks = {}
    for number, name in enumerate(dict.fromkeys(row["series"] for row in rows if not row["level"])):
        style = styles.get(name, {})
        looks[name] = look(style.get("label", name), line_style(number) | style)
    level = {"label": "dense", "color": "#7F7F7F", "dash": [], "mark": ""}
    return looks | {row["series"]: level for row in rows if row["level"]}


def plain(rows: Sequence[Row]) -> Looks:
    """Return solid lines, in colours that go from dark to light if they are more than the palette has."""
    names = list(dict.fromkeys(row["series"] for row in rows))
    colors = COLORS if len(names) <= len(COLORS) else map(to_hex, shades(len(names)))
    return {
        name: look(name, line_style(number) | {"color": color, "linestyle": "-"})
        for number, (name, color) in enumerate(zip(names, colors, strict=False))
    }


def density_axis(rows: Sequence[Row]) -> Spec:
    """Return a logarithmic x axis that falls to the right, with a tick at every density."""
    return {
        "title": "weights that survive",
        "scale": {"type": "log", "reverse": True, "nice": False, "padding": 14},
        "axis": {
            "values": sorted({row["x"] for row in rows}, reverse=True),
            "format": ".3~p",
            "labelOverlap": "parity",
            "labelSeparation": 6,
            "grid": False,
        },
    }


def lines(rows: Sequence[Row], looks: Looks, x: Spec, y: Spec) -> Spec:
    """Return a figure with a line for each series, and its interval as a band.

    Args:
        rows: see `Row`; of a `level`, the value is drawn over the whole width.
        looks: of every series.
        x: title, scale and axis of x.
        y: scale and axis of y. What lies outside a `domain` is cut off.

    Returns:
        The specification. Its parameter `hidden` lists series that are not drawn. Lines of several revisions
        are dashed by revision.
    """
    revisions = list(dict.fromkeys(row["revision"] for row in rows))
    color, dash = _by_series(looks, "color"), _by_series(looks, "dash")
    if len(revisions) > 1:
        dash = {"field": "revision", "type": "nominal", "sort": revisions}
        dash["legend"] = {"orient": "bottom", "title": None, "symbolType": "stroke", "symbolSize": 400}
    texts = {"series": "title", "revision": "revision", "at": "at", "shown": "value", "note": "note"}
    if len(revisions) < 2:
        del texts["revision"]
    tooltip = [{"field": field, "title": title} for field, title in texts.items()]
    band = {"y": {"field": "low", "type": "quantitative"}, "y2": {"field": "high"}}
    cut = {"clip": "domain" in y.get("scale", {})}
    crowded = len(rows) > CROWDED * len(looks) * len(revisions)
    points = cut | {"filled": True, "size": 15 if crowded else 60, "opacity": 1, "strokeWidth": 1.5}
    fill = color | {"condition": {"test": "datum.hollow", "value": "white"}}
    line = [{"filter": "!datum.level"}]
    layer: list[Spec] = []
    if bands(looks) and any(row["low"] is not None for row in rows):
        known = [*line, {"filter": "isValid(datum.low)"}]
        layer.append({"transform": known, "mark": cut | {"type": "area", "opacity": 0.14}})
        layer[-1]["encoding"] = {**band, "color": color}
    if any(row["level"] for row in rows):
        layer.append({"transform": [{"filter": "datum.level"}], "mark": {"type": "rule", "strokeWidth": 1.5}})
        layer[-1]["encoding"] = {"x": None, "color": color, "strokeDash": dash, "tooltip": tooltip}
    layer.append({"transform": line, "mark": cut | {"type": "line", "strokeWidth": 2}})
    layer[-1]["encoding"] = {"color": color, "strokeDash": dash}
    layer.append({"transform": line, "mark": points | {"type": "point"}})
    layer[-1]["encoding"] = {
        "shape": _by_series(looks, "mark"),
        "stroke": color,
        "fill": fill,
        "tooltip": tooltip,
    }
    return {
        "width": "container",
        "height": 300,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "data": {"values": list(rows)},
        "params": [{"name": "hidden", "value": []}],
        "transform": [{"filter": "indexof(hidden, datum.series) < 0 && isValid(datum.value)"}],
        "encoding": {
            "x": {"field": "x", "type": "quantitative", **x},
            "y": {"field": "value", "type": "quantitative", "title": None, **y},
            "detail": [{"field": "revision"}],
        },
        "layer": layer,
        "config": CONFIG,
    }


def confusion(cells: Sequence[Row], names: Sequence[str]) -> Spec:
    """Return a matrix of the names that test images get.

    Args:
        cells: rows with `true`, `named`, `share` (0 to 1), and the texts `shown` and `count`.
        names: of the classes, in order.
    """
    axis = {"type": "nominal", "sort": list(names), "scale": {"domain": list(names)}}
    x = {"field": "named", "title": "named", **axis, "axis": {"labelAngle": -45, "labelLimit": 90}}
    y = {"field": "true", "title": "true", **axis, "axis": {"labelLimit": 90}}
    scale = {"domain": [0, 1], "range": ["#e8f1f8", "#08457e"]}
    color = {"field": "share", "type": "quantitative", "legend": None, "scale": scale}
    letters = {"condition": {"test": "datum.share > 0.5", "value": "#ffffff"}, "value": "#1b2026"}
    texts = [{"field": name, "title": name} for name in ("true", "named", "shown", "count")]
    return {
        "width": "container",
        "height": 26 * len(names),
        "autosize": {"type": "fit-x", "contains": "padding"},
        "data": {"values": list(cells)},
        "params": [{"name": "hidden", "value": []}],
        "encoding": {"x": x, "y": y, "tooltip": texts},
        "layer": [
            {"mark": {"type": "rect"}, "encoding": {"color": color}},
            {
                "mark": {"type": "text", "fontSize": 11},
                "encoding": {"text": {"field": "count"}, "color": letters},
            },
        ],
        "config": CONFIG,
    }


def bands(looks: Looks) -> bool:
    """Return whether so few lines have room for their bands."""
    return len(looks) <= BANDS


def _by_series(looks: Looks, part: str) -> Spec:
    """Return an encoding of the series by one part of their look."""
    scale = {"domain": list(looks), "range": [found[part] for found in looks.values()]}
    return {"field": "series", "type": "nominal", "legend": None, "scale": scale}
