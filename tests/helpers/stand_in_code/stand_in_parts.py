"""What several stand-ins for remote code share: a tower over patches, and its features in the places of image tokens."""

from torch import nn
from transformers import ProcessorMixin

MERGED = 4  # patches a token: 2 x 2, which a processor writes one after another


class PatchTower(nn.Module):
    """Flat patches to one feature for 2 x 2 of them."""

    def __init__(self, patch_values, width):
        super().__init__()
        self.patch_embed = nn.Linear(patch_values, width)
        self.merger = nn.Sequential(nn.Linear(MERGED * width, width), nn.GELU(), nn.Linear(width, width))

    def forward(self, pixel_values):
        """(patches, values of a patch) -> (tokens, width)."""
        hidden = self.patch_embed(pixel_values.to(self.patch_embed.weight.dtype))
        return self.merger(hidden.unflatten(0, (-1, MERGED)).flatten(1))


def with_features(embeddings, places, features):
    """Embeddings (batch, length, width) with `features` (places that are true, width) in their places.

    Raises ValueError where their counts differ.
    """
    if int(places.sum()) != len(features):
        raise ValueError(f"{int(places.sum())} image tokens, {len(features)} features")
    return embeddings.masked_scatter(places.unsqueeze(-1), features.to(embeddings.dtype))


class PartsOnly(ProcessorMixin):
    """Image processor and tokenizer, which swift calls one by one. `image_token`: the mark of an image, where it is one token."""

    image_token = None
    attributes = ["image_processor", "tokenizer"]
    image_processor_class = "AutoImageProcessor"
    tokenizer_class = "AutoTokenizer"

    def __init__(self, image_processor, tokenizer, **kwargs):
        super().__init__(image_processor, tokenizer)
        if self.image_token:
            self.image_token_id = tokenizer.convert_tokens_to_ids(self.image_token)
