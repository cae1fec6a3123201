"""Pictures become tensors, and tensors pictures, as in the reference."""

import torch
from PIL import Image

from restyle.domains import CARS, FACES
from restyle.io.images import to_tensor, to_uint8

from .cases import cases, load


@cases("image_io")
def test_image_io(path):
    case = load(path)
    picture = Image.fromarray(case.arrays["image_uint8"])
    case.check("encode", to_tensor(picture, FACES.input_size))
    case.check("cars", to_tensor(picture, CARS.input_size))
    case.finish("image_uint8", "generated_uint8")


@cases("image_io")
def test_rounding_is_truncation_half_a_level_away(path):
    """The reference truncates to 8 bits where ours rounds."""
    case = load(path)
    generated = case.inputs["generated"]
    case.check("generated_uint8", to_uint8(generated - 1 / 255))
    above = torch.from_numpy(to_uint8(generated).astype("int16") - case.arrays["generated_uint8"])
    assert set(above.unique().tolist()) == {0, 1}
