"""The processor of the stand-in: image processor and tokenizer, which swift's template calls one by one."""

from transformers import ProcessorMixin

from .image_processing_phi3_v import Phi3VImageProcessor  # noqa: F401 - saved with this file


class Phi3VProcessor(ProcessorMixin):
    """Nothing but its parts."""

    attributes = ["image_processor", "tokenizer"]
    image_processor_class = "AutoImageProcessor"
    tokenizer_class = "AutoTokenizer"

    def __init__(self, image_processor, tokenizer, **kwargs):
        super().__init__(image_processor, tokenizer)
