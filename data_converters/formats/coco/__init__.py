"""COCO instances and captions, and rows back to a COCO file."""
