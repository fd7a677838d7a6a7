"""A row of Shikra that has all that a row can have."""

from __future__ import annotations

WIDTH, HEIGHT = 820, 800
DOG, CAT, MAN, ROPE = [10, 10, 256, 265], [24, 18, 378, 768], [100, 310, 670, 653], [278, 320, 809, 673]
POINTS = [[100, 100], [200.5, 200]]
TWO_DOGS = {  # two dogs, a man and a rope: all that a row can have
    "image": "dogs.jpg",
    "target": {"boxes": [DOG, CAT, MAN, ROPE], "points": POINTS},
    "conversations": [
        {
            "from": "human",
            "value": "What is between the dogs <boxes> and the man <boxes> in <image> ? Does the man<points> greet the man<points>?",
            "boxes_seq": [[0, 1], [2]],
            "points_seq": [[0], [1]],
        },
        {"from": "gpt", "value": "a rope <boxes> from the left dog <boxes> to the man <boxes>.", "boxes_seq": [[3], [0], [2]]},
    ],
}
