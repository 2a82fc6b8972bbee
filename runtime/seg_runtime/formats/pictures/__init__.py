"""Pictures: PNG, JPEG, BMP, GIF, WebP, JPEG 2000 and Netpbm files, read with Pillow, and TIFF files, read with tifffile."""

from .format import MASKS as MASKS
from .format import OBJECTS as OBJECTS
from .format import PROBABILITIES as PROBABILITIES
from .format import Pictures as Pictures
from .format import id_type as id_type
from .format import is_large as is_large
from .format import planes_of as planes_of
from .format import prepare_pages as prepare_pages
from .format import volume_of as volume_of
from .pages import Pages as Pages
from .pages import opened as opened
from .pillow import READABLE as READABLE
