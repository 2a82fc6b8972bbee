"""What is suspicious in a data set: findings, a table, and a page with small pictures."""

from .copies import Copies as Copies
from .examine import Inspection as Inspection
from .examine import examine as examine
from .finding import Finding as Finding
from .finding import said as said
from .oddities import find_oddities as find_oddities
from .page import page as page
from .sources import find_sources as find_sources
from .table import as_json as as_json
from .table import as_table as as_table
