"""Identity similarity of two pictures, as the scores of the literature are taken.

Each face is found by a cascade of networks, turned upright by its five landmarks, and embedded
(pSp, ReStyle: MTCNN and CurricularFace's IR-101). The score is the cosine of the embeddings.
"""

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from restyle.faces.cascade import FaceCascade
from restyle.faces.similarity import arcface_crop
from restyle.io.images import from_uint8, to_uint8
from restyle.nn.backbones import ArcFace


class FaceRecognition(nn.Module):
    """Embeds the surest face of each picture, and knows where there is none.

    Attributes:
        detector: Finds the faces.
        network: Embeds them.
    """

    detector: FaceCascade
    network: ArcFace

    def __init__(self, detector: FaceCascade, network: ArcFace):
        """Take both, which are frozen and put into evaluation mode."""
        super().__init__()
        self.detector, self.network = detector, network
        self.eval().requires_grad_(False)

    @torch.no_grad()
    def embed(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Embed the faces in pictures (B, 3, H, W), RGB in [-1, 1].

        Returns:
            Embeddings (B, E) of unit length, and whether there is a face (B,); the embedding of a
            picture without one is zero.
        """
        crops = [self.face(image) for image in images]
        found = torch.tensor([crop is not None for crop in crops], device=images.device)
        cut = [np.zeros((112, 112, 3), np.uint8) if crop is None else crop for crop in crops]
        embeddings = self.network.embed(from_uint8(np.stack(cut)).to(images.device))
        return embeddings * found[:, None], found

    def face(self, image: Tensor) -> np.ndarray | None:
        """Cut out the surest face of a picture (3, H, W): (112, 112, 3) uint8, None for none."""
        pixels = to_uint8(image)
        faces = self.detector.find(Image.fromarray(pixels))
        return arcface_crop(pixels, faces.landmarks[0]) if len(faces.scores) else None
