import pytest

from tests.tiny import tiny_model


@pytest.fixture
def model():
    return tiny_model()


@pytest.fixture
def shelf():
    from restyle.app.person import Shelf

    return Shelf()


@pytest.fixture
def person(model):
    from restyle.app.person import Person

    return Person(model.sample(1, seed=2).ws)
