"""A model by plain transformers, its own processor and chat template, as programs outside swift run a merged folder."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from typing import Any

from groundswift.errors import error_at

from ..encoding import one_line
from ..quiet import quiet
from .answering import Answer, Options, content_parts
from .questions import Question
from .ways import Way


class PlainWay:
    """A loaded model; no code of swift or this plugin takes part. Raises GroundswiftError where it cannot be loaded."""

    record = None

    def __init__(self, way: Way, options: Options) -> None:
        if way.adapter:
            raise error_at(f"way {way.name}", "an adapter is not loaded by plain transformers here", "the folder that it was merged into")
        with quiet():
            import torch
            from transformers import AutoModelForImageTextToText, AutoProcessor

            try:
                self.processor = AutoProcessor.from_pretrained(way.model)
                model = AutoModelForImageTextToText.from_pretrained(way.model, dtype="auto")
            except Exception as error:  # of files, configuration, remote code: many kinds
                raise error_at(f"way {way.name}", f"{way.model} cannot be loaded ({one_line(error)})") from None
        self.model = model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
        self.options = options

    def answers(self, questions: Sequence[Question]) -> Iterator[Answer]:
        """One answer a question, in order."""
        for question in questions:
            messages = content_parts(question, lambda image: {"type": "image", "image": image})
            try:
                yield self._answer(messages)
            except Exception as error:  # of the image, the chat template, the model, memory
                yield Answer(error=one_line(error))

    def _answer(self, messages: list[dict[str, Any]]) -> Answer:
        ask = {"add_generation_prompt": True, "tokenize": True, "return_dict": True, "return_tensors": "pt"}
        inputs = self.processor.apply_chat_template(messages, **ask).to(self.model.device)
        limit = self.options.max_new_tokens
        with quiet():
            found = self.model.generate(**inputs, max_new_tokens=limit, do_sample=False, output_logits=True, return_dict_in_generate=True)
        ids = found.sequences[0, inputs["input_ids"].shape[1] :].tolist()
        ends = self.model.generation_config.eos_token_id
        ended = ids[-1:] and ids[-1] in (ends if isinstance(ends, list) else [ends])
        text = self.processor.tokenizer.decode(ids[:-1] if ended else ids)
        return Answer(text, {"content": self._tokens(ids, found.logits)}, "stop" if ended else "length")

    def _tokens(self, ids: list[int], logits: Sequence[Any]) -> list[dict[str, Any]]:
        """Tokens with their log-probabilities, as the OpenAI format has them."""
        import torch

        decode, tokens = self.processor.tokenizer.decode, []
        for token, of_token in zip(ids, logits, strict=True):
            logprobs = torch.log_softmax(of_token[0].float(), -1)
            best = logprobs.topk(min(self.options.top_logprobs, len(logprobs)))
            top = [{"token": decode(each), "logprob": value} for value, each in zip(*map(torch.Tensor.tolist, best), strict=True)]
            tokens.append({"token": decode(token), "logprob": logprobs[token].item(), "top_logprobs": top})
        return tokens

    def close(self) -> None:
        """Drop the model."""
        del self.model
        gc.collect()
        import torch

        if torch.cuda.is_available():
            torch.cuda.empty_cache()
