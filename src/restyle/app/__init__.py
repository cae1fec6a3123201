"""The web page: a picture is found step by step, edited with sliders, and dragged by its points."""
