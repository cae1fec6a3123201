"""Domains: what the images of a model show, and the sizes and crops that go with it."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Domain:
    """Sizes and crops of the images of one kind.

    Attributes:
        name: What the images show.
        input_size: Height and width that targets are resized to for the encoder, in pixels.
        crop: Where the rows that belong to the picture begin and end, as shares of a render's
            height, when the generator's square render has empty bars; None for all of it.
    """

    name: str
    input_size: tuple[int, int] = (256, 256)
    crop: tuple[float, float] | None = None

    def __post_init__(self):
        """Accept lists, as JSON has no tuples."""
        object.__setattr__(self, "input_size", tuple(self.input_size))
        if self.crop is not None:
            object.__setattr__(self, "crop", tuple(self.crop))

    def rows(self, height: int) -> tuple[int, int]:
        """Return the first row of a render of a height that belongs to the picture, and the end."""
        top, bottom = self.crop or (0, 1)
        return round(top * height), round(bottom * height)

    def crop_render(self, image: Tensor) -> Tensor:
        """Cut the picture (B, 3, rows, W) out of a render (B, 3, H, W)."""
        if self.crop is None:
            return image
        top, bottom = self.rows(image.shape[-2])
        return image[..., top:bottom, :]


FACES = Domain("faces")
CARS = Domain("cars", input_size=(192, 256), crop=(1 / 8, 7 / 8))
CHURCHES = Domain("churches")
HORSES = Domain("horses")
WILD = Domain("wild animals")
TOON = Domain("toon")
PORTRAITS = Domain("portraits", input_size=(128, 128))

DOMAINS = {d.name: d for d in (FACES, CARS, CHURCHES, HORSES, WILD, TOON, PORTRAITS)}
