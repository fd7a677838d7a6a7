"""How others score boxes: their rules as functions of answers and ground truth, written from their published code.

Each file has the rules of one evaluator. `card.RULES` is their table.
"""
