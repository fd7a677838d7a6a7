"""Benchmarks of `swift eval` and `--eval_use_evalscope`: COCO, LVIS, RefCOCO, Flickr30k Entities, ODinW-13, from local copies."""
