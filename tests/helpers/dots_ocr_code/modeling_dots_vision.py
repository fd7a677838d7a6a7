"""The vision tower of the stand-in, in a file of its own, where swift's loader looks for its class."""

from .stand_in_parts import PatchTower


class DotsVisionTransformer(PatchTower):
    """2 frames of 3 x 14 x 14 px a patch."""

    def __init__(self, width):
        super().__init__(2 * 3 * 14 * 14, width)
