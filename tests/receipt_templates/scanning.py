"""A second opinion on codes: pictures of them, read by zxing-cpp as a scanner at the till would."""

import re

import zxingcpp
from PIL import Image

from tests.receipt_templates.escpos_decoder import Picture

BORDER = 40  # dots of white around, as paper has


def scanned(picture: Image.Image) -> tuple[str, str]:
    """The one code in a picture: what it says, and its AIM id."""
    (found,) = zxingcpp.read_barcodes(picture)
    return found.text, found.symbology_identifier


def picture_of(raster: Picture) -> Image.Image:
    """A printer's raster as a picture, black on white."""
    dots = Image.frombytes("1", (raster.width, raster.height), raster.rows, "raw", "1;I")
    paper = Image.new("L", (raster.width + 2 * BORDER, raster.height + 2 * BORDER), 255)
    paper.paste(dots.convert("L"), (BORDER, BORDER))
    return paper


def svg_picture(svg: str, scale: int = 4) -> Image.Image:
    """A code of ours, whose path is rectangles of one row or column each, as a picture."""
    match = re.search(r'viewBox="0 0 (\d+) (\d+)"', svg)
    assert match
    picture = Image.new("L", (int(match[1]) * scale, int(match[2]) * scale), 255)
    for x, y, wide, high in re.findall(r"M(\d+) (\d+)h(\d+)v(\d+)h-\3z", svg):
        box = tuple(scale * int(edge) for edge in (x, y, int(x) + int(wide), int(y) + int(high)))
        picture.paste(0, box)
    return picture
