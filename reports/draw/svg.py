"""A figure of matplotlib as the text of an SVG file."""

import io
import warnings

from matplotlib.figure import Figure


def svg_of(figure: Figure) -> str:
    """Write the figure; its texts stay text: a browser has the characters that no font here has."""
    buffer = io.StringIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()
