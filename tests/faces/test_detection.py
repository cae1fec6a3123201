"""Faces are found in drawn portraits, whose landmarks are known."""

import importlib
import sys

import numpy as np
import pytest
from PIL import Image

from restyle.faces import NoFaceError, align_faces, detection, ffhq_quad, find_faces

pytest.importorskip("dlib")
pytest.importorskip("skia")


@pytest.fixture(scope="module")
def portraits():
    from restyle.portraits.dataset import Portraits

    people = Portraits("val", 256)
    return [people[i] for i in (0, 2, 4, 6)]


@pytest.fixture(scope="module")
def group(portraits):
    """One photograph: a small face, a large one, and a wall."""
    photo = Image.new("RGB", (900, 420), (120, 130, 140))
    photo.paste(Image.fromarray(portraits[0].image), (20, 100))
    photo.paste(Image.fromarray(portraits[1].image).resize((400, 400)), (400, 10))
    return photo


def test_faces_are_where_they_were_drawn(portraits):
    for portrait in portraits:
        face = find_faces(Image.fromarray(portrait.image))[0]
        drawn, found = ffhq_quad(portrait.landmarks), ffhq_quad(face.landmarks)
        side = np.hypot(*(drawn[3] - drawn[0]))
        assert np.abs(found - drawn).max() < 0.08 * side
        left, top, right, bottom = face.box
        assert left < portrait.landmarks[2][0] < right and top < portrait.landmarks[2][1] < bottom


def test_the_largest_face_comes_first(group):
    faces = find_faces(group)
    assert [face.box[0] > 400 for face in faces[:2]] == [True, False]
    assert faces[0].area > faces[1].area
    assert len(align_faces(group, 64, which=None)) == len(faces)
    second = align_faces(group, 64, which=2)
    assert len(second) == 1 and second[0].face.box == faces[1].box
    assert second[0].crop.size == (64, 64)


def test_a_doubtful_face_comes_after_a_sure_one(group, monkeypatch):
    monkeypatch.setattr(detection, "_SURE", find_faces(group)[0].score + 1e-6)
    scores = [face.score for face in find_faces(group)]
    assert scores[0] > detection._SURE or max(scores) < detection._SURE


def test_large_photographs_are_searched_small_and_measured_in_full(portraits):
    picture = Image.fromarray(portraits[0].image)
    large = picture.resize((2560, 2560), Image.Resampling.BICUBIC)
    small, full = (ffhq_quad(find_faces(p)[0].landmarks) for p in (picture, large))
    assert np.abs(full / 10 - small).max() < 0.08 * 256


def test_no_face_is_a_clear_error(group):
    with pytest.raises(NoFaceError, match="expected a face, got none"):
        align_faces(Image.new("RGB", (200, 200), "white"))
    with pytest.raises(NoFaceError, match="expected at least 9 faces, got"):
        align_faces(group, which=9)


def test_the_model_is_found_without_running_its_package():
    sys.modules.pop("face_recognition_models", None)
    assert detection._predictor_file().stat().st_size > 50_000_000
    assert "face_recognition_models" not in sys.modules


@pytest.mark.parametrize("missing", ["dlib", "face_recognition_models"])
def test_a_missing_extra_is_named(missing, monkeypatch):
    real_import, real_find = importlib.import_module, importlib.util.find_spec

    def refuse(name, *rest):
        if name == missing:
            raise ImportError(name)
        return real_import(name, *rest)

    detection._predictor.cache_clear()
    monkeypatch.setattr(importlib, "import_module", refuse)
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == missing else real_find(name)
    )
    with pytest.raises(ImportError, match=r"restyle\[faces\]"):
        find_faces(Image.new("RGB", (64, 64)))
