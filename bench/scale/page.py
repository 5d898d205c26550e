"""Write the tables of bench/scale.json into docs/cost.md: `python -m bench.scale.page`."""

from pathlib import Path

from bench.scale.fit import table
from prunet.base import files

ROOT = Path(__file__).parents[2]
RESULTS, PAGE = ROOT / "bench/scale.json", ROOT / "docs/cost.md"
BEGIN, END = "<!-- from bench/scale.json -->\n", "<!-- end -->"


def filled(page: str, text: str) -> str:
    """Return a page with another text between `BEGIN` and `END`."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{text}\n\n{END}{after}"


def main() -> None:
    """Write the tables into the page."""
    results = files.read_json(RESULTS) if RESULTS.exists() else {}
    PAGE.write_text(filled(PAGE.read_text(), table(results)))


if __name__ == "__main__":
    main()
