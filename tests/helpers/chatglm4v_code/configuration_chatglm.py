"""A stand-in for the remote code of GLM-4V-9B: the names that swift's loader and template ask for, over a tiny model of its own."""

from transformers import PretrainedConfig


class ChatGLMConfig(PretrainedConfig):
    """Sizes of the stand-in. `boi_token_id`, `eoi_token_id`: the marks between which the image's features go."""

    model_type = "chatglm"
    num_hidden_layers = 2

    def __init__(self, vocab_size=300, hidden_size=64, seq_length=1024, boi_token_id=0, eoi_token_id=0, **kwargs):
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        self.seq_length = seq_length
        self.boi_token_id = boi_token_id
        self.eoi_token_id = eoi_token_id
        super().__init__(**kwargs)
