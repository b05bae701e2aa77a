"""The offline builder: from a student or a model's folder to engines that are whole, verified and kept.

`plan` says what is to be done, `step` does each piece once and keeps it, `compare` holds engines against
float, `install` lets them appear. Nothing of it is imported by the show.
"""
