"""Faces in photographs: finding them, cutting them out as generators know them, putting them back.

photo = read_image("group.jpg")
face = find_faces(photo)[0]
quad = ffhq_quad(face.landmarks)
crop = crop_face(photo, quad, size=256)
...
paste_back(photo, edited, quad).save("edited.jpg")
"""

from restyle.faces.aligned import AlignedFace, align_faces
from restyle.faces.alignment import crop_face, ffhq_quad, paste_back
from restyle.faces.detection import LICENCES, Face, NoFaceError, find_faces
from restyle.faces.similarity import arcface_crop

__all__ = [
    "LICENCES",
    "AlignedFace",
    "Face",
    "NoFaceError",
    "align_faces",
    "arcface_crop",
    "crop_face",
    "ffhq_quad",
    "find_faces",
    "paste_back",
]
