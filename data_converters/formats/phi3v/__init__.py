"""Fine-tuning rows of Phi-3-vision, both ways."""
