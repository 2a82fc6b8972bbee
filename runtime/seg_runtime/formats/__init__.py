"""File formats: how to recognize, read and write files, and the position of their pixels in space.

Code outside this folder does not check the format of a file: everything that depends on it is a method or an attribute
of `Format`.
"""

from .arrays import from_array as from_array
from .arrays import from_pil as from_pil
from .arrays import without_opaque_alpha as without_opaque_alpha
from .channels import acquired as acquired
from .channels import group as group
from .channels import stacked as stacked
from .files import FORMATS as FORMATS
from .files import head_of as head_of
from .files import read_bytes as read_bytes
from .format import Failures as Failures
from .format import Format as Format
from .format import Output as Output
from .format import Page as Page
from .format import PageResult as PageResult
from .format import Place as Place
from .format import Prepared as Prepared
from .format import ReadOptions as ReadOptions
from .format import Source as Source
from .format import SourceOptions as SourceOptions
from .format import Write as Write
from .format import stem_of as stem_of
from .pictures import Pages as Pages
from .pictures import id_type as id_type
from .pictures import is_large as is_large
from .pictures import opened as opened
from .pictures import prepare_pages as prepare_pages
