"""The brush of the Drag tab: strokes of a pointer on the picture, and the mask that they paint."""

from __future__ import annotations

import json
from typing import NamedTuple

import gradio as gr
from PIL import Image, ImageDraw

MASK_SIDE = 256
"""The longer side of what is painted, in pixels, whatever the model's size."""
MOST_POINTS = 2000
"""Of a stroke; a pointer makes about sixty a second."""
TINT = (255, 200, 0)
BRUSH, POINTS = "brush", "points"

STROKES = """
<style>
body:has(#drag-tool input[value="brush"]:checked) #drag-picture img {
  cursor: crosshair; touch-action: none; user-select: none;
}
</style>
<script>
// Where the pointer goes on the picture while the brush is chosen, as shares of width and height.
(() => {
  let stroke = null;
  const picture = (event) =>
    document.querySelector('#drag-tool input[value="brush"]:checked') &&
    event.target.closest?.("#drag-picture img");
  const add = (event, image) => {
    const box = image.getBoundingClientRect();
    const share = (part) => +Math.min(Math.max(part, 0), 1).toFixed(4);
    const x = share((event.clientX - box.left) / box.width);
    const y = share((event.clientY - box.top) / box.height);
    if (stroke.length < MOST_POINTS) stroke.push([x, y]);
  };
  document.addEventListener("pointerdown", (event) => {
    const image = picture(event);
    if (!image) return;
    event.preventDefault();
    stroke = [];
    add(event, image);
  });
  document.addEventListener("pointermove", (event) => {
    const image = stroke && picture(event);
    if (image) add(event, image);
  });
  const end = () => {
    if (!stroke) return;
    const box = document.querySelector("#drag-stroke textarea, #drag-stroke input");
    box.value = JSON.stringify(stroke);
    box.dispatchEvent(new Event("input", { bubbles: true }));  // Gradio tells of a change
    stroke = null;
  };
  document.addEventListener("pointerup", end);
  document.addEventListener("pointercancel", end);
  document.addEventListener("dragstart", (event) => picture(event) && event.preventDefault());
})();
</script>
""".replace("MOST_POINTS", str(MOST_POINTS))
"""For the page's head: writes each stroke, as `read_stroke` reads it, where the tab takes it."""


class Brush(NamedTuple):
    """What a visitor brushes with.

    Attributes:
        row: All of it, hidden until it is needed.
        tool: `BRUSH` or `POINTS`: what the pointer does on the picture.
        width: Of the brush, in percent of the picture's.
        wipe: Takes away what is brushed.
        stroke: Where the script puts each stroke.
    """

    row: gr.Row
    tool: gr.Radio
    width: gr.Slider
    wipe: gr.Button
    stroke: gr.Textbox


def controls() -> Brush:
    """Lay the brush out."""
    stroke = gr.Textbox(visible="hidden", elem_id="drag-stroke")
    with gr.Row(visible=False) as row:
        does = [("brushes", BRUSH), ("sets points", POINTS)]
        tool = gr.Radio(does, value=BRUSH, label="The pointer", elem_id="drag-tool")
        width = gr.Slider(2, 50, value=14, step=1, label="Brush, % of the picture")
        wipe = gr.Button("Clear the brush")
    return Brush(row, tool, width, wipe, stroke)


def read_stroke(text: str) -> list[tuple[float, float]]:
    """Read a stroke: JSON of points [x, y], shares of the picture's width and height.

    Raises:
        ValueError: It is something else, or too long.
    """
    try:
        points = [(float(x), float(y)) for x, y in json.loads(text)]
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError("expected a stroke of points [x, y]") from error
    if not 1 <= len(points) <= MOST_POINTS:
        raise ValueError(f"expected a stroke of 1 to {MOST_POINTS} points, got {len(points)}")
    if not all(0 <= share <= 1 for point in points for share in point):
        raise ValueError("expected a stroke of shares from 0 to 1")
    return points


def painted(
    mask: Image.Image | None,
    stroke: list[tuple[float, float]],
    brush: float,
    size: tuple[int, int],
) -> Image.Image:
    """Paint a stroke on a mask.

    Args:
        mask: What is painted so far; None for nothing.
        stroke: Points, shares of width and height.
        brush: Its width, a share of the picture's.
        size: Width and height of the picture, whose shape the mask has.

    Returns:
        A new mask of mode L, 255 where something may change and 0 elsewhere.
    """
    width, height = (max(round(side * MASK_SIDE / max(size)), 1) for side in size)
    mask = Image.new("L", (width, height)) if mask is None else mask.copy()
    draw, radius = ImageDraw.Draw(mask), max(brush * width / 2, 1)
    places = [(x * width, y * height) for x, y in stroke]
    draw.line(places, 255, round(2 * radius))
    for place in places:
        draw.circle(place, radius, 255)
    return mask


def tinted(picture: Image.Image, mask: Image.Image | None) -> Image.Image:
    """Show a mask on a picture: what may change is tinted."""
    if mask is None:
        return picture
    inked = Image.blend(picture, Image.new("RGB", picture.size, TINT), 0.35)
    return Image.composite(inked, picture, mask.resize(picture.size))
