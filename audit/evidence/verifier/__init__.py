"""The verifier of evidence packs, in pieces that ``verifier_file`` joins into one file.

Its modules import the standard library only, as of Python 3.9, and share no code with the rest of the house:
what they find right was computed twice.
"""
