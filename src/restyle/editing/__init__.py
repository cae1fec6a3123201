"""Editing latent codes: directions and how they are found, mixing, interpolation, videos.

model = restyle.load("portraits")
ws = model.invert("me.png").ws
model.edit(ws, "smile", strength=2.0).image
model.edit(ws, {"smile": 2.0, "yaw": -1.0}).image
model.generate(mix(ws, other_ws, layers="coarse"))
"""
