"""Proofs: comparing forms of a model, and golden samples by which devices test the file."""

from .file import answers_of as answers_of
from .file import logits_of as logits_of
from .file import opened as opened
from .file import prove_file as prove_file
from .golden import CANDIDATES as CANDIDATES
from .golden import Tolerance as Tolerance
from .golden import generated as generated
from .golden import golden_samples as golden_samples
from .images import Picture as Picture
from .images import as_dtype as as_dtype
from .images import enough as enough
from .images import generated_images as generated_images
from .images import generated_windows as generated_windows
from .images import image_windows as image_windows
from .images import some as some
from .parity import Parity as Parity
from .parity import compare as compare
