"""Options of training, import and evaluation: their definitions, recipes, configuration files and rules."""

from .config import beside as beside
from .config import config_of as config_of
from .config import config_text as config_text
from .config import read_config as read_config
from .kept import Kept as Kept
from .options import CheckOptions as CheckOptions
from .options import DataOptions as DataOptions
from .options import EvaluateOptions as EvaluateOptions
from .options import ImportOptions as ImportOptions
from .options import TrainOptions as TrainOptions
from .recipe import RECIPES as RECIPES
from .recipe import load_recipe as load_recipe
from .rules import RULES as RULES
from .rules import Request as Request
from .settings import Settings as Settings
