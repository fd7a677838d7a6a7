"""A stand-in for the remote code of Qwen-VL: the names that swift's loader and template ask for, over a tiny model of its own."""

from transformers import PretrainedConfig


class QWenConfig(PretrainedConfig):
    """Sizes of the stand-in. `visual`: image_size (px), width, `n_queries` tokens of one image, and `image_start_id`, the id of <img>,
    after which come those of </img> and <imgpad>."""

    model_type = "qwen"

    def __init__(
        self, vocab_size=300, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, emb_dropout_prob=0.0, visual=None, **kwargs
    ):
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        self.num_hidden_layers = num_hidden_layers
        self.num_attention_heads = num_attention_heads
        self.emb_dropout_prob = emb_dropout_prob
        self.visual = visual
        super().__init__(**{"tie_word_embeddings": False, **kwargs})
