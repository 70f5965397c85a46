"""Times and counts beside hand-written PyTorch and Keras on torch; each file is a command.

`python -m benchmarks.run` compares whole models, `.layers` every layer, `.ops` common functions,
`.files` saving and loading; `.profile` shows where a step's time goes, `.growth` how it grows with
the size of everything, `.compiling` what compilation brings.
"""
