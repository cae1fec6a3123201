"""Names of results: always the same, and no other input's."""

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from restyle.io.images import ImageFile
from restyle.jobs.manifest import Manifest

parts = st.text("aAbB1-", min_size=1, max_size=2)
names = st.builds(
    lambda folders, stem, suffix: Path(*folders, stem + suffix),
    st.lists(parts, max_size=2),
    parts,
    st.sampled_from([".png", ".jpg", ".PNG"]),
)


@given(st.lists(names, min_size=1, max_size=12, unique=True), st.randoms())
@settings(max_examples=40)
def test_names_are_apart_safe_and_kept(paths, random):
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        files = [ImageFile(Path(folder) / "in" / path, path) for path in paths]
        manifest = Manifest(out, {})
        given_names = {file: manifest.name(file) for file in files}
        # Apart even where the file system takes A for a.
        assert len({name.casefold() for name in given_names.values()}) == len(files)
        for file, name in given_names.items():
            assert manifest.name(file) == name
            assert not Path(name).is_absolute() and ".." not in Path(name).parts
            manifest.add(file.path, name, "done")
        random.shuffle(files)
        again = Manifest(out, {})
        assert {file: again.name(file) for file in files} == given_names
