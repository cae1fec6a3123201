"""Films: what is written can be read again."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from restyle.editing.video import between, save_video, there_and_back

imageio = pytest.importorskip("imageio.v3")


def frames(count=6, size=(32, 33)):
    return [torch.full((3, *size), -1 + 2 * i / (count - 1)) for i in range(count)]


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_a_film_has_its_frames_in_order(tmp_path, suffix):
    path = tmp_path / f"film{suffix}"
    save_video(iter(frames()), path)
    film = np.stack(list(imageio.imiter(path)))[..., :3]
    assert film.shape == (6, 256, 264, 3)
    assert np.abs(film.mean(axis=(1, 2, 3)) - np.linspace(0, 255, 6)).max() < 6
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_odd_sides_are_cut_to_even_ones(tmp_path):
    save_video(frames(size=(301, 259)), tmp_path / "film.mp4")
    assert imageio.imread(tmp_path / "film.mp4", index=0).shape == (300, 258, 3)


@pytest.mark.parametrize(
    ("made", "name", "words"),
    [
        ([], "film.mp4", "at least one frame"),
        (frames(2) + frames(2, (16, 16)), "film.gif", "expected frames of"),
        (frames(), "film.avi", "ending in .mp4 or .gif"),
    ],
)
def test_what_is_no_film_leaves_nothing(tmp_path, made, name, words):
    with pytest.raises(ValueError, match=words):
        save_video(made, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_strengths_go_there_and_back():
    path = there_and_back(-2, 2, frames=5)
    assert path[0] == -2 and max(path) == path[4] == 2 and len(path) == 8
    assert np.allclose(path[5:], path[3:0:-1])


def test_codes_pass_every_stop():
    stops = [torch.full((6, 8), float(i)) for i in (0, 1, 5)]
    line = between(stops, frames=10)
    assert line.shape == (21, 6, 8)
    assert [line[i, 0, 0].item() for i in (0, 10, 20)] == [0, 1, 5]
    assert (line[:, 0, 0].diff() > 0).all()
    with pytest.raises(ValueError, match="two or more"):
        between(stops[:1])


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_a_full_disk_is_one_error_and_nothing_else(tmp_path, suffix):
    """In a process of its own, as libraries print when their objects go."""
    path = tmp_path / f"film{suffix}"
    code = (
        "import resource, signal, torch\n"
        "from restyle.editing.video import save_video\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, most))\n"
        "frames = [torch.rand(3, 64, 64) * 2 - 1 for _ in range(40)]\n"
        "try:\n"
        f"    save_video(frames, {str(path)!r})\n"
        "except OSError as error:\n"
        "    print(error)\n"
        "del frames\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))\n"  # for coverage's own file
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.stderr == "" and ended.returncode == 0
    assert "film" in ended.stdout and not list(tmp_path.iterdir())
