"""Programs as users write them, generated at random, run on Keras and torchkeras, and compared.

    python -m compat_tests.programs --seed 1 --cases 500 [--only layers,models]

A *program* is a plain script: it imports `keras`, `numpy` and what else users import, and prints
what it finds. `topics/` write them from a seed, `engines` runs each on both libraries in forked
processes, `compare` sets the two transcripts side by side, `reducing` cuts a program that differs
down to a few lines, and `reasons` lists, a sentence each, where ours is meant to differ. Programs
of two parts hand files over: the second part runs in another process, on either library.
"""
