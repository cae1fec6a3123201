import numpy as np
import torch
from PIL import Image
from torch import nn

from restyle.faces import arcface_crop
from restyle.faces.cascade import FaceCascade, FoundFaces
from restyle.faces.recognition import FaceRecognition

LANDMARKS = np.array([[20.0, 22], [44, 21], [31, 33], [22, 45], [42, 46]])


class Cascade(FaceCascade):
    """Finds a face in every picture that is not black, and a doubtful second one."""

    def __init__(self):
        super().__init__(nn.Identity(), nn.Identity(), nn.Identity())

    def find(self, picture):
        count = 2 if np.asarray(picture).any() else 0
        points = np.stack([LANDMARKS, LANDMARKS + 9])[:count]
        return FoundFaces(np.zeros((count, 4)), points, np.array([0.9, 0.6])[:count])


class Colours(nn.Module):
    def embed(self, faces):
        assert faces.shape[1:] == (3, 112, 112)
        return nn.functional.normalize(faces.mean(dim=(2, 3)) + 0.1, dim=1)


def test_the_surest_face_is_embedded_and_a_missing_one_is_told():
    pixels = np.random.default_rng(0).integers(1, 255, (64, 64, 3), np.uint8)
    photo = torch.from_numpy(pixels).permute(2, 0, 1) / 127.5 - 1
    images = torch.stack([photo, torch.full_like(photo, -1)])
    recognition = FaceRecognition(Cascade(), Colours())  # pyright: ignore
    embeddings, found = recognition.embed(images)
    assert found.tolist() == [True, False]
    crop = arcface_crop(np.asarray(Image.fromarray(pixels)), LANDMARKS)
    wanted = Colours().embed(torch.from_numpy(crop).permute(2, 0, 1)[None] / 127.5 - 1)
    torch.testing.assert_close(embeddings, torch.cat([wanted, torch.zeros(1, 3)]))
