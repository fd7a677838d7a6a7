"""The tokenizer of the stand-in: any fast one whose first 256 ids are the bytes, with the path of an image padded as Qwen-VL does it."""

from transformers import PreTrainedTokenizerFast

IMAGE_TOKENS = 256


class QWenTokenizer(PreTrainedTokenizerFast):
    """Between <img> and </img> there are IMAGE_TOKENS ids: the bytes of the path, then <imgpad>."""

    @property
    def eod_id(self):
        """The id that ends a text."""
        return self.convert_tokens_to_ids("<|endoftext|>")

    def _encode_plus(self, text, **kwargs):
        encoded = super()._encode_plus(text, **{**kwargs, "return_tensors": None})
        if isinstance(text, str):
            ids = self._padded(encoded["input_ids"])
            encoded["input_ids"] = ids
            if "attention_mask" in encoded:
                encoded["attention_mask"] = [1] * len(ids)
            encoded.pop("token_type_ids", None)
        return encoded.convert_to_tensors(kwargs.get("return_tensors"), prepend_batch_axis=isinstance(text, str))

    def _padded(self, ids):
        start, end, pad = (self.convert_tokens_to_ids(mark) for mark in ("<img>", "</img>", "<imgpad>"))
        padded, place = [], 0
        while place < len(ids):
            padded.append(ids[place])
            if ids[place] == start:
                last = ids.index(end, place)
                path = ids[place + 1 : last]
                if len(path) >= IMAGE_TOKENS:
                    raise ValueError(f"The path of an image has {len(path)} bytes; expected fewer than {IMAGE_TOKENS}")
                padded += [*path, *[pad] * (IMAGE_TOKENS - len(path)), end]
                place = last
            place += 1
        return padded
