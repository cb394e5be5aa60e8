"""Heads for transfer: each turns an `EncoderOutput` into a map or a vector of outputs.

A head is built with `dim` (the encoder's width), `num_main` (how many modalities it reads) and `num_outputs`, and is
called as `head(encoded, image_size=(height, width))`.
"""
