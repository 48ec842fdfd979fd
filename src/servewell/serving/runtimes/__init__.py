"""What runs a model: arrays in, arrays out.

Belongs here: one module for each kind of model file.
Does not belong here: protocols, batching, where the file comes from.
Imports: `core`, `errors`.
"""
